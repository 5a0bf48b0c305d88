import { toHex } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { describeEvent, proofIn, registerName, replayTcgLog } from '@vouchsafe/tpm/eventlog'
import type { Command } from 'commander'
import { EXIT } from '../../output.ts'
import { type Done, outputOf, table, verb } from '../options.ts'
import { bankFor, KERNEL_LOG, readBootLog } from './boot-log-file.ts'
import { eventsDiffCommand } from './events-diff.ts'

interface EventsOptions {
  readonly json?: boolean
  readonly bank?: string
  readonly ccel?: boolean
}

/** `vouchsafe tpm events`. */
export function eventsCommand(done: Done): Command {
  return verb('events', 'the boot log: every event, its register, what it means, and how far that is proved')
    .argument('[file]', 'a binary log; - for standard input', KERNEL_LOG)
    .option('--bank <hash>', 'whose digests count (default: sha256 where there is one)')
    .option('--ccel', 'the file is the log area of a confidential guest without TPM')
    .addHelpText(
      'after',
      [
        '',
        'Examples:',
        '  $ vouchsafe tpm events                              # this machine’s own boot',
        '  $ vouchsafe tpm events diff yesterday.bin today.bin',
        '',
        'Proof: what the digest covers is proved once the replay equals a verified quote; “digest only” names what was',
        'measured without holding it; what is “not measured” anyone may have written.',
      ].join('\n'),
    )
    .action((file: string, options: EventsOptions) => {
      const log = readBootLog(file, options.ccel === true)
      const bank = bankFor(options.bank, [log])
      const context = proofIn(bank, nodeCrypto)
      const events = log.events.map((event) => ({
        position: event.position,
        digest: toHex(event.digests.get(bank) ?? new Uint8Array()),
        dataBytes: event.data.length,
        ...describeEvent(event, log.space, context),
      }))
      const replay = replayTcgLog(log, bank, nodeCrypto)
      const registers = Object.fromEntries([...replay.registers].map(([n, v]) => [n, toHex(v)]))
      const rows = events.map((e) => [String(e.position).padStart(3), e.register, e.proof, e.sentence])
      const values = [...replay.registers].map(([n, v]) => [`  ${registerName(n, log.space)}`, toHex(v)])
      outputOf(options).answer(
        { bank, events, registers },
        `${table([['  #', 'register', 'proof', 'meaning'], ...rows])}\n\nreplayed ${bank}\n${table(values)}`,
      )
      done(EXIT.yes)
    })
    .addCommand(eventsDiffCommand(done))
}
