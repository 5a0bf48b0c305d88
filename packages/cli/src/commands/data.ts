import { createReadStream, createWriteStream, readFileSync, writeFileSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { dataRecipient, decryptDataFile, encryptDataFile, generateDataKey } from '@vouchsafe/client'
import { Secret } from '@vouchsafe/core'
import { Command } from 'commander'
import { EXIT, UsageError } from '../output.ts'
import { type Done, outputOf, verb } from './options.ts'

interface Files {
  readonly key: string
  readonly out: string
  readonly json?: boolean
}

/** `vouchsafe data …`: encrypted data files and their keys, as `age` makes them too. */
export function dataCommand(done: Done): Command {
  return new Command('data')
    .description('encrypted data files, which wait beside the workload for their key (age format)')
    .addCommand(
      verb('key', 'make a data key: what you put into your broker as a resource')
        .argument('<file>', 'where to write it, readable by you alone')
        .addHelpText(
          'after',
          '\nExample:\n  $ vouchsafe data key patients.key\n  $ vouchsafe resource put patients/key --file patients.key',
        )
        .action(async (file: string, options: { json?: boolean }) => {
          const key = await generateDataKey()
          writeFileSync(file, key.expose(), { mode: 0o600, flag: 'wx' })
          const recipient = await dataRecipient(key)
          outputOf(options).answer({ file, recipient }, recipient)
          done(EXIT.yes)
        }),
    )
    .addCommand(
      verb('encrypt', 'encrypt a file to a data key')
        .argument('<file>', 'of any size')
        .requiredOption('--key <file>', 'the data key')
        .requiredOption('--out <file>', 'encrypted file to write')
        .addHelpText(
          'after',
          '\nExample:\n  $ vouchsafe data encrypt patients.csv --key patients.key --out patients.age',
        )
        .action(async (file: string, options: Files) => {
          const recipient = await dataRecipient(readKey(options.key))
          await stream(file, options.out, (plain) => encryptDataFile(plain, recipient))
          outputOf(options).answer({ file: options.out, recipient }, `${options.out}: for ${recipient}`)
          done(EXIT.yes)
        }),
    )
    .addCommand(
      verb('decrypt', 'open an encrypted file again')
        .argument('<file>')
        .requiredOption('--key <file>', 'the data key')
        .requiredOption('--out <file>', 'file to write; it appears only when all of it was authentic')
        .addHelpText(
          'after',
          '\nExample:\n  $ vouchsafe data decrypt patients.age --key patients.key --out patients.csv',
        )
        .action(async (file: string, options: Files) => {
          await stream(file, options.out, (sealed) => decryptDataFile(sealed, readKey(options.key)))
          outputOf(options).answer({ file: options.out }, options.out)
          done(EXIT.yes)
        }),
    )
}

function readKey(file: string): Secret {
  return new Secret(new TextEncoder().encode(readFileSync(file, 'utf8').trim()))
}

/** Writes beside the target and renames at the end: whoever reads the target reads all of it or nothing. */
async function stream(
  from: string,
  to: string,
  through: (bytes: ReadableStream<Uint8Array>) => Promise<ReadableStream<Uint8Array>>,
): Promise<void> {
  if (from === to) throw new UsageError('the file would overwrite itself', 'name another --out')
  const partial = `${to}.partial`
  try {
    const source = Readable.toWeb(createReadStream(from)) as ReadableStream<Uint8Array>
    const result = await through(source)
    await pipeline(Readable.fromWeb(result as never), createWriteStream(partial, { mode: 0o600, flags: 'wx' }))
    await rename(partial, to)
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  }
}
