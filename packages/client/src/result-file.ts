import {
  type DecisionRecord,
  type Envelope,
  type P256Jwk,
  VouchsafeError,
  fromBase64Url,
  fromUtf8,
  jwkThumbprint,
  p256JwkSchema,
  parseSchema,
  parseStrictJson,
  readJws,
  replayRecord,
  utf8,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { CompactEncrypt, CompactSign, compactDecrypt, compactVerify } from 'jose'
import type { CryptoKey, KeyObject } from 'jose'
import { z } from 'zod'

const INNER_TYPE = 'vouchsafe-result+jws'
const OUTER_TYPE = 'vouchsafe-result+jwe'
export const MAX_RESULT_BYTES = 32 * 1024

/** A result and what it rests on. */
export const resultSchema = z.strictObject({
  /** `sha256:…` of the agreement. */
  agreement: z.string(),
  machine: z.string(),
  recipient: z.string(),
  /** Ids of the releases that the result was computed from, by owner. */
  decisions: z.record(z.string(), z.string()),
  /** The exact bytes that the workload wrote, a JSON object, in base64url. */
  result: z.string().max(Math.ceil((MAX_RESULT_BYTES * 4) / 3)),
})
export type SealedResult = z.infer<typeof resultSchema>

/** A result as its recipient opens it. */
export interface OpenedResult extends Omit<SealedResult, 'result'> {
  /** The JSON text that the workload wrote. */
  readonly text: string
  /**
   * RFC 7638 thumbprint of the key that signed: the proof key of an attestation. A recipient finds it in its own broker's
   * record of that attestation, which is what makes the result the attested workload's word.
   */
  readonly proofKey: string
}

/**
 * Seals a result to one recipient: signed with the proof key of an attestation (JWS ES256), then encrypted to the
 * recipient's key from the agreement (JWE ECDH-ES, A256GCM). See docs/spec/results.md.
 */
export async function sealResult(
  content: SealedResult,
  recipientKey: P256Jwk,
  proofKey: { readonly jwk: P256Jwk; readonly privateKey: CryptoKey },
): Promise<string> {
  const inner = await new CompactSign(utf8(JSON.stringify(content)))
    .setProtectedHeader({ alg: 'ES256', typ: INNER_TYPE, jwk: proofKey.jwk })
    .sign(proofKey.privateKey)
  return new CompactEncrypt(utf8(inner))
    .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', typ: OUTER_TYPE })
    .encrypt({ ...recipientKey, alg: 'ECDH-ES' })
}

/**
 * Opens a result with the recipient's private key.
 *
 * @param expected - The agreement and the recipient that it must be for.
 * @throws {VouchsafeError} `release.sealed-payload` when it does not open, or is for another agreement or recipient
 */
export async function openResult(
  sealed: string,
  expected: { readonly agreement: string; readonly recipient: string },
  privateKey: CryptoKey | KeyObject,
): Promise<OpenedResult> {
  try {
    const { plaintext, protectedHeader } = await compactDecrypt(sealed, privateKey, {
      keyManagementAlgorithms: ['ECDH-ES'],
      contentEncryptionAlgorithms: ['A256GCM'],
    })
    if (protectedHeader.typ !== OUTER_TYPE) throw refused(`typ is ${protectedHeader.typ}`)
    const inner = fromUtf8(plaintext, 'result')
    const { header, payload } = readJws(inner, INNER_TYPE, ['jwk'])
    const jwk = parseSchema(p256JwkSchema, header['jwk'], 'result.jwk')
    await compactVerify(inner, { ...jwk, alg: 'ES256' }, { algorithms: ['ES256'] })
    const content = parseSchema(resultSchema, payload, 'result')
    for (const name of ['agreement', 'recipient'] as const) {
      if (content[name] !== expected[name]) throw refused(`${name} is ${content[name]}, wanted ${expected[name]}`)
    }
    const { result, ...context } = content
    const bytes = fromBase64Url(result, 'result')
    parseStrictJson(bytes, { maxBytes: MAX_RESULT_BYTES })
    return { ...context, text: fromUtf8(bytes, 'result'), proofKey: jwkThumbprint(jwk, nodeCrypto) }
  } catch (cause) {
    if (cause instanceof VouchsafeError && cause.code === 'release.sealed-payload') throw cause
    throw refused(cause instanceof Error ? cause.message : 'unreadable', cause)
  }
}

/**
 * Demands that the key which signed a result was attested, and released to, by the decision of one owner that it names.
 *
 * @param record - That decision's record, from the owner's own broker. @param decisionKey - The broker's `ed25519:…`.
 * @returns What the record says of the workload.
 * @throws {VouchsafeError} `release.sealed-payload` for anything else
 */
export async function verifyMaker(
  opened: OpenedResult,
  record: Envelope,
  decisionKey: string,
): Promise<DecisionRecord> {
  const replay = await replayRecord(record, decisionKey, nodeCrypto)
  const attest = replay.record.operation === 'release' ? replay.record.inputs.attest : null
  const released = replay.signed === true && replay.reproduced && replay.verdict.kind === 'release'
  if (
    !released ||
    !Object.values(opened.decisions).includes(replay.record.id) ||
    attest?.agreementDigest !== opened.agreement ||
    jwkThumbprint(attest.proofKey, nodeCrypto) !== opened.proofKey
  )
    throw new VouchsafeError(
      'release.sealed-payload',
      `the result is not by the workload that ${replay.record.id} released to`,
    )
  return replay.record
}

function refused(why: string, cause?: unknown): VouchsafeError {
  return new VouchsafeError('release.sealed-payload', `the result does not open: ${why}`, { cause })
}
