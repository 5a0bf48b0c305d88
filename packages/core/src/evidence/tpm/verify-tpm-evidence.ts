import { parseTpmPublic, tpmName } from '@vouchsafe/tpm/codec'
import { ALL_PCRS, type VerifiedTpmQuote, verifyTpmQuote } from '@vouchsafe/tpm/verify'
import type { CryptoPort } from '../../base/crypto.ts'
import { fromBase64Url, fromHex } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { type Once, anew } from '../../base/once.ts'
import { type Anchor, type EndorsementMemo, parseCertificate, readEkCertificate } from '../../x509/index.ts'
import { type Verified, markVerified } from '../verified.ts'
import { machineId, verifyEkChain } from './enrolment.ts'
import { type ExplainedBoot, explainRegisters } from './explain-registers.ts'
import type { Enrolment, TpmEvidence } from './tpm-evidence.ts'
import { translated } from './translate.ts'

/** What is known once the quote, its key's endorsement and both logs agree. */
export interface TpmEvidenceContent extends ExplainedBoot {
  readonly machine: string
  readonly anchor: Anchor
  readonly quote: VerifiedTpmQuote
  /** SHA-256 bank, 24 values by number. */
  readonly registers: ReadonlyMap<number, Uint8Array>
}
export type VerifiedTpmEvidence = Verified<TpmEvidenceContent>

/** Trust, and what the evidence must commit to. All required. */
export interface TpmEvidenceTrust {
  readonly enrolment: Enrolment
  readonly anchors: readonly Anchor[]
  /** 32 bytes from `evidenceBinding`. */
  readonly binding: Uint8Array
  readonly at: Date
  readonly reuse?: Reuse
}

/** For many records of the same machines: what was read of the same text before, and whose certificates were checked. */
export interface Reuse {
  readonly once: Once
  readonly memo: EndorsementMemo
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
  const { enrolment, reuse } = trust
  const once = reuse?.once ?? anew
  if (evidence.akPublic !== enrolment.akPublic)
    throw new VouchsafeError(
      'evidence.unenrolled',
      `the evidence is by another key than the one enrolled as ${enrolment.machine}`,
    )
  const akPublic = once('akPublic', enrolment.akPublic, () => fromBase64Url(enrolment.akPublic, 'akPublic'))
  const { ek, anchor } = await verifyEkChain(
    once('ekCertificate', enrolment.ekCertificate, () =>
      readEkCertificate(fromBase64Url(enrolment.ekCertificate, 'ekCertificate')),
    ),
    enrolment.intermediates.map((c) =>
      once('certificate', c, () => parseCertificate(fromBase64Url(c, 'intermediates'))),
    ),
    trust.anchors,
    trust.at,
    crypto,
    reuse?.memo,
  )
  return translated(async () => {
    const name = once('akName', enrolment.akPublic, () => tpmName(parseTpmPublic(akPublic), crypto.digest))
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
    return markVerified({ machine, anchor, quote, registers, ...explainRegisters(evidence, registers, crypto, once) })
  })
}
