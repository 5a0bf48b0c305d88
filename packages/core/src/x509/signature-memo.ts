import type { CryptoPort, PublicKey, SignatureScheme } from '../base/crypto.ts'
import { toHex } from '../base/encoding.ts'

interface Signed {
  readonly spki: Uint8Array
  readonly scheme: SignatureScheme
  readonly data: Uint8Array
  readonly signature: Uint8Array
}

/**
 * Remembers which signatures over certificates and collateral have verified, so that the same endorsement costs one
 * signature check however often it comes back. Only what is a pure function of the bytes is kept: validity, revocation
 * and every other rule run each time. Failures are not kept, so a flood of bad certificates cannot push good ones out.
 */
export class SignatureMemo {
  readonly #maxEntries: number
  readonly #good = new Set<string>()
  readonly #keys = new Map<string, PublicKey>()

  constructor(maxEntries = 4096) {
    this.#maxEntries = maxEntries
  }

  /** @internal */
  async verify(crypto: CryptoPort, signed: Signed): Promise<boolean> {
    const spkiDigest = crypto.digest('sha256', signed.spki)
    const dataDigest = crypto.digest('sha256', signed.data)
    const scheme = new TextEncoder().encode(JSON.stringify(signed.scheme))
    const schemeDigest = crypto.digest('sha256', scheme)
    // four digests of fixed size: nothing can move from one field to the next
    const id = toHex(
      crypto.digest('sha256', spkiDigest, dataDigest, schemeDigest, crypto.digest('sha256', signed.signature)),
    )
    if (this.#good.has(id)) {
      this.#good.delete(id) // and in again, as the youngest
      this.#good.add(id)
      return true
    }
    const keyId = toHex(spkiDigest)
    const key = this.#keys.get(keyId) ?? (await crypto.importPublicKey(signed.spki))
    const good = await crypto.verify(key, signed.scheme, signed.data, signed.signature)
    if (good) {
      remember(this.#good, this.#maxEntries)
      this.#good.add(id)
      remember(this.#keys, this.#maxEntries)
      this.#keys.set(keyId, key)
    }
    return good
  }
}

/** Makes room for one more by dropping the oldest. */
function remember(kept: Set<string> | Map<string, unknown>, max: number): void {
  if (kept.size < max) return
  for (const oldest of kept.keys()) {
    kept.delete(oldest)
    return
  }
}

/** Checks one signature, through the memo where there is one. */
export async function verifySigned(
  crypto: CryptoPort,
  memo: SignatureMemo | undefined,
  signed: Signed,
): Promise<boolean> {
  if (memo !== undefined) return memo.verify(crypto, signed)
  return crypto.verify(await crypto.importPublicKey(signed.spki), signed.scheme, signed.data, signed.signature)
}
