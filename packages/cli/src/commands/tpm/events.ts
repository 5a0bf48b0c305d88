import { toHex } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { describeEvent, proofIn, registerName, replayTcgLog } from '@vouchsafe/tpm/eventlog'
import type { Command } from 'commander'
import { EXIT, UsageError } from '../../output.ts'
import { type Done, outputOf, verb } from '../options.ts'
import { table } from '../../table.ts'
import { bankFor, KERNEL_LOG, readBootLog } from './boot-log-file.ts'
import { eventsDiffCommand } from './events-diff.ts'
import { KERNEL_IMA_LIST, type ShownLog, showCanonicalLog, showImaList } from './runtime-log.ts'

interface EventsOptions {
  readonly json?: boolean
  readonly bank?: string
  readonly ccel?: boolean
  readonly ima?: boolean
  readonly cel?: boolean
}

/** `vouchsafe tpm events`. */
export function eventsCommand(done: Done): Command {
  return verb('events', 'a log of measurements: every event, its register, what it means, and how far that is proved')
    .argument('[file]', `a log; - for standard input (default: ${KERNEL_LOG}, with --ima ${KERNEL_IMA_LIST})`)
    .option('--bank <hash>', 'whose digests count (default: sha256 where there is one)')
    .option('--ccel', 'the file is the log area of a confidential guest without TPM')
    .option('--ima', 'the file is the kernel’s list of what it read, binary or text')
    .option('--cel', 'the file is a canonical event log (TLV), as launchers and agents write it')
    .addHelpText(
      'after',
      [
        '',
        'Examples:',
        '  $ vouchsafe tpm events                              # this machine’s own boot',
        '  $ vouchsafe tpm events --ima                        # what its kernel read since',
        '  $ vouchsafe tpm events --cel launch.cel             # what a launcher measured',
        '  $ vouchsafe tpm events diff yesterday.bin today.bin',
        '',
        'Proof: what the digest covers is proved once the replay equals a verified quote; “digest only” names what was',
        'measured without holding it; what is “not measured” anyone may have written. The exit status is 1 when a record',
        'says something else than what was measured.',
      ].join('\n'),
    )
    .action((file: string | undefined, options: EventsOptions) => {
      const { bank, events, replay } = show(file, options)
      const space = replay?.space ?? 'pcr'
      const registers = Object.fromEntries([...(replay?.registers ?? [])].map(([n, v]) => [n, toHex(v)]))
      const rows = events.map((e) => [String(e.position).padStart(3), e.register, e.proof, e.sentence])
      const values = [...(replay?.registers ?? [])].map(([n, v]) => [`  ${registerName(n, space)}`, toHex(v)])
      const replays = replay === null ? 'does not replay' : `replayed ${bank}\n${table(values)}`
      outputOf(options).answer(
        { bank, events, registers },
        `${table([['  #', 'register', 'proof', 'meaning'], ...rows])}\n\n${replays}`,
      )
      done(replay === null ? EXIT.no : EXIT.yes)
    })
    .addCommand(eventsDiffCommand(done))
}

function show(file: string | undefined, options: EventsOptions): ShownLog {
  if ([options.ccel, options.ima, options.cel].filter((kind) => kind === true).length > 1)
    throw new UsageError('a file is one kind of log', 'give one of --ccel, --ima and --cel')
  if (options.ima === true) return showImaList(file ?? KERNEL_IMA_LIST, options.bank)
  if (options.cel === true) {
    if (file === undefined)
      throw new UsageError('which canonical event log?', 'name the file: vouchsafe tpm events --cel FILE')
    return showCanonicalLog(file, options.bank)
  }
  const log = readBootLog(file ?? KERNEL_LOG, options.ccel === true)
  const bank = bankFor(options.bank, [log])
  const context = proofIn(bank, nodeCrypto)
  const events = log.events.map((event) => ({
    position: event.position,
    digest: toHex(event.digests.get(bank) ?? new Uint8Array()),
    dataBytes: event.data.length,
    ...describeEvent(event, log.space, context),
  }))
  return { bank, events, replay: replayTcgLog(log, bank, nodeCrypto) }
}
