import type { Command } from 'commander'
import { EXIT } from '../../output.ts'
import { type Done, outputOf, verb } from '../options.ts'
import { table } from '../../table.ts'
import { timeOf } from './anchor.ts'
import { readVerifications, type VerificationEntry } from './verification-log.ts'

interface LogOptions {
  readonly json?: boolean
  readonly machine?: string
  readonly name?: string
  readonly since?: string
  readonly until?: string
  readonly refused?: boolean
}

/** `vouchsafe evidence log`. */
export function logCommand(done: Done): Command {
  return verb('log', 'what was verified, from a log that `vouchsafe evidence verify --log` wrote')
    .argument('<file>')
    .option('--machine <name>', 'only of the attestation key with this name, or whose name begins so')
    .option('--name <name>', 'only entries of this name')
    .option('--since <time>', 'only from this time on (ISO 8601)')
    .option('--until <time>', 'only before this time (ISO 8601)')
    .option('--refused', 'only what was refused')
    .addHelpText(
      'after',
      '\nExample:\n  $ vouchsafe evidence log verified.jsonl --name web-1 --since 2026-11-01T00:00:00Z --refused',
    )
    .action((file: string, options: LogOptions) => {
      const entries = readVerifications(file).filter((entry) => isWanted(entry, options))
      const rows = entries.map((e) => [
        e.at,
        e.outcome,
        e.code ?? '',
        e.name ?? '',
        e.machine?.slice(0, 20) ?? '',
        e.challenge ?? '',
      ])
      outputOf(options).answer({ entries }, rows.length === 0 ? 'nothing of that kind' : table(rows))
      done(EXIT.yes)
    })
}

function isWanted({ at, name, machine, outcome }: VerificationEntry, options: LogOptions): boolean {
  const time = new Date(at)
  return (
    (options.machine === undefined || machine?.startsWith(options.machine) === true) &&
    (options.name === undefined || name === options.name) &&
    (options.since === undefined || time >= timeOf(options.since)) &&
    (options.until === undefined || time < timeOf(options.until)) &&
    (options.refused !== true || outcome === 'refused')
  )
}
