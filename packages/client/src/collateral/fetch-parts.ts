import { VouchsafeError } from '@vouchsafe/core'
import type { CollateralPart } from './entry.ts'
import type { Upstream, UpstreamAnswer } from './upstream.ts'

/** How patient to be with a vendor. */
export interface Patience {
  /** Requests for one URL before giving up. */
  readonly attempts: number
  /** Wait after the first failure; doubles each time, with half of it left to chance. */
  readonly firstDelayMs: number
  readonly longestDelayMs: number
}

export const DEFAULT_PATIENCE: Patience = { attempts: 6, firstDelayMs: 250, longestDelayMs: 10_000 }

export interface Timing {
  readonly clock: () => Date
  readonly sleep: (ms: number) => Promise<void>
  /** From 0 up to 1. */
  readonly random: () => number
}

/** Headers in which Intel's service sends the chain of a document's signer, percent-encoded. */
const ISSUER_CHAINS = ['tcb-info-issuer-chain', 'sgx-tcb-info-issuer-chain', 'sgx-enclave-identity-issuer-chain']

/**
 * Asks vendors, politely: one request at a time for one URL, however many want it; waits longer after each failure; and
 * when a vendor says when to come back, nobody here asks it anything before.
 */
export class PoliteFetcher {
  readonly #upstream: Upstream
  readonly #patience: Patience
  readonly #timing: Timing
  readonly #running = new Map<string, Promise<CollateralPart>>()
  /** Host to the moment before which it is left alone. */
  readonly #pausedUntil = new Map<string, number>()

  constructor(upstream: Upstream, patience: Patience, timing: Timing) {
    this.#upstream = upstream
    this.#patience = patience
    this.#timing = timing
  }

  /** @throws {VouchsafeError} `endorsement.unavailable` */
  async fetch(url: string): Promise<CollateralPart> {
    const running = this.#running.get(url)
    if (running !== undefined) return running
    const started = this.#persist(url).finally(() => this.#running.delete(url))
    this.#running.set(url, started)
    return started
  }

  async #persist(url: string): Promise<CollateralPart> {
    const { attempts, firstDelayMs, longestDelayMs } = this.#patience
    let last: VouchsafeError | undefined
    for (let attempt = 0; attempt < attempts; attempt++) {
      if (attempt > 0) {
        const delay = Math.min(longestDelayMs, firstDelayMs * 2 ** (attempt - 1))
        await this.#timing.sleep(Math.ceil(delay / 2 + (delay / 2) * this.#timing.random()))
      }
      await this.#untilWelcome(url)
      try {
        const answer = await this.#upstream(url)
        if (answer.status === 200) return toPart(url, answer)
        last = new VouchsafeError('endorsement.unavailable', `${url}: answers ${answer.status}`)
        if (answer.status === 429 || answer.status === 503) this.#pause(url, answer.header('retry-after'))
        else if (answer.status < 500) throw last // asking again would change nothing
      } catch (error) {
        if (!(error instanceof VouchsafeError) || error.code !== 'endorsement.unavailable' || error === last)
          throw error
        last = error
      }
    }
    throw new VouchsafeError('endorsement.unavailable', `${last?.message}, ${attempts} times`, { cause: last })
  }

  async #untilWelcome(url: string): Promise<void> {
    const wait = (this.#pausedUntil.get(new URL(url).host) ?? 0) - this.#timing.clock().getTime()
    if (wait > 0) await this.#timing.sleep(wait)
  }

  #pause(url: string, retryAfter: string | undefined): void {
    const seconds = /^\d{1,4}$/.test(retryAfter ?? '') ? Number(retryAfter) : 0
    const pause = Math.min(seconds * 1000, this.#patience.longestDelayMs)
    this.#pausedUntil.set(new URL(url).host, this.#timing.clock().getTime() + pause)
  }
}

function toPart(url: string, answer: UpstreamAnswer): CollateralPart {
  const encoded = ISSUER_CHAINS.map((name) => answer.header(name)).find((value) => value !== undefined)
  if (encoded === undefined) return { url, body: answer.body }
  try {
    return { url, issuerChain: decodeURIComponent(encoded), body: answer.body }
  } catch (cause) {
    throw new VouchsafeError('endorsement.malformed', `${url}: issuer chain is not percent-encoded`, { cause })
  }
}
