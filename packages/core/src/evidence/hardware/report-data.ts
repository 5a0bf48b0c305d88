import type { CryptoPort } from '../../base/crypto.ts'
import { concat } from '../../base/encoding.ts'
import { transcript } from '../../base/transcript.ts'

/**
 * The 64 bytes that a CPU's report carries for one request: the transcript of the request (decision 6), then that of the
 * launch log. A CPU has no register that the launch could be measured into, so the measured agent states the launch, and
 * the report commits to its very words.
 *
 * @param binding - 32 bytes of `evidenceBinding`.
 */
export function hardwareReportData(binding: Uint8Array, launchLog: Uint8Array, crypto: CryptoPort): Uint8Array {
  return concat(binding, transcript('vouchsafe/launch-log/v1', [launchLog], crypto))
}
