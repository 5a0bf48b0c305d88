import { z } from 'zod'
import type { CryptoPort } from '../../base/crypto.ts'
import { fromBase64, fromBase64Url, utf8 } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { parseStrictJson } from '../../base/strict-json.ts'

const MAX_DOCUMENT_BYTES = 16 * 1024
/** How far a platform's clock may be ahead of ours. */
const MAX_AHEAD_SECONDS = 2

/** A key under which a platform signs identity documents. The algorithm is the key's, never the document's. */
export const identityKeySchema = z.strictObject({
  kid: z.string().min(1).max(256),
  alg: z.enum(['RS256', 'ES256']),
  /** DER SubjectPublicKeyInfo, base64. */
  spki: z.base64().max(4096),
})
export type IdentityKey = z.infer<typeof identityKeySchema>

export interface IdentityExpectation {
  readonly keys: readonly IdentityKey[]
  readonly issuer: string
  readonly audience: string
  /** How old the document may be, by its `iat`. */
  readonly maxAgeSeconds: number
  readonly at: Date
}

/** What a platform signed of an instance. */
export interface InstanceIdentity {
  readonly instance: string
  readonly name: string
  readonly project: string
  readonly zone: string
  /** The account that the instance runs as. */
  readonly account: string
  /** Whether the platform says that memory is encrypted; undefined where it says nothing. */
  readonly memoryEncrypted: boolean | undefined
  readonly issuedAt: Date
}

const headerSchema = z.strictObject({ alg: z.string(), kid: z.string().max(256), typ: z.literal('JWT').optional() })
/** Other members are the platform's own matter, so they are let through here and nowhere read. */
const payloadSchema = z.looseObject({
  iss: z.string(),
  aud: z.string(),
  iat: z.number().int(),
  exp: z.number().int(),
  nbf: z.number().int().optional(),
  email: z.string().min(1).max(320),
  email_verified: z.literal(true),
  google: z.looseObject({
    compute_engine: z.looseObject({
      instance_id: z.string().min(1).max(64),
      instance_name: z.string().min(1).max(128),
      project_id: z.string().min(1).max(128),
      zone: z.string().min(1).max(128),
      instance_confidentiality: z.number().int().optional(),
    }),
  }),
})

/**
 * Verifies an instance identity document: signed under one of the issuer's keys, by this issuer, for this audience, just
 * now. It says which instance asks, not in what state it is.
 *
 * @throws {VouchsafeError} `token.malformed`, `token.signature`, `token.issuer`, `token.audience`, `token.expired`;
 *   `token.age` when it was made too long ago or in the future
 */
export async function verifyIdentityDocument(
  document: string,
  expected: IdentityExpectation,
  crypto: CryptoPort,
): Promise<InstanceIdentity> {
  const { header, payload, signed, signature } = readDocument(document)
  const key = expected.keys.find((k) => k.kid === header.kid)
  if (key === undefined)
    throw new VouchsafeError('token.signature', 'identity document: no key of the issuer has its kid')
  if (header.alg !== key.alg)
    throw new VouchsafeError('token.malformed', `identity document: alg ${header.alg}, the key is for ${key.alg}`)
  const scheme =
    key.alg === 'RS256'
      ? ({ kind: 'rsa-pkcs1', hash: 'sha256' } as const)
      : ({ kind: 'ecdsa', hash: 'sha256', encoding: 'raw' } as const)
  const publicKey = await crypto.importPublicKey(fromBase64(key.spki, 'identity key'))
  if (!(await crypto.verify(publicKey, scheme, signed, signature)))
    throw new VouchsafeError('token.signature', 'identity document: its signature does not verify')
  assertClaims(payload, expected)
  const { instance_id, instance_name, project_id, zone, instance_confidentiality } = payload.google.compute_engine
  return {
    instance: instance_id,
    name: instance_name,
    project: project_id,
    zone,
    account: payload.email,
    memoryEncrypted: instance_confidentiality === undefined ? undefined : instance_confidentiality === 1,
    issuedAt: new Date(payload.iat * 1000),
  }
}

function assertClaims(payload: z.output<typeof payloadSchema>, expected: IdentityExpectation): void {
  const now = expected.at.getTime() / 1000
  if (payload.iss !== expected.issuer)
    throw new VouchsafeError('token.issuer', `identity document: issuer ${payload.iss}, wanted ${expected.issuer}`)
  if (payload.aud !== expected.audience)
    throw new VouchsafeError(
      'token.audience',
      `identity document: audience ${payload.aud}, wanted ${expected.audience}`,
    )
  if (now >= payload.exp || (payload.nbf !== undefined && now + MAX_AHEAD_SECONDS < payload.nbf))
    throw new VouchsafeError('token.expired', 'identity document: not valid at this time')
  if (payload.iat > now + MAX_AHEAD_SECONDS)
    throw new VouchsafeError(
      'token.age',
      `identity document: made ${Math.round(payload.iat - now)} seconds in the future`,
    )
  if (now - payload.iat > expected.maxAgeSeconds)
    throw new VouchsafeError(
      'token.age',
      `identity document: ${Math.round(now - payload.iat)} seconds old, at most ${expected.maxAgeSeconds}`,
    )
}

/**
 * Which instance a document says it is of, and which key says so. Believed only after `verifyIdentityDocument`.
 *
 * @throws {VouchsafeError} `token.malformed`
 */
export function claimedIdentity(document: string): { readonly instance: string; readonly kid: string } {
  const { header, payload } = readDocument(document)
  return { instance: payload.google.compute_engine.instance_id, kid: header.kid }
}

function readDocument(document: string) {
  const parts = document.split('.')
  const [head, body, signature] = parts
  if (document.length > MAX_DOCUMENT_BYTES || parts.length !== 3 || head === undefined || body === undefined)
    throw new VouchsafeError('token.malformed', 'identity document: not a compact JWS')
  try {
    const limits = { maxBytes: MAX_DOCUMENT_BYTES }
    return {
      header: headerSchema.parse(parseStrictJson(fromBase64Url(head, 'header'), limits)),
      payload: payloadSchema.parse(parseStrictJson(fromBase64Url(body, 'payload'), limits)),
      signed: utf8(`${head}.${body}`),
      signature: fromBase64Url(signature ?? '', 'signature'),
    }
  } catch (cause) {
    const issue = cause instanceof z.ZodError ? cause.issues[0] : undefined
    const why = issue === undefined ? (cause as Error).message : `${issue.path.join('.')}: ${issue.message}`
    throw new VouchsafeError('token.malformed', `identity document: ${why}`, { cause })
  }
}
