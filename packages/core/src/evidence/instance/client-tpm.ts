import { parseTpmPublic, tpmName } from '@vouchsafe/tpm/codec'
import { type TcgLog, parseTcgLog, replayTcgLog, verifyReplays } from '@vouchsafe/tpm/eventlog'
import {
  ALL_PCRS,
  type TpmQuoteToVerify,
  type VerifiedTpmQuote,
  importAttestationKey,
  spkiOfTpmPublic,
  verifyTpmQuote,
} from '@vouchsafe/tpm/verify'
import { z } from 'zod'
import type { CryptoPort } from '../../base/crypto.ts'
import { fromBase64Url, fromHex, toHex, utf8 } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { type P256Jwk, jwkThumbprint, p256JwkSchema } from '../../base/keys.ts'
import type { Anchor } from '../../x509/index.ts'
import { verifyEndorsement } from '../tpm/enrolment.ts'
import { translated } from '../tpm/translate.ts'
import { type Verified, markVerified } from '../verified.ts'
import { type ClientExchange, channelNonce, clientQuoteBinding } from './client-binding.ts'

const base64Url = (maxBytes: number) =>
  z
    .string()
    .regex(/^[A-Za-z0-9_-]*$/, 'wanted base64url')
    .max(Math.ceil((maxBytes * 4) / 3))
const register = z.string().regex(/^(?:[0-9]|1[0-9]|2[0-3])$/)
const value = z.string().regex(/^[0-9a-f]{64}$/)

/** TPM evidence of a client of the distributor. Nothing in it is believed before `verifyClientTpm`. */
export const clientTpmEvidenceSchema = z.strictObject({
  /** TPMT_PUBLIC of the endorsement key. Null for a client that shows only the attestation key which its platform publishes. */
  ekPublic: base64Url(1024).nullable(),
  /** DER; null where the platform's record vouches for the endorsement key. */
  ekCertificate: base64Url(8192).nullable(),
  intermediates: z.array(base64Url(8192)).max(4),
  /** TPMT_PUBLIC of the attestation key. */
  akPublic: base64Url(1024),
  /** What the broker saw: only its own challenge can tell. */
  activation: z.enum(['activated', 'not-activated', 'platform-key']),
  quote: z.strictObject({ attest: base64Url(2048), signature: base64Url(1024) }),
  /** SHA-256 bank. Null for a client that sends no values: then those that its owner pins are tried. */
  registers: z.record(register, value).nullable(),
  bootLog: base64Url(1024 * 1024).nullable(),
  binding: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('seal-key'), nonce: z.string().max(128), sealKey: p256JwkSchema }),
    /** The nonce was made of `random` and the certificate of the connection. */
    z.strictObject({ kind: z.literal('channel'), random: z.string().max(128) }),
  ]),
  nonceState: z.enum(['fresh', 'unissued', 'expired', 'used']),
})
export type ClientTpmEvidence = z.infer<typeof clientTpmEvidenceSchema>

export interface ClientTpmTrust {
  readonly exchange: ClientExchange
  /** SHA-256 of the certificate shown in the connection, or empty. */
  readonly certificate: string
  /** DER SubjectPublicKeyInfo of the endorsement key that the owner approved. */
  readonly endorsementKey: Uint8Array
  /** DER SubjectPublicKeyInfo of the attestation key that the platform publishes now, or null. */
  readonly platformKey: Uint8Array | null
  /** Registers that the owner pins, with the values that count. */
  readonly pinned: Readonly<Record<string, readonly string[]>>
  readonly anchors: readonly Anchor[]
  readonly at: Date
}

export interface ClientTpmContent {
  /** What vouches for the endorsement key beside the owner's pin: an anchor, or nothing that is cryptographic. */
  readonly anchor: Anchor | null
  readonly akName: string
  readonly quote: VerifiedTpmQuote
  readonly registers: Readonly<Record<string, string>>
  readonly bootLog: TcgLog | null
  /** The key that the quote commits to, for sealing; null when it commits to the connection's certificate. */
  readonly sealKey: P256Jwk | null
}
export type VerifiedClientTpm = Verified<ClientTpmContent>

/**
 * Verifies that a client's quote is by a restricted key of the TPM that its owner approved, fresh and for this very
 * exchange, and that the boot log, where there is one, is what its registers hold.
 *
 * @throws {VouchsafeError} `evidence.*`, `endorsement.*`, `input.malformed`
 */
export async function verifyClientTpm(
  evidence: ClientTpmEvidence,
  trust: ClientTpmTrust,
  crypto: CryptoPort,
): Promise<VerifiedClientTpm> {
  if (evidence.nonceState !== 'fresh')
    throw new VouchsafeError('evidence.stale', `the nonce is ${evidence.nonceState}, wanted one that is fresh`)
  const akPublic = fromBase64Url(evidence.akPublic, 'akPublic')
  return translated(async () => {
    const { area } = await importAttestationKey(akPublic, crypto)
    if (area === undefined) throw new VouchsafeError('internal', 'an attestation key without public area')
    const anchor = await verifyOrigin(evidence, trust, spkiOfTpmPublic(area), crypto)
    const quote = await verifyQuote(evidence, akPublic, trust, crypto)
    const bootLog = evidence.bootLog === null ? null : parseTcgLog(fromBase64Url(evidence.bootLog, 'bootLog'))
    if (bootLog !== null) verifyBootLog(bootLog, quote, crypto)
    return markVerified({
      anchor,
      akName: toHex(tpmName(parseTpmPublic(akPublic), crypto.digest)),
      quote,
      registers: Object.fromEntries([...quote.registers.values].map(([n, v]) => [String(n), toHex(v)])),
      bootLog,
      sealKey: evidence.binding.kind === 'seal-key' ? evidence.binding.sealKey : null,
    })
  })
}

