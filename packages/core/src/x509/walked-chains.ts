import type { Anchor } from './anchor.ts'
import type { Certificate } from './certificate.ts'
import type { RevocationList } from './crl.ts'
import type { ChainRequest, VerifiedChain } from './verify-chain.ts'

/** A walk that met no obstacle, and all that it rested on. */
interface Walk {
  readonly anchors: readonly Anchor[]
  readonly intermediates: readonly Certificate[]
  /** By number: a chain should not keep a list alive that was replaced long ago. */
  readonly lists: readonly number[]
  readonly require: 'every' | 'authorities' | 'not-checked'
  readonly leafKeyUsage: ChainRequest['leafKeyUsage']
  readonly extendedKeyUsage: ChainRequest['extendedKeyUsage']
  readonly handledCritical: readonly string[]
  readonly chain: VerifiedChain
  /** Milliseconds: from when, and before when, all certificates and lists hold. */
  readonly from: number
  readonly until: number
}

/**
 * Chains that were walked before, one for each leaf. A walk is found again by the very certificates, anchors and lists that
 * it was given, by what it was asked, and within the time for which all of them hold.
 */
export class WalkedChains {
  readonly #walks = new WeakMap<Certificate, Walk>()
  readonly #numbers = new WeakMap<RevocationList, number>()
  #last = 0

  find(request: ChainRequest): VerifiedChain | undefined {
    const walk = this.#walks.get(request.leaf)
    if (walk === undefined) return undefined
    const now = request.at.getTime()
    if (!(now >= walk.from && now < walk.until)) return undefined
    const { revocation, handledCritical = [] } = request
    const asked =
      request.leafKeyUsage === walk.leafKeyUsage &&
      request.extendedKeyUsage === walk.extendedKeyUsage &&
      (revocation === 'not-checked' ? revocation : revocation.require) === walk.require
    if (!asked || !same(handledCritical, walk.handledCritical)) return undefined
    if (!same(request.anchors, walk.anchors) || !same(request.intermediates, walk.intermediates)) return undefined
    const lists = revocation === 'not-checked' ? [] : revocation.lists
    return lists.length === walk.lists.length && lists.every((list, i) => this.#numbers.get(list) === walk.lists[i])
      ? walk.chain
      : undefined
  }

  /** @param chain - From a search that refused nobody on its way: at another time it would have gone the same way. */
  keep(request: ChainRequest, chain: VerifiedChain): void {
    const { leaf, revocation } = request
    const lists = revocation === 'not-checked' ? [] : revocation.lists
    const starts = [...chain.path, chain.anchor.certificate].map((c) => c.notBefore.getTime())
    this.#walks.set(leaf, {
      anchors: [...request.anchors],
      intermediates: [...request.intermediates],
      lists: lists.map((list) => this.#numberOf(list)),
      require: revocation === 'not-checked' ? revocation : revocation.require,
      leafKeyUsage: request.leafKeyUsage,
      extendedKeyUsage: request.extendedKeyUsage,
      handledCritical: [...(request.handledCritical ?? [])],
      chain,
      from: Math.max(...starts, ...lists.map((list) => list.thisUpdate.getTime())),
      until: chain.validUntil.getTime(),
    })
  }

  #numberOf(list: RevocationList): number {
    const known = this.#numbers.get(list)
    if (known !== undefined) return known
    this.#numbers.set(list, ++this.#last)
    return this.#last
  }
}

function same(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
