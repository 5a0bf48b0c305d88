import { VouchsafeError } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { HeadGuard, KeptHead } from './head-guard.ts'
import { rootAt } from './log-proofs.ts'
import type { Steps } from './steps.ts'

/**
 * What this process knows of every log: the newest head that it saw, kept in memory and by the guard. A log may only
 * grow from there. Whatever else is found seals the store for good: `ledger.regressed` until somebody looks.
 */
export class KnownHeads {
  readonly #heads = new Map<string, KeptHead>()
  /** The heads that this process wrote itself: their signatures need no second look. */
  readonly #own = new WeakSet<KeptHead>()
  readonly #guard: HeadGuard
  readonly #unkept = new Set<string>()
  #regressed: VouchsafeError | null = null

  constructor(guard: HeadGuard) {
    this.#guard = guard
  }

  /** Why the store is sealed; null while it is not. */
  get regressed(): VouchsafeError | null {
    return this.#regressed
  }

  assertNotRegressed(): void {
    if (this.#regressed !== null) throw this.#regressed
  }

  /** What the guard has kept of a tenant, from before this process began. False when it has nothing. */
  async load(tenant: string): Promise<boolean> {
    const kept = await this.#guard.kept(tenant)
    if (kept !== null) this.#heads.set(tenant, kept)
    return kept !== null
  }

  get(tenant: string): KeptHead | null {
    return this.#heads.get(tenant) ?? null
  }

  /**
   * Compares a head with the one that was seen last. Where other replicas have appended since, the stored nodes must
   * still lead to the root that was seen: one more statement, and only then.
   */
  *check(tenant: string, head: KeptHead): Steps<boolean> {
    const known = this.#heads.get(tenant)
    if (known === undefined) return false
    if (head.size < known.size)
      throw this.seal(
        `${tenant}’s log has ${head.size} entries, but had ${known.size}: an older state of the store came back`,
      )
    const root = head.size === known.size ? head.root : yield* rootAt(tenant, known.size)
    if (!nodeCrypto.equal(root, known.root))
      throw this.seal(`the first ${known.size} entries of ${tenant}’s log are not those that were seen before`)
    return head.size === known.size && this.#own.has(known)
  }

  seal(why: string): VouchsafeError {
    this.#regressed ??= new VouchsafeError('ledger.regressed', `${why}. Nothing is served until an operator has looked`)
    return this.#regressed
  }

  /** Remembers a head that this process has just committed. */
  wrote(tenant: string, head: KeptHead): void {
    this.#own.add(head)
    this.adopt(tenant, head)
  }

  /** Remembers a head that was found in the store. */
  adopt(tenant: string, head: KeptHead): void {
    const known = this.#heads.get(tenant)
    if (known === undefined || head.size > known.size) this.#heads.set(tenant, head)
  }

  /** Has a committed head kept outside the store: before anybody is answered. */
  async keep(tenant: string, head: KeptHead): Promise<void> {
    try {
      await this.#guard.keep(tenant, head)
    } catch (error) {
      this.#unkept.add(tenant)
      throw error
    }
  }

  /** Before more is written: have the heads been kept that could not be? @throws {VouchsafeError} `store.unavailable` */
  async assertKept(): Promise<void> {
    for (const tenant of this.#unkept) {
      const head = this.#heads.get(tenant)
      if (head !== undefined) await this.#guard.keep(tenant, head)
      this.#unkept.delete(tenant)
    }
  }

  /** Forgets what was known, on an operator's word, and goes on from the restored state. */
  async restart(heads: readonly { readonly tenant: string; readonly head: KeptHead }[]): Promise<void> {
    this.#heads.clear()
    for (const { tenant, head } of heads) {
      this.#heads.set(tenant, head)
      await this.#guard.replace(tenant, head)
    }
    this.#regressed = null
  }

  async close(): Promise<void> {
    await this.#guard.close()
  }
}
