import { rename, writeFile } from 'node:fs/promises'
import { digest } from '@vouchsafe/tpm'
import type { Tpm } from '@vouchsafe/tpm'
import { newTcgLog, replayTcgLog, verifyReplays, writeTcgLog } from '@vouchsafe/tpm/eventlog'
import type { HashName } from '@vouchsafe/tpm/verify'
import { bootEvents } from './boot-events.ts'
import type { SimulatedBoot } from './boot-events.ts'
import { SimulatorError } from './errors.ts'

/** What is measured into: the registers of firmware, boot loader and kernel. */
const BOOT_REGISTERS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]

/** What a boot left behind. */
export interface MeasuredBoot {
  /** The log, crypto-agile, as a kernel would expose it. */
  readonly log: Uint8Array
  /** SHA-256 registers 0 to 9, lower-case hexadecimal, by number: reference values for this boot. */
  readonly registers: Readonly<Record<string, string>>
}

/**
 * Plays firmware, boot loader and kernel: extends every event into every bank of the TPM, writes the log, and checks that
 * the log replays to what the TPM now holds.
 *
 * @throws {SimulatorError} `boot.mismatch` when the TPM had been extended before.
 */
export async function bootMeasured(tpm: Tpm, boot: SimulatedBoot, logFile: string): Promise<MeasuredBoot> {
  const banks = (await tpm.pcrBanks()).filter(isComputable)
  const events = bootEvents(boot, banks)
  for (const { register, digests } of events) {
    if (register === 'none') continue
    await tpm.pcrExtend(
      register,
      Array.from(digests, ([hash, value]) => ({ hash, digest: value })),
    )
  }
  const log = newTcgLog(banks, events)
  const { values } = await tpm.pcrRead('sha256', BOOT_REGISTERS)
  try {
    verifyReplays(
      [replayTcgLog(log, 'sha256', { digest })],
      { space: 'pcr', bank: 'sha256', values },
      { mayBeUnexplained: [] },
    )
  } catch (cause) {
    throw new SimulatorError('boot.mismatch', `the TPM was not fresh from reset: ${(cause as Error).message}`, {
      cause,
    })
  }
  const bytes = writeTcgLog(log)
  await writeFile(`${logFile}.new`, bytes, { mode: 0o600 })
  await rename(`${logFile}.new`, logFile)
  const registers = Array.from(values, ([n, value]) => [String(n), Buffer.from(value).toString('hex')] as const)
  return { log: bytes, registers: Object.fromEntries(registers) }
}

/** Banks whose hash can be computed here; swtpm has no others. */
function isComputable(bank: string): bank is HashName {
  return ['sha1', 'sha256', 'sha384', 'sha512'].includes(bank)
}
