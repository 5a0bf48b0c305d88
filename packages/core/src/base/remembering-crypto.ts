import type { CryptoPort, PublicKey, SignatureScheme } from './crypto.ts'

const MAX_KEPT = 4096

/**
 * A crypto port for reading many records of the same few machines: a key that was read once is not read again, and a
 * signature that verified over the same bytes under the same key is not verified again. Both follow from bytes alone.
 * What failed is not kept.
 */
export function rememberingCrypto(port: CryptoPort): CryptoPort {
  const keys = new Map<string, PublicKey>()
  const verified = new Map<PublicKey, Set<string>>()

  return {
    digest: (hash, ...parts) => port.digest(hash, ...parts),
    hmac: (hash, key, ...parts) => port.hmac(hash, key, ...parts),
    equal: (a, b) => port.equal(a, b),

    async importPublicKey(spki) {
      const id = text(spki)
      const known = keys.get(id)
      if (known !== undefined) return known
      const key = await port.importPublicKey(spki)
      if (keys.size >= MAX_KEPT) keys.clear()
      keys.set(id, key)
      return key
    },

    async verify(key: PublicKey, scheme: SignatureScheme, data: Uint8Array, signature: Uint8Array) {
      const id = `${JSON.stringify(scheme)} ${text(port.digest('sha256', data))} ${text(signature)}`
      const known = verified.get(key) ?? new Set()
      if (known.has(id)) return true
      const good = await port.verify(key, scheme, data, signature)
      if (!good) return false
      if (known.size >= MAX_KEPT) known.clear()
      if (verified.size >= MAX_KEPT) verified.clear()
      verified.set(key, known.add(id))
      return true
    },
  }
}

/** Bytes as a text of as many characters: a name in a map, nothing to read. */
function text(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes)
}
