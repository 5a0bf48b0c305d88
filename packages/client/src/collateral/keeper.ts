import { VouchsafeError } from '@vouchsafe/core'
import type { CollateralEntry, CollateralPart } from './entry.ts'
import { DEFAULT_PATIENCE, type Patience, PoliteFetcher, type Timing } from './fetch-parts.ts'
import type { CollateralStore } from './store.ts'
import type { Upstream } from './upstream.ts'

/** How one thing is fetched and judged. */
export interface Recipe<T> {
  /** Two recipes with one key are one thing. */
  readonly key: string
  readonly urls: readonly string[]
  /** Throws unless the answers are genuine, current, and for this key. Runs after each fetch and after each read. */
  readonly verify: (parts: readonly CollateralPart[], at: Date) => Promise<Verdict<T>>
  /** Whether a newer one may come before this one expires. */
  readonly refreshes: boolean
}

export interface Verdict<T> {
  readonly value: T
  /** By the vendor. An answer that is older than the one held is refused (D09). */
  readonly issuedAt: Date
  readonly validUntil: Date
}

export interface KeeperOptions {
  readonly store: CollateralStore
  /** `offline`: what the store does not have cannot be had. */
  readonly upstream: Upstream | 'offline'
  /** A newer one is asked for after so many seconds, a day unless told, while the held one serves on. */
  readonly refreshAfterSeconds?: number
  /** After everything failed, so many seconds pass before a vendor is asked for the same thing again. 30 unless told. */
  readonly restSeconds?: number
  readonly patience?: Patience
  readonly timing?: Partial<Timing>
  /** Told what happened, for logs: `collateral.fetched`, `.discarded`, `.failed`, `.unreadable`, `.unwritten`. */
  readonly onEvent?: (event: string, fields: Readonly<Record<string, string>>) => void
}

/** What is held of one key, for those who want to see what expires when. */
export interface HeldState {
  readonly key: string
  readonly fetchedAt: Date
  readonly issuedAt: Date
  readonly validUntil: Date
}

interface Held extends HeldState {
  readonly value: unknown
  readonly refreshAt: number
}

/** What may be told to `onEvent`, after `collateral.`. */
type KeeperEvent = 'fetched' | 'discarded' | 'failed' | 'unreadable' | 'unwritten'

/** How often something is fetched when it arrives damaged, and what damage looks like. */
const ROUNDS = 4
const DAMAGE: readonly string[] = ['endorsement.malformed', 'endorsement.untrusted', 'input.malformed']

/** Verified values held in memory; enough for every chip of a large fleet. */
const MAX_HELD = 16_384

/**
 * Keeps vendors' collateral at hand. Asks the vendor only when it must, once for however many want the same thing; what
 * it holds serves until it expires, also while the vendor fails; what it cannot have, it refuses with a code that says
 * to try again later (D11). Nothing unverified is kept, and nothing kept is believed unverified (D10).
 */
export class CollateralKeeper {
  readonly #options: KeeperOptions
  readonly #fetcher: PoliteFetcher | 'offline'
  readonly #clock: () => Date
  readonly #held = new Map<string, Held>()
  readonly #running = new Map<string, Promise<Held>>()
  /** Key to the moment before which it is not asked for again, and why. */
  readonly #resting = new Map<string, { readonly until: number; readonly error: VouchsafeError }>()

  constructor(options: KeeperOptions) {
    this.#options = options
    const timing: Timing = {
      clock: () => new Date(),
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      random: Math.random,
      ...options.timing,
    }
    this.#clock = timing.clock
    this.#fetcher =
      options.upstream === 'offline'
        ? 'offline'
        : new PoliteFetcher(options.upstream, options.patience ?? DEFAULT_PATIENCE, timing)
  }

  /**
   * @throws {VouchsafeError} `endorsement.unavailable` when it can be had from nowhere now; other `endorsement.*` when
   *   what the vendor gives is not acceptable.
   */
  async get<T>(recipe: Recipe<T>): Promise<T> {
    const now = this.#clock()
    const held = this.#held.get(recipe.key)
    if (held !== undefined && now < held.validUntil) {
      if (recipe.refreshes && now.getTime() >= held.refreshAt) this.#refresh(recipe)
      return held.value as T
    }
    return (await this.#once(recipe.key, () => this.#load(recipe))).value as T
  }

  /** Fetches what is missing or due, and waits for it. Failures are told to `onEvent` only. */
  async prefetch(recipes: readonly Recipe<unknown>[]): Promise<void> {
    await Promise.all(
      recipes.map((recipe) => this.get(recipe).catch((error) => this.#tell('failed', recipe.key, error))),
    )
  }

  /** What is held in memory, by key. */
  state(): readonly HeldState[] {
    return [...this.#held.values()].map(({ key, fetchedAt, issuedAt, validUntil }) => ({
      key,
      fetchedAt,
      issuedAt,
      validUntil,
    }))
  }

  /** One run for all who ask at the same time. */
  #once(key: string, run: () => Promise<Held>): Promise<Held> {
    const running = this.#running.get(key)
    if (running !== undefined) return running
    const started = run().finally(() => this.#running.delete(key))
    this.#running.set(key, started)
    return started
  }

  async #load(recipe: Recipe<unknown>): Promise<Held> {
    const stored = await this.#stored(recipe.key)
    if (stored === undefined) return this.#fetch(recipe)
    try {
      return this.#hold(await this.#judge(recipe, stored))
    } catch (error) {
      const refusal = asRefusal(error)
      this.#tell('discarded', recipe.key, refusal)
      return this.#fetch(recipe, refusal)
    }
  }

