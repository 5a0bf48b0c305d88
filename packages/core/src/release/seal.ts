import { CompactEncrypt, CompactSign, compactDecrypt } from 'jose'
import type { CryptoKey } from 'jose'
import { z } from 'zod'
import type { CryptoPort } from '../base/crypto.ts'
import { fromBase64Url, toBase64Url, utf8 } from '../base/encoding.ts'
import { VouchsafeError } from '../base/errors.ts'
import { type P256Jwk, jwkThumbprint } from '../base/keys.ts'
import { parseSchema } from '../base/schema.ts'
import { parseStrictJson } from '../base/strict-json.ts'
import { readJws, verifyJws } from '../token/jws.ts'

const INNER_TYPE = 'vouchsafe-sealed+jws'
const OUTER_TYPE = 'vouchsafe-sealed+jwe'
const MAX_SECRET_BYTES = 1 << 20

/** What a sealed secret is, and for whom. Carried twice: outside in the protected header, inside under the broker's signature. */
export const sealedContextSchema = z.strictObject({
  issuer: z.string(),
  tenant: z.string(),
  resource: z.string(),
  version: z.number().int().min(1),
  agreement: z.string(),
  decision: z.string(),
  /** RFC 7638 thumbprint of the key it is sealed to. */
  sealKey: z.string(),
})
export type SealedContext = z.infer<typeof sealedContextSchema>

/**
 * Seals a secret to the attested key: the broker signs secret and context (JWS), then encrypts that to the seal key
 * (JWE, ECDH-ES with A256GCM). Encryption alone would not say who sealed (decision 11, G08).
 *
 * @param sealKey - Taken from verified evidence, never from beside it (A08).
 */
export async function seal(
  secret: Uint8Array,
  context: SealedContext,
  sealKey: P256Jwk,
  signer: CryptoKey,
): Promise<string> {
  const inner = await new CompactSign(utf8(JSON.stringify({ ...context, secret: toBase64Url(secret) })))
    .setProtectedHeader({ alg: 'ES256', typ: INNER_TYPE })
    .sign(signer)
  return new CompactEncrypt(utf8(inner))
    .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', typ: OUTER_TYPE, vouchsafe: context })
    .encrypt({ ...sealKey, alg: 'ECDH-ES' })
}

/** What the agent expects of a sealed secret; the version is the broker's to say. */
export type SealedExpectation = Omit<SealedContext, 'version' | 'decision'>

/**
 * Opens a sealed secret in the agent.
 *
 * @param brokerKey - The broker's sealing key, from the measured agreement.
 * @throws {VouchsafeError} `release.sealed-payload` when it does not open, was not signed by that broker, or is for
 *   another issuer, tenant, resource, agreement or key.
 */
export async function open(
  sealed: string,
  expected: SealedExpectation,
  sealKey: { readonly privateKey: CryptoKey; readonly jwk: P256Jwk },
  brokerKey: P256Jwk,
  crypto: CryptoPort,
): Promise<{ readonly secret: Uint8Array; readonly context: SealedContext }> {
  try {
    if (jwkThumbprint(sealKey.jwk, crypto) !== expected.sealKey)
      throw new VouchsafeError('release.sealed-payload', 'expected for another key than the one given')
    const { plaintext, protectedHeader } = await compactDecrypt(sealed, sealKey.privateKey, {
      keyManagementAlgorithms: ['ECDH-ES'],
      contentEncryptionAlgorithms: ['A256GCM'],
    })
    if (protectedHeader.typ !== OUTER_TYPE)
      throw new VouchsafeError('release.sealed-payload', `typ ${protectedHeader.typ}`)
    const outer = parseSchema(sealedContextSchema, protectedHeader['vouchsafe'], 'protected header')
    const inner = new TextDecoder().decode(plaintext)
    const { payload } = readJws(inner, INNER_TYPE, [])
    await verifyJws(inner, brokerKey)
    const { secret, ...context } = parseSchema(
      sealedContextSchema.extend({ secret: z.string().max(MAX_SECRET_BYTES * 2) }),
      payload,
      'payload',
    )
    for (const name of Object.keys(context) as (keyof SealedContext)[]) {
      if (context[name] !== outer[name])
        throw new VouchsafeError('release.sealed-payload', `${name} differs inside and outside`)
      if (name !== 'version' && name !== 'decision' && context[name] !== expected[name])
        throw new VouchsafeError('release.sealed-payload', `${name} is ${context[name]}, wanted ${expected[name]}`)
    }
    return { secret: fromBase64Url(secret, 'secret'), context }
  } catch (cause) {
    if (cause instanceof VouchsafeError && cause.code === 'release.sealed-payload') throw cause
    throw new VouchsafeError(
      'release.sealed-payload',
      `the sealed payload of ${expected.resource} does not open: ${cause instanceof Error ? cause.message : 'unreadable'}`,
      { cause },
    )
  }
}

/** Strict reading of the protected header for people and tools; nothing in it is authenticated yet. */
export function readSealedHeader(sealed: string): SealedContext {
  const head = sealed.split('.')[0] ?? ''
  const header = parseStrictJson(fromBase64Url(head, 'JWE header'), { maxBytes: 8192 })
  return parseSchema(z.looseObject({ vouchsafe: sealedContextSchema }), header, 'JWE header').vouchsafe
}
