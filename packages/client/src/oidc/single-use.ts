import { OidcRefusal } from './refusal.ts'
import type { VerifiedOidcToken } from './verifier.ts'

/** Tokens of a whole busy day. When more are alive at once, the server refuses new ones rather than forget old ones. */
const MAX_TOKENS = 100_000
const SKEW_MS = 30_000

/**
 * Lets each token through once, so that one that was overheard is worthless (DEF-40). In the memory of one process: several
 * servers need a store in common, or a nonce of the server's own in the token.
 */
export class SingleUse {
  readonly #clock: () => Date
  readonly #used = new Map<string, number>()

  constructor(clock: () => Date = () => new Date()) {
    this.#clock = clock
  }

  /** @throws {OidcRefusal} `replayed` the second time, and when so many tokens are alive that it cannot be told. */
  take({ id, expiresAt }: VerifiedOidcToken): void {
    const now = this.#clock().getTime()
    if (this.#used.has(id)) throw new OidcRefusal('replayed', `token ${id} was used before`)
    if (this.#used.size >= MAX_TOKENS) {
      for (const [old, until] of this.#used) if (until <= now) this.#used.delete(old)
      if (this.#used.size >= MAX_TOKENS)
        throw new OidcRefusal('replayed', `${MAX_TOKENS} tokens are in use: whether this was used cannot be told`)
    }
    this.#used.set(id, expiresAt.getTime() + SKEW_MS)
  }
}