  /** @param refusal - Of what the store had: the better answer when nothing can be fetched. */
  async #fetch(recipe: Recipe<unknown>, refusal?: VouchsafeError): Promise<Held> {
    const { key } = recipe
    if (this.#fetcher === 'offline')
      throw (
        refusal ??
        new VouchsafeError('endorsement.unavailable', `collateral ${key}: not kept here, and this is offline`)
      )
    const resting = this.#resting.get(key)
    if (resting !== undefined && this.#clock().getTime() < resting.until) throw resting.error
    try {
      const { entry, held } = await this.#fetchSound(recipe, this.#fetcher)
      this.#resting.delete(key)
      this.#tell('fetched', key)
      await this.#options.store.put(entry).catch((error) => this.#tell('unwritten', key, error))
      return this.#hold(held)
    } catch (thrown) {
      const error = asRefusal(thrown)
      const until = this.#clock().getTime() + 1000 * (this.#options.restSeconds ?? 30)
      this.#resting.set(key, { until, error })
      this.#tell('failed', key, error)
      // the vendor took it back: what was held or kept must not serve on until it would have expired
      if (error.code === 'endorsement.revoked') {
        this.#held.delete(key)
        await this.#options.store.delete(key).catch((trouble) => this.#tell('unwritten', key, trouble))
      }
      throw error
    }
  }

  /** Answers get damaged on the way: what does not verify is asked for again, a few times. */
  async #fetchSound(recipe: Recipe<unknown>, fetcher: PoliteFetcher): Promise<{ entry: CollateralEntry; held: Held }> {
    for (let round = 1; ; round++) {
      // all of them end before this does: nothing goes on asking a vendor for what nobody waits for
      const answers = await Promise.allSettled(recipe.urls.map((url) => fetcher.fetch(url)))
      const parts = answers.map((answer) => {
        if (answer.status === 'rejected') throw answer.reason
        return answer.value
      })
      const entry = { key: recipe.key, fetchedAt: this.#clock(), parts }
      try {
        return { entry, held: await this.#judge(recipe, entry) }
      } catch (error) {
        if (round === ROUNDS || !DAMAGE.includes(asRefusal(error).code)) throw error
      }
    }
  }

  /** What the store has. A store in trouble has nothing: the vendor is asked instead. */
  async #stored(key: string): Promise<CollateralEntry | undefined> {
    return this.#options.store.get(key).catch((error) => {
      this.#tell('unreadable', key, error)
      return undefined
    })
  }

  async #judge(recipe: Recipe<unknown>, { key, fetchedAt, parts }: CollateralEntry): Promise<Held> {
    const { value, issuedAt, validUntil } = await recipe.verify(parts, this.#clock())
    const before = this.#held.get(key)
    if (before !== undefined && issuedAt < before.issuedAt)
      throw new VouchsafeError(
        'endorsement.expired',
        `collateral ${key}: issued ${issuedAt.toISOString()}, before the one held, of ${before.issuedAt.toISOString()}`,
      )
    const refreshAt = fetchedAt.getTime() + 1000 * (this.#options.refreshAfterSeconds ?? 86_400)
    return { key, value, fetchedAt, issuedAt, validUntil, refreshAt }
  }

  #hold(held: Held): Held {
    this.#held.delete(held.key)
    const [oldest] = this.#held.keys()
    if (oldest !== undefined && this.#held.size >= MAX_HELD) this.#held.delete(oldest)
    this.#held.set(held.key, held)
    return held
  }

  /** In the background. What is held serves on when this fails, unless the vendor took it back. */
  #refresh(recipe: Recipe<unknown>): void {
    if (this.#fetcher === 'offline') return
    this.#once(recipe.key, () => this.#fetch(recipe)).catch(() => undefined) // told to `onEvent` already
  }

  #tell(event: KeeperEvent, key: string, error?: unknown): void {
    const why = error === undefined ? {} : { code: asRefusal(error).code, message: asRefusal(error).message }
    this.#options.onEvent?.(`collateral.${event}`, { key, ...why })
  }
}

/** Whatever went wrong while fetching, the caller must refuse, and may try later (D11). */
function asRefusal(error: unknown): VouchsafeError {
  if (error instanceof VouchsafeError) return error
  return new VouchsafeError('endorsement.unavailable', `collateral: ${(error as Error).message}`, { cause: error })
}