/** Which TPM the attestation key lives in: by a credential that the endorsement key opened, or by the platform's own record. */
async function verifyOrigin(
  evidence: ClientTpmEvidence,
  trust: ClientTpmTrust,
  akSpki: Uint8Array,
  crypto: CryptoPort,
): Promise<Anchor | null> {
  if (evidence.activation === 'platform-key') {
    if (trust.platformKey === null || !crypto.equal(trust.platformKey, akSpki))
      throw new VouchsafeError('evidence.unenrolled', 'the platform publishes another attestation key, or none')
    return null
  }
  if (evidence.activation !== 'activated' || evidence.ekPublic === null)
    throw new VouchsafeError('evidence.unenrolled', 'the endorsement key did not activate this attestation key')
  const ekSpki = spkiOfTpmPublic(parseTpmPublic(fromBase64Url(evidence.ekPublic, 'ekPublic')))
  if (!crypto.equal(ekSpki, trust.endorsementKey))
    throw new VouchsafeError('endorsement.mismatch', 'the endorsement key is not the one that the owner approved')
  if (evidence.ekCertificate === null) return null
  const { ek, anchor } = await verifyEndorsement(
    fromBase64Url(evidence.ekCertificate, 'ekCertificate'),
    evidence.intermediates.map((c) => fromBase64Url(c, 'intermediates')),
    trust.anchors,
    trust.at,
    crypto,
  )
  if (!crypto.equal(ek.certificate.spki, ekSpki))
    throw new VouchsafeError('endorsement.mismatch', 'the endorsement certificate is of another key')
  return anchor
}

async function verifyQuote(
  evidence: ClientTpmEvidence,
  akPublic: Uint8Array,
  trust: ClientTpmTrust,
  crypto: CryptoPort,
): Promise<VerifiedTpmQuote> {
  const common = {
    attest: fromBase64Url(evidence.quote.attest, 'quote.attest'),
    signature: fromBase64Url(evidence.quote.signature, 'quote.signature'),
    akPublic,
    allowedBanks: ['sha256'],
    expectedExtraData: expectedExtraData(evidence, trust, crypto),
  } as const
  const verifyWith = (values: TpmQuoteToVerify['pcrs']['values'], requiredPcrs: readonly number[]) =>
    verifyTpmQuote({ ...common, pcrs: { bank: 'sha256', values }, requiredPcrs }, crypto)
  if (evidence.registers !== null) return verifyWith(valuesOf(evidence.registers), ALL_PCRS)
  // no values were sent: the quote is over one register, so it must hold one of the values that the owner pins
  const [only, ...more] = Object.entries(trust.pinned)
  if (only === undefined || more.length > 0)
    throw new VouchsafeError(
      'evidence.pcr-selection',
      `the client quotes one register, its owner pins ${Object.keys(trust.pinned).join(', ') || 'none'}`,
    )
  const [n, candidates] = only
  const [last, ...others] = candidates.toReversed()
  for (const candidate of others) {
    try {
      return await verifyWith(valuesOf({ [n]: candidate }), [Number(n)])
    } catch (error) {
      if ((error as { readonly code?: unknown }).code !== 'evidence.mismatch') throw error
    }
  }
  return verifyWith(valuesOf({ [n]: last ?? '' }), [Number(n)])
}

function expectedExtraData(evidence: ClientTpmEvidence, trust: ClientTpmTrust, crypto: CryptoPort): Uint8Array {
  const { binding } = evidence
  const { exchange, certificate } = trust
  if (binding.kind === 'channel') return utf8(channelNonce(exchange, { random: binding.random, certificate }, crypto))
  const sealKey = jwkThumbprint(binding.sealKey, crypto)
  return clientQuoteBinding(exchange, { nonce: binding.nonce, sealKey, certificate }, crypto)
}

function valuesOf(registers: Readonly<Record<string, string>>): ReadonlyMap<number, Uint8Array> {
  return new Map(Object.entries(registers).map(([n, v]) => [Number(n), fromHex(v, `register ${n}`, 32)]))
}

/** Registers that no boot log writes may hold what the system measured later; owners pin those that matter to them. */
function verifyBootLog(log: TcgLog, quote: VerifiedTpmQuote, crypto: CryptoPort): void {
  const replay = replayTcgLog(log, 'sha256', crypto)
  const counting = new Map([...quote.registers.values].filter(([n]) => n < 16))
  verifyReplays([replay], { ...quote.registers, values: counting }, { mayBeUnexplained: [10, 11, 12, 13, 14, 15] })
}
