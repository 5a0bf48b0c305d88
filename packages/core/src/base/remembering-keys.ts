import type { CryptoPort, PublicKey } from './crypto.ts'

const MAX_KEPT = 4096

/** A crypto port for reading many records of the same few machines: a key that was read once is not read again. */
export function rememberingKeys(port: CryptoPort): CryptoPort {
  const keys = new Map<string, PublicKey>()
  return {
    digest: (hash, ...parts) => port.digest(hash, ...parts),
    hmac: (hash, key, ...parts) => port.hmac(hash, key, ...parts),
    equal: (a, b) => port.equal(a, b),
    verify: (...args) => port.verify(...args),

    async importPublicKey(spki) {
      const id = String.fromCharCode(...spki) // a name in a map, nothing to read
      const known = keys.get(id)
      if (known !== undefined) return known
      const key = await port.importPublicKey(spki)
      if (keys.size >= MAX_KEPT) keys.clear()
      keys.set(id, key)
      return key
    },
  }
}
