import { nodeCrypto } from '@vouchsafe/core/node'
import { compareBoots } from '@vouchsafe/tpm/eventlog'
import type { BootChange, BootComparison } from '@vouchsafe/tpm/eventlog'
import type { Command } from 'commander'
import { EXIT } from '../../output.ts'
import { type Done, outputOf, verb } from '../options.ts'
import { bankFor, readBootLog } from './boot-log-file.ts'

interface DiffOptions {
  readonly json?: boolean
  readonly bank?: string
  readonly ccel?: boolean
}

/** `vouchsafe tpm events diff`. */
export function eventsDiffCommand(done: Done): Command {
  return verb('diff', 'what differs between two boots, in words')
    .argument('<before>', 'a binary log')
    .argument('<after>', 'a later one')
    .option('--bank <hash>', 'whose digests count (default: sha256 where both have it)')
    .option('--ccel', 'the files are log areas of confidential guests without TPM')
    .addHelpText(
      'after',
      '\nExample:\n  $ vouchsafe tpm events diff yesterday.bin /sys/kernel/security/tpm0/binary_bios_measurements\n\nThe exit status is 0 when both boots were the same, 1 when they were not.',
    )
    .action((before: string, after: string, options: DiffOptions) => {
      const logs = [readBootLog(before, options.ccel === true), readBootLog(after, options.ccel === true)] as const
      const comparison = compareBoots(...logs, bankFor(options.bank, logs), nodeCrypto)
      const same = comparison.changed.length === 0 && comparison.startupLocality === undefined
      outputOf(options).answer({ same, ...comparison }, bootDiffText(comparison))
      done(same ? EXIT.yes : EXIT.no)
    })
}

/** What differs, register by register. */
export function bootDiffText({ bank, unchanged, changed, startupLocality }: BootComparison): string {
  const lines: string[] = []
  if (startupLocality !== undefined) {
    const { before, after } = startupLocality
    lines.push(`PCR 0 starts otherwise: the TPM was started from locality ${before}, now from ${after}`)
  }
  for (const { register, changes } of changed) lines.push(register, ...changes.flatMap(linesOf))
  if (lines.length === 0) return `the same boot: every ${bank} register ends with the same value`
  return [...lines, '', `unchanged: ${unchanged.join(', ') || 'nothing'}`].join('\n')
}

function linesOf(change: BootChange): readonly string[] {
  switch (change.kind) {
    case 'added':
      return [`  new     ${change.after.sentence}`]
    case 'removed':
      return [`  gone    ${change.before.sentence}`]
    case 'changed':
      return [`  before  ${change.before.sentence}`, `  now     ${change.after.sentence}`]
  }
}
