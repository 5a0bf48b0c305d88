import {
  type ImaLog,
  type Launch,
  type TcgLog,
  parseCel,
  parseImaLog,
  parseTcgLog,
  readLaunch,
  replayCel,
  replayIma,
  replayTcgLog,
  verifyReplays,
} from '@vouchsafe/tpm/eventlog'
import type { CryptoPort } from '../../base/crypto.ts'
import { fromBase64Url } from '../../base/encoding.ts'
import { type Once, anew } from '../../base/once.ts'
import type { TpmEvidence } from './tpm-evidence.ts'

/** What the logs say that quoted registers hold the sum of. */
export interface ExplainedBoot {
  readonly bootLog: TcgLog
  /** Empty where the kernel measures nothing after the boot. */
  readonly imaLog: ImaLog
  readonly launch: Launch
}

/**
 * Replays the logs of the boot, of the kernel and of the launch: together they must be exactly what the quoted registers
 * hold, to the last event.
 *
 * @param registers - As quoted. Authenticated by whoever calls.
 * @throws {TpmError} a log that is malformed, or that does not replay
 */
export function explainRegisters(
  evidence: Pick<TpmEvidence, 'bootLog' | 'launchLog' | 'imaLog'>,
  registers: ReadonlyMap<number, Uint8Array>,
  crypto: CryptoPort,
  once: Once = anew,
): ExplainedBoot {
  const { bootLog: bootText, launchLog: launchText, imaLog: imaText } = evidence
  const bootLog = once('bootLog', bootText, () => parseTcgLog(fromBase64Url(bootText, 'bootLog')))
  const launchLog = once('launchLog', launchText, () => parseCel(fromBase64Url(launchText, 'launchLog')))
  const imaLog =
    imaText === undefined ? [] : once('imaLog', imaText, () => parseImaLog(fromBase64Url(imaText, 'imaLog')))
  verifyReplays(
    [
      once('bootReplay', bootText, () => replayTcgLog(bootLog, 'sha256', crypto)),
      once('launchReplay', launchText, () => replayCel(launchLog, 'sha256', crypto)),
      ...(imaText === undefined ? [] : [once('imaReplay', imaText, () => replayIma(imaLog, 'sha256', crypto))]),
    ],
    { space: 'pcr', bank: 'sha256', values: countingRegisters(registers) },
    { mayBeUnexplained: [] },
  )
  return { bootLog, imaLog, launch: once('launch', launchText, () => readLaunch(launchLog, 'sha256', crypto)) }
}

/** Registers 16 to 23 can be reset by the guest: whatever they hold, it proves nothing (B09). */
function countingRegisters(registers: ReadonlyMap<number, Uint8Array>): ReadonlyMap<number, Uint8Array> {
  return new Map([...registers].filter(([n]) => n < 16))
}
