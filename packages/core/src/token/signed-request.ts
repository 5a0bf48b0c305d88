import { CompactSign, compactVerify } from 'jose'
import type { CryptoKey, KeyObject } from 'jose'
import { z } from 'zod'
import type { CryptoPort } from '../base/crypto.ts'
import { toBase64Url, utf8 } from '../base/encoding.ts'
import { VouchsafeError } from '../base/errors.ts'
import { ownerKeySchema, parseOwnerKey } from '../base/keys.ts'
import { readJws } from './jws.ts'

export const REQUEST_TYPE = 'vouchsafe-request+jwt'

/** What an owner, operator or auditor signs with each call that changes or reads what is theirs (decision 19). */
export interface RequestSubject {
  readonly method: string
  /** Path with query, as sent. */
  readonly path: string
  readonly body: Uint8Array
  readonly brokerId: string
}

const payloadSchema = z.strictObject({
  htm: z.string(),
  htu: z.string(),
  bdh: z.string().length(43),
  aud: z.string(),
  nonce: z.string().min(1).max(512),
  /** The signing key; which principal that is, the tenant's registry says. */
  key: ownerKeySchema,
  /** Ties the nonce to this signer's exchange. */
  session: z.string().min(16).max(64),
})
export type RequestClaims = z.infer<typeof payloadSchema>

/** Signs one call with an Ed25519 key. There are no bearer tokens to steal. */
export async function signRequest(
  subject: RequestSubject,
  signer: {
    readonly key: string
    readonly privateKey: CryptoKey | KeyObject
    readonly nonce: string
    readonly session: string
  },
  crypto: CryptoPort,
): Promise<string> {
  const payload = { ...expected(subject, crypto), nonce: signer.nonce, key: signer.key, session: signer.session }
  return new CompactSign(utf8(JSON.stringify(payload)))
    .setProtectedHeader({ alg: 'EdDSA', typ: REQUEST_TYPE })
    .sign(signer.privateKey)
}

/**
 * Reads which key claims to have signed a call, then checks that it did, over this very call. Whether that key may make
 * the call, and whether the nonce is fresh, is the broker's to say.
 *
 * @throws {VouchsafeError} `request.signature`
 */
export async function verifyRequest(
  signature: string,
  subject: RequestSubject,
  crypto: CryptoPort,
): Promise<RequestClaims> {
  try {
    const { payload } = readJws(signature, REQUEST_TYPE, [], 'EdDSA')
    const claims = payloadSchema.parse(payload)
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: toBase64Url(parseOwnerKey(claims.key)), alg: 'EdDSA' }
    await compactVerify(signature, jwk, { algorithms: ['EdDSA'] })
    for (const [name, wanted] of Object.entries(expected(subject, crypto))) {
      if (claims[name as keyof RequestClaims] !== wanted)
        throw new VouchsafeError('request.signature', `the signature is over another call: ${name} differs`)
    }
    return claims
  } catch (cause) {
    if (cause instanceof VouchsafeError && cause.code === 'request.signature') throw cause
    throw new VouchsafeError(
      'request.signature',
      `the call is not signed as it must be: ${cause instanceof Error ? cause.message : 'unreadable'}`,
      { cause },
    )
  }
}

function expected(s: RequestSubject, crypto: CryptoPort) {
  return { htm: s.method, htu: s.path, bdh: toBase64Url(crypto.digest('sha256', s.body)), aud: s.brokerId }
}
