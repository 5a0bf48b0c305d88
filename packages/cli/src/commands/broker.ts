import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parsePemOrDer } from '../certificate-file.ts'
import { toBase64 } from '@vouchsafe/core'
import { Command, Option } from 'commander'
import { UsageError } from '../output.ts'
import { programs, runProgram } from '../programs.ts'
import { type Done, verb } from './options.ts'

interface InitOptions {
  readonly dir: string
  readonly profile: string
  readonly tenant: string
  readonly owner?: string
  readonly ownerKey: string
  readonly anchor: readonly string[]
  readonly listen: string
  readonly url: string
  readonly postgres?: string
  readonly passphraseFile?: string
}

/** `vouchsafe broker …`: makes and serves a broker, as a process of its own. */
export function brokerCommand(done: Done): Command {
  return new Command('broker')
    .description('make and serve a broker')
    .addCommand(
      verb('init', 'make a broker with one tenant; its profile can never change')
        .requiredOption('--dir <directory>', 'where its files go')
        .addOption(
          new Option('--profile <profile>', 'production stores can never hold a simulator’s anchor')
            .choices(['production', 'simulated'])
            .makeOptionMandatory(),
        )
        .requiredOption('--tenant <name>', 'lower-case name of the tenant')
        .option('--owner <name>', 'whose resources they are (default: the tenant’s name)')
        .requiredOption('--owner-key <key>', 'ed25519:… from: vouchsafe owner key')
        .requiredOption(
          '--anchor <class=file>',
          'TPM maker’s root (PEM or DER) and its class: tpm, platform-vtpm or simulated; repeatable',
          (value: string, all: string[] | undefined) => [...(all ?? []), value],
        )
        .option('--listen <host:port>', 'address to listen on', '127.0.0.1:8443')
        .requiredOption('--url <url>', 'where owners and guests reach it, https://…')
        .option('--postgres <url>', 'keep state in PostgreSQL instead of an SQLite file')
        .option(
          '--passphrase-file <file>',
          'passphrase of its custody (default: a random one beside it, for trying things out)',
        )
        .addHelpText(
          'after',
          '\nExample:\n  $ vouchsafe owner key a.pem\n  $ vouchsafe broker init --dir a --profile simulated --tenant clinic-a --owner-key ed25519:… \\\n      --anchor simulated=root.der --url https://127.0.0.1:8443',
        )
        .action(async (options: InitOptions) => {
          const request = requestOf(options)
          const directory = mkdtempSync(path.join(tmpdir(), 'vouchsafe-init-'))
          try {
            const file = path.join(directory, 'request.json')
            writeFileSync(file, JSON.stringify(request), { mode: 0o600 })
            done(await runProgram(programs.broker, ['init', file]))
          } finally {
            rmSync(directory, { recursive: true, force: true })
          }
        }),
    )
    .addCommand(
      verb('serve', 'serve a broker until it is told to stop')
        .argument('<config>', 'broker.json, as init wrote it')
        .option('--adopt-heads', 'take the store’s log heads as they are: for the first start of a replica')
        .action(async (config: string, options: { adoptHeads?: boolean }) => {
          done(
            await runProgram(programs.broker, [
              'serve',
              config,
              ...(options.adoptHeads === true ? ['--adopt-heads'] : []),
            ]),
          )
        }),
    )
}

function requestOf(options: InitOptions) {
  const [, host = '', port = ''] = /^(.+):(\d+)$/.exec(options.listen) ?? []
  if (host === '')
    throw new UsageError(`--listen ${options.listen} is not host:port`, 'for example --listen 127.0.0.1:8443')
  const anchors = options.anchor.map((text) => {
    const [kind = '', file = ''] = text.split(/=(.*)/s)
    if (file === '')
      throw new UsageError(`--anchor ${text} is not class=file`, 'for example --anchor tpm=maker-root.pem')
    return {
      name: path.basename(file),
      class: kind,
      certificate: toBase64(parsePemOrDer(new Uint8Array(readFileSync(file)), file)),
    }
  })
  return {
    directory: options.dir,
    profile: options.profile,
    listen: { host, port: Number(port) },
    publicUrl: options.url,
    ...(options.postgres === undefined ? {} : { postgresUrl: options.postgres }),
    ...(options.passphraseFile === undefined ? {} : { passphraseFile: options.passphraseFile }),
    tenants: [{ id: options.tenant, owner: options.owner ?? options.tenant, ownerKey: options.ownerKey, anchors }],
  }
}
