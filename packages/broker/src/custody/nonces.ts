import { randomBytes } from 'node:crypto'
import { type Secret, concat, fromBase64Url, toBase64Url, transcript } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { NonceCheck, NonceScope } from '../services/context.ts'

const RANDOM_BYTES = 16
const TIME_BYTES = 8
const MAC_BYTES = 32

/** How long a nonce may be used, by what it is for. */
const LIFETIME_MS = { enrol: 60_000, attest: 120_000, release: 60_000, request: 60_000 } as const

/** What a nonce is bound to beside its scope. A restored store has another epoch, and voids the nonces before it. */
export interface NonceIssuer {
  readonly brokerId: string
  readonly tenant: string
  readonly restoreEpoch: number
}

/**
 * A nonce that the broker can recognise without having stored it: random ‖ expiry ‖ HMAC over both, tenant, purpose,
 * session and restore epoch (decision 13). That it is used once is the store's to see to.
 */
export function issueNonce(
  key: Secret,
  issuer: NonceIssuer,
  scope: NonceScope,
  at: Date,
): { readonly nonce: string; readonly expiresAt: Date } {
  const expiresAt = new Date(at.getTime() + LIFETIME_MS[scope.purpose])
  const head = concat(randomBytes(RANDOM_BYTES), encodeTime(expiresAt))
  return { nonce: toBase64Url(concat(head, mac(key, issuer, scope, head))), expiresAt }
}

/** What is to be made of a nonce that a stranger shows. Anything that is not exactly ours is `unissued`. */
export function checkNonce(key: Secret, issuer: NonceIssuer, nonce: string, scope: NonceScope, at: Date): NonceCheck {
  const bytes = decode(nonce)
  if (bytes === null || bytes.length !== RANDOM_BYTES + TIME_BYTES + MAC_BYTES) return { state: 'unissued' }
  const head = bytes.subarray(0, RANDOM_BYTES + TIME_BYTES)
  const id = bytes.slice(RANDOM_BYTES + TIME_BYTES)
  if (!nodeCrypto.equal(id, mac(key, issuer, scope, head))) return { state: 'unissued' }
  const expiresAt = decodeTime(head.subarray(RANDOM_BYTES))
  return { state: at < expiresAt ? 'fresh' : 'expired', id, expiresAt }
}

function mac(key: Secret, issuer: NonceIssuer, scope: NonceScope, head: Uint8Array): Uint8Array {
  const fields = [issuer.brokerId, issuer.tenant, String(issuer.restoreEpoch), scope.purpose, scope.session, head]
  return nodeCrypto.hmac('sha256', key.expose(), transcript('vouchsafe/nonce/v1', fields, nodeCrypto))
}

function encodeTime(time: Date): Uint8Array {
  const bytes = new Uint8Array(TIME_BYTES)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(time.getTime()))
  return bytes
}

function decodeTime(bytes: Uint8Array): Date {
  return new Date(Number(new DataView(bytes.buffer, bytes.byteOffset, TIME_BYTES).getBigUint64(0)))
}

function decode(nonce: string): Uint8Array | null {
  try {
    return fromBase64Url(nonce, 'nonce')
  } catch {
    return null // not even base64url: certainly not ours
  }
}
