import type { CryptoKey } from 'jose'
import type { OidcIssuer } from './issuer.ts'
import { fetchPublishedKeys, type PublishedKeys } from './published-keys.ts'
import { OidcRefusal } from './refusal.ts'

export interface IssuerKeysOptions {
  readonly clock: () => Date
  readonly timeoutMs: number
  readonly onEvent: (event: string, fields: Readonly<Record<string, string>>) => void
}

interface Held {
  readonly keys: PublishedKeys['keys']
  readonly fetchedAt: number
  /** Asked for again from here on; serves until `until` whatever happens. */
  readonly freshUntil: number
  readonly until: number
}

const SECOND = 1000
/** However often tokens with unknown keys come, the issuer is asked no more often than this (DEF-42). */
const LEAST_BETWEEN = 30 * SECOND
const FRESH_LEAST = 60 * SECOND
const FRESH_USUAL = 3600 * SECOND
const FRESH_MOST = 86_400 * SECOND
/** The last good keys serve so long when the issuer cannot be asked, or answers what is not believed. Then nothing does. */
const KEPT = 86_400 * SECOND

/**
 * The keys of one issuer, at hand. Rotation is followed: a key that is not known is asked for, a key that is published no
 * longer stops counting with the next answer. One request at a time, however many want it.
 */
export class IssuerKeys {
  readonly #issuer: OidcIssuer
  readonly #options: IssuerKeysOptions
  #held: Held | undefined
  #running: Promise<void> | undefined
  #askedAt = Number.NEGATIVE_INFINITY
  #failure: OidcRefusal | undefined

  constructor(issuer: OidcIssuer, options: IssuerKeysOptions) {
    this.#issuer = issuer
    this.#options = options
  }

  /** @throws {OidcRefusal} `unknown-key`; `keys-unavailable`, `keys-untrusted` when there are none that serve. */
  async get(kid: string): Promise<CryptoKey> {
    if (this.#isDue()) await this.#refresh()
    const key = this.#current().get(kid)
    if (key !== undefined) return key
    if (this.#mayAsk()) await this.#refresh()
    const rotated = this.#current().get(kid)
    if (rotated === undefined)
      throw new OidcRefusal(
        'unknown-key',
        `${this.#issuer.issuer} publishes no key ${JSON.stringify(kid.slice(0, 64))}`,
      )
    return rotated
  }

  #isDue(): boolean {
    const held = this.#held
    return (held === undefined || this.#now() >= held.freshUntil) && this.#mayAsk()
  }

  /** A clock that was set back does not keep us from asking. */
  #mayAsk(): boolean {
    return Math.abs(this.#now() - this.#askedAt) >= LEAST_BETWEEN || this.#running !== undefined
  }

  #current(): PublishedKeys['keys'] {
    const held = this.#held
    if (held !== undefined && this.#now() < held.until && this.#now() >= held.fetchedAt - FRESH_LEAST) return held.keys
    throw this.#failure ?? new OidcRefusal('keys-unavailable', `${this.#issuer.issuer}: its keys are out of date`)
  }

  #refresh(): Promise<void> {
    this.#running ??= this.#fetch().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #fetch(): Promise<void> {
    const { issuer } = this.#issuer
    this.#askedAt = this.#now()
    try {
      const { keys, maxAgeSeconds } = await fetchPublishedKeys(this.#issuer, this.#options.timeoutMs)
      const fresh = maxAgeSeconds === undefined ? FRESH_USUAL : maxAgeSeconds * SECOND
      const fetchedAt = this.#now()
      const freshUntil = fetchedAt + Math.min(Math.max(fresh, FRESH_LEAST), FRESH_MOST)
      this.#held = { keys, fetchedAt, freshUntil, until: fetchedAt + KEPT }
      this.#failure = undefined
      this.#options.onEvent('oidc.keys-fetched', { issuer, keys: [...keys.keys()].join(' ') })
    } catch (error) {
      this.#failure =
        error instanceof OidcRefusal ? error : new OidcRefusal('keys-unavailable', String(error), { cause: error })
      const { reason, message } = this.#failure
      this.#options.onEvent('oidc.keys-failed', { issuer, reason, message })
    }
  }

  #now(): number {
    return this.#options.clock().getTime()
  }
}
