import { type P256Jwk, jwkThumbprint, parseSchema, p256JwkSchema } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'

/** A key pair that exists in this process's memory only: its private half cannot be exported, not even by us. */
export interface SessionKey {
  readonly jwk: P256Jwk
  /** RFC 7638. */
  readonly thumbprint: string
  readonly privateKey: CryptoKey
}

/** The two keys of one attestation at one broker (decision 7): never shared between brokers, never used twice. */
export interface SessionKeys {
  /** Secrets are sealed to it. */
  readonly seal: SessionKey
  /** Signs the requests of the token that is bound to it. */
  readonly proof: SessionKey
}

export async function newSessionKeys(): Promise<SessionKeys> {
  return {
    seal: await newKey({ name: 'ECDH', namedCurve: 'P-256' }, ['deriveBits']),
    proof: await newKey({ name: 'ECDSA', namedCurve: 'P-256' }, ['sign']),
  }
}

async function newKey(algorithm: EcKeyGenParams, usages: KeyUsage[]): Promise<SessionKey> {
  const pair = await crypto.subtle.generateKey(algorithm, false, usages)
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', pair.publicKey)
  const jwk = parseSchema(p256JwkSchema, { kty, crv, x, y }, 'session key')
  return { jwk, thumbprint: jwkThumbprint(jwk, nodeCrypto), privateKey: pair.privateKey }
}
