import type { CryptoPort, PublicKey, SignatureScheme } from '../base/crypto.ts'
import type { Certificate } from './certificate.ts'
import { sameBytes } from './same-bytes.ts'
import { WalkedChains } from './walked-chains.ts'

/** What an issuer signs: a certificate or a revocation list, as parsed. */
export interface SignedByIssuer {
  readonly tbs: Uint8Array
  readonly signature: Uint8Array
}

/**
 * Remembers what was found out about endorsements, so that the same chip costs its own signature checks once, however
 * often it comes back. Only what follows from bytes alone is kept: that they parse to this, that this signature verifies
 * under that key, that these certificates and lists make a chain for as long as all of them hold. Other certificates, lists,
 * purposes, and a time outside are judged anew. Failures are not kept; strangers can make it forget, and nothing else. One
 * memo for one crypto port: keys imported by one are of no use to another.
 *
 * What it hands out again are the very objects it was given: treat their bytes as read-only.
 */
export class EndorsementMemo {
  readonly #maxEntries: number
  readonly #known = new Map<number, Known>()
  readonly #issued = new WeakMap<SignedByIssuer, WeakSet<Certificate>>()
  readonly #keys = new WeakMap<Certificate, PublicKey>()
  /** @internal */
  readonly walks = new WalkedChains()

  /** @param maxEntries - Endorsements kept; each takes a few KiB. */
  constructor(maxEntries = 4096) {
    this.#maxEntries = maxEntries
  }

  /**
   * The result of `make`, a pure function of `bytes`, computed once. It is found again by all of the bytes, which are kept:
   * comparing them takes a tenth of what a digest of them would.
   *
   * @param what - Tells apart what is made of the same bytes.
   */
  once<T extends object>(what: string, bytes: Uint8Array, make: () => T | Promise<T>): T | Promise<T> {
    const place = placeOf(bytes)
    const known = this.#known.get(place)
    if (known !== undefined && known.what === what && sameBytes(known.bytes, bytes)) {
      this.#known.delete(place) // and in again, as the youngest
      this.#known.set(place, known)
      return known.value as T
    }
    const kept = new Uint8Array(bytes) // before others run, who may write to the bytes
    const value = make()
    if (value instanceof Promise) return value.then((made) => this.#keep(place, { what, bytes: kept, value: made }))
    return this.#keep(place, { what, bytes: kept, value })
  }

  #keep<T extends object>(place: number, known: Known & { readonly value: T }): T {
    this.#known.delete(place) // what shares it goes, and its age with it
    if (this.#known.size >= this.#maxEntries) {
      const [oldest] = this.#known.keys()
      if (oldest !== undefined) this.#known.delete(oldest)
    }
    this.#known.set(place, known)
    return known.value
  }

  /** @internal The key in a certificate, imported once. */
  keyOf(crypto: CryptoPort, certificate: Certificate): PublicKey | Promise<PublicKey> {
    return this.#keys.get(certificate) ?? this.#importKey(crypto, certificate)
  }

  async #importKey(crypto: CryptoPort, certificate: Certificate): Promise<PublicKey> {
    const key = await crypto.importPublicKey(certificate.spki)
    this.#keys.set(certificate, key)
    return key
  }

  /** @internal Whether the signature of `issuer` on this was checked before, and was good. */
  isIssued(issuer: Certificate, signed: SignedByIssuer): boolean {
    return this.#issued.get(signed)?.has(issuer) === true
  }

  /** @internal Only after that check. */
  keepIssued(issuer: Certificate, signed: SignedByIssuer): void {
    const issuers = this.#issued.get(signed) ?? new WeakSet()
    this.#issued.set(signed, issuers.add(issuer))
  }
}

interface Known {
  readonly what: string
  readonly bytes: Uint8Array
  readonly value: object
}

const SAMPLE = 32

/**
 * Where to look for what was made of these bytes: told by their length, where they begin and where they end, which is where
 * a key or a signature stands. Others may share the place; the one that came last has it.
 */
function placeOf(bytes: Uint8Array): number {
  const { length } = bytes
  let hash = length
  const first = Math.min(SAMPLE, length)
  for (let i = 0; i < first; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193)
  for (let i = Math.max(first, length - SAMPLE); i < length; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193)
  return hash
}

/** Checks an issuer's signature, through the memo where there is one. */
export function isIssuedBy(
  crypto: CryptoPort,
  memo: EndorsementMemo | undefined,
  issuer: Certificate,
  signed: SignedByIssuer,
  scheme: SignatureScheme,
): true | Promise<boolean> {
  return memo?.isIssued(issuer, signed) === true ? true : checkIssued(crypto, memo, issuer, signed, scheme)
}

async function checkIssued(
  crypto: CryptoPort,
  memo: EndorsementMemo | undefined,
  issuer: Certificate,
  signed: SignedByIssuer,
  scheme: SignatureScheme,
): Promise<boolean> {
  const good = await crypto.verify(await keyOf(crypto, memo, issuer), scheme, signed.tbs, signed.signature)
  if (good) memo?.keepIssued(issuer, signed)
  return good
}

/** The key in a certificate, from the memo where there is one. */
export function keyOf(
  crypto: CryptoPort,
  memo: EndorsementMemo | undefined,
  certificate: Certificate,
): PublicKey | Promise<PublicKey> {
  return memo === undefined ? crypto.importPublicKey(certificate.spki) : memo.keyOf(crypto, certificate)
}

/** The result of a pure function of `bytes`, from the memo where there is one. */
export function once<T extends object>(
  memo: EndorsementMemo | undefined,
  what: string,
  bytes: Uint8Array,
  make: () => T | Promise<T>,
): T | Promise<T> {
  return memo === undefined ? make() : memo.once(what, bytes, make)
}
