import { parseTpmPublic, tpmName } from '@vouchsafe/tpm/codec'
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
import { ALL_PCRS, type VerifiedTpmQuote, verifyTpmQuote } from '@vouchsafe/tpm/verify'
import type { CryptoPort } from '../../base/crypto.ts'
import { fromBase64Url, fromHex } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import type { Anchor } from '../../x509/index.ts'
import { type Verified, markVerified } from '../verified.ts'
import { machineId, verifyEndorsement } from './enrolment.ts'
import type { Enrolment, TpmEvidence } from './tpm-evidence.ts'
import { translated } from './translate.ts'

/** What is known once the quote, its key's endorsement and both logs agree. */
export interface TpmEvidenceContent {
  readonly machine: string
  readonly anchor: Anchor
  readonly quote: VerifiedTpmQuote
  /** SHA-256 bank, 24 values by number. */
  readonly registers: ReadonlyMap<number, Uint8Array>
  readonly bootLog: TcgLog
  /** Empty where the kernel measures nothing after the boot. */
  readonly imaLog: ImaLog
  readonly launch: Launch
}
export type VerifiedTpmEvidence = Verified<TpmEvidenceContent>

/** Trust, and what the evidence must commit to. All required. */
export interface TpmEvidenceTrust {
  readonly enrolment: Enrolment
  readonly anchors: readonly Anchor[]
  /** 32 bytes from `evidenceBinding`. */
  readonly binding: Uint8Array
  readonly at: Date
}

/**
 * Verifies TPM evidence: the quote is by the enrolled key, whose endorsement chains to an anchor; it commits to this
 * request; and the logs of the boot, of the kernel and of the launch, replayed, are exactly what the quoted registers hold.
 *
 * @throws {VouchsafeError} `evidence.unenrolled`, `evidence.signature`, `evidence.key`, `evidence.binding`,
 *   `evidence.pcr-selection`, `evidence.algorithm`, `evidence.log`, `endorsement.*`, `input.malformed`
 */
export async function verifyTpmEvidence(
  evidence: TpmEvidence,
  trust: TpmEvidenceTrust,
  crypto: CryptoPort,
): Promise<VerifiedTpmEvidence> {
  const { enrolment } = trust
  if (evidence.akPublic !== enrolment.akPublic)
    throw new VouchsafeError(
      'evidence.unenrolled',
      `the evidence is by another key than the one enrolled as ${enrolment.machine}`,
    )
  const akPublic = fromBase64Url(enrolment.akPublic, 'akPublic')
  const { ek, anchor } = await verifyEndorsement(
    fromBase64Url(enrolment.ekCertificate, 'ekCertificate'),
    enrolment.intermediates.map((c) => fromBase64Url(c, 'intermediates')),
    trust.anchors,
    trust.at,
    crypto,
  )
  return translated(async () => {
    const name = tpmName(parseTpmPublic(akPublic), crypto.digest)
    const machine = machineId(ek.certificate.spki, name, crypto)
    if (machine !== enrolment.machine)
      throw new VouchsafeError(
        'evidence.unenrolled',
        `endorsement and attestation key make ${machine}, enrolled is ${enrolment.machine}`,
      )

    const registers = new Map(
      Object.entries(evidence.registers).map(([n, value]) => [Number(n), fromHex(value, `register ${n}`, 32)]),
    )
    const quote = await verifyTpmQuote(
      {
        attest: fromBase64Url(evidence.quote.attest, 'quote.attest'),
        signature: fromBase64Url(evidence.quote.signature, 'quote.signature'),
        akPublic,
        pcrs: { bank: 'sha256', values: registers },
        allowedBanks: ['sha256'],
        requiredPcrs: ALL_PCRS, // which of them matter is the appraisal's to say, not the guest's (B05)
        expectedExtraData: trust.binding,
      },
      crypto,
    )
    const bootLog = parseTcgLog(fromBase64Url(evidence.bootLog, 'bootLog'))
    const launchLog = parseCel(fromBase64Url(evidence.launchLog, 'launchLog'))
    const imaLog = evidence.imaLog === undefined ? null : parseImaLog(fromBase64Url(evidence.imaLog, 'imaLog'))
    verifyReplays(
      [
        replayTcgLog(bootLog, 'sha256', crypto),
        replayCel(launchLog, 'sha256', crypto),
        ...(imaLog === null ? [] : [replayIma(imaLog, 'sha256', crypto)]),
      ],
      { space: 'pcr', bank: 'sha256', values: countingRegisters(registers) },
      { mayBeUnexplained: [] },
    )
    const launch = readLaunch(launchLog, 'sha256', crypto)
    return markVerified({ machine, anchor, quote, registers, bootLog, imaLog: imaLog ?? [], launch })
  })
}

/** Registers 16 to 23 can be reset by the guest: whatever they hold, it proves nothing (B09). */
function countingRegisters(registers: ReadonlyMap<number, Uint8Array>): ReadonlyMap<number, Uint8Array> {
  return new Map([...registers].filter(([n]) => n < 16))
}
