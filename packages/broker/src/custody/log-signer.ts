import { type KeyObject, createPublicKey, sign, verify } from 'node:crypto'
import { VouchsafeError, logKeyOf, parseCheckpoint, utf8 } from '@vouchsafe/core'
import type { LogKey } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { LogSigner } from '../store/store.ts'

/**
 * Signs one log's checkpoints with an Ed25519 key, and knows its own again.
 *
 * @param earlier - Keys that signed this log before a rotation.
 */
export function logSigner(
  origin: string,
  key: KeyObject,
  earlier: readonly LogKey[] = [],
): LogSigner & { readonly key: LogKey } {
  const own = logKeyOf(origin, rawPublicKey(key), nodeCrypto)
  const known = [own, ...earlier].map((k) => ({ ...k, object: publicKeyObject(k.publicKey) }))
  return {
    key: own,
    name: origin,
    keyHash: own.keyHash,
    sign: (bytes) => new Uint8Array(sign(null, bytes, key)),
    recognises(checkpoint) {
      const { origin: name, text, signatures } = parseCheckpoint(checkpoint)
      if (name !== origin) return false
      return signatures.some((s) =>
        known.some(
          (k) =>
            s.name === k.name &&
            nodeCrypto.equal(s.keyHash, k.keyHash) &&
            verify(null, utf8(text), k.object, s.signature),
        ),
      )
    },
  }
}

/** 32 bytes of an Ed25519 key's public half. */
export function rawPublicKey(key: KeyObject): Uint8Array {
  const { x, crv } = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' })
  if (crv !== 'Ed25519' || x === undefined) throw new VouchsafeError('internal', `a log signs with Ed25519, not ${crv}`)
  return new Uint8Array(Buffer.from(x, 'base64url'))
}

function publicKeyObject(raw: Uint8Array): KeyObject {
  const x = Buffer.from(raw).toString('base64url')
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
}
