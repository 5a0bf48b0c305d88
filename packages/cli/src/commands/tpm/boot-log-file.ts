import { readFileSync } from 'node:fs'
import { parseCcelLog, parseTcgLog } from '@vouchsafe/tpm/eventlog'
import type { TcgLog } from '@vouchsafe/tpm/eventlog'
import type { HashName } from '@vouchsafe/tpm/verify'
import { UsageError } from '../../output.ts'
import { parseBank } from './arguments.ts'

/** The kernel's copy of the firmware's log. */
export const KERNEL_LOG = '/sys/kernel/security/tpm0/binary_bios_measurements'

/** A boot log: of a TPM, or with `ccel` the log area of a confidential guest without one. */
export function readBootLog(file: string, ccel: boolean): TcgLog {
  const bytes = new Uint8Array(readFileSync(file === '-' ? 0 : file))
  return ccel ? parseCcelLog(bytes) : parseTcgLog(bytes)
}

/** The bank asked for, else the one that logs are read by most. */
export function bankFor(wanted: string | undefined, logs: readonly TcgLog[]): HashName {
  const common = (['sha256', 'sha384', 'sha512', 'sha1'] as const).filter((bank) =>
    logs.every((log) => log.banks.includes(bank)),
  )
  const bank = wanted === undefined ? common[0] : common.find((name) => name === parseBank(wanted))
  if (bank !== undefined) return bank
  const has = logs.map((log) => log.banks.join(', ')).join(' and ')
  throw new UsageError(`no bank ${wanted ?? 'in common'}: there are ${has}`, 'name one that is there with --bank')
}
