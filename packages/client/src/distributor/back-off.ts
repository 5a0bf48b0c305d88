import { setTimeout as sleep } from 'node:timers/promises'
import { VouchsafeError } from '@vouchsafe/core'

/** Refusals that end by themselves: the owner has not approved yet, or somebody does not answer. */
const WORTH_WAITING = new Set([
  'client.unprovisioned',
  'agreement.waiting',
  'endorsement.unavailable',
  'peer.unreachable',
  'store.unavailable',
  'store.changed',
])

export interface RetryOptions {
  readonly attempts: number
  /** Before the second attempt; then it doubles, up to `longestPauseMs`. */
  readonly pauseMs: number
  readonly longestPauseMs: number
  /** Told of each refusal that is waited out. */
  readonly onWait?: (refusal: VouchsafeError, attempt: number, pauseMs: number) => void
  readonly signal?: AbortSignal
}

export function isWorthWaiting(error: unknown): error is VouchsafeError {
  return error instanceof VouchsafeError && WORTH_WAITING.has(error.code)
}

/** Tries one after the other, never two at once; a refusal that waiting cannot mend ends it. */
export async function withBackOff<T>(run: () => Promise<T>, options: RetryOptions): Promise<T> {
  for (let attempt = 1, pauseMs = options.pauseMs; ; attempt++) {
    try {
      return await run()
    } catch (error) {
      if (!isWorthWaiting(error) || attempt >= options.attempts) throw error
      options.onWait?.(error, attempt, pauseMs)
      await sleep(pauseMs, undefined, options.signal === undefined ? {} : { signal: options.signal })
      pauseMs = Math.min(pauseMs * 2, options.longestPauseMs)
    }
  }
}
