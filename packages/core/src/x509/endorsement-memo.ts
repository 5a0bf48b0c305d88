import type { CryptoPort, PublicKey, SignatureScheme } from '../base/crypto.ts'
import { toHex } from '../base/encoding.ts'
import type { Certificate } from './certificate.ts'

/** What an issuer signs: a certificate or a revocation list, as parsed. */
export interface SignedByIssuer {
  readonly tbs: Uint8Array
  readonly signature: Uint8Array
}

/**
 * Remembers what was found out about endorsements, so that the same chip costs its own signature checks once, however
 * often it comes back. Only what follows from bytes alone is kept: that they parse to this, that this signature verifies
 * under that key. Validity, revocation, purpose and every other rule run each time. Failures are not kept; a flood of
 * strangers can make it forget, and nothing else. One memo for one crypto port: keys imported by one are of no use to another.
 *
 * What it hands out again are the very objects it was given: treat their bytes as read-only.
 */
export class EndorsementMemo {
  readonly #maxEntries: number
  readonly #known = new Map<string, unknown>()
  readonly #issued = new WeakMap<SignedByIssuer, WeakSet<Certificate>>()
  readonly #keys = new WeakMap<Certificate, PublicKey>()

  /** @param maxEntries - Endorsements kept; each takes a few KiB. */
  constructor(maxEntries = 4096) {
    this.#maxEntries = maxEntries
  }

  /**
   * The result of `make`, a pure function of `bytes`, computed once.
   * @param what - Tells apart what is made of the same bytes.
   */
  async once<T>(crypto: CryptoPort, what: string, bytes: Uint8Array, make: () => T | Promise<T>): Promise<T> {
    const id = `${what} ${toHex(crypto.digest('sha256', bytes))}`
    if (this.#known.has(id)) {
      const value = this.#known.get(id) as T
      this.#known.delete(id) // and in again, as the youngest
      this.#known.set(id, value)
      return value
    }
    const value = await make()
    const [oldest] = this.#known.keys()
    if (oldest !== undefined && this.#known.size >= this.#maxEntries) this.#known.delete(oldest)
    this.#known.set(id, value)
    return value
  }

  /** @internal The key in a certificate, imported once. */
  async keyOf(crypto: CryptoPort, certificate: Certificate): Promise<PublicKey> {
    const known = this.#keys.get(certificate)
    if (known !== undefined) return known
    const key = await crypto.importPublicKey(certificate.spki)
    this.#keys.set(certificate, key)
    return key
  }

  /** @internal Whether `issuer` signed this, checked once for these two objects. */
  async isIssued(issuer: Certificate, signed: SignedByIssuer, check: () => Promise<boolean>): Promise<boolean> {
    const issuers = this.#issued.get(signed) ?? new WeakSet()
    if (issuers.has(issuer)) return true
    const good = await check()
    if (good) this.#issued.set(signed, issuers.add(issuer))
    return good
  }
}

/** Checks an issuer's signature, through the memo where there is one. */
export async function isIssuedBy(
  crypto: CryptoPort,
  memo: EndorsementMemo | undefined,
  issuer: Certificate,
  signed: SignedByIssuer,
  scheme: SignatureScheme,
): Promise<boolean> {
  const check = async () => crypto.verify(await keyOf(crypto, memo, issuer), scheme, signed.tbs, signed.signature)
  return memo === undefined ? check() : memo.isIssued(issuer, signed, check)
}

/** The key in a certificate, from the memo where there is one. */
export async function keyOf(
  crypto: CryptoPort,
  memo: EndorsementMemo | undefined,
  certificate: Certificate,
): Promise<PublicKey> {
  return memo === undefined ? crypto.importPublicKey(certificate.spki) : memo.keyOf(crypto, certificate)
}

/** The result of a pure function of `bytes`, from the memo where there is one. */
export async function once<T>(
  crypto: CryptoPort,
  memo: EndorsementMemo | undefined,
  what: string,
  bytes: Uint8Array,
  make: () => T | Promise<T>,
): Promise<T> {
  return memo === undefined ? make() : memo.once(crypto, what, bytes, make)
}
