import { setTimeout as sleep } from 'node:timers/promises'
import { VouchsafeError } from '@vouchsafe/core'

/** Growing pauses between two attempts: from `firstMs` by half as much again, up to `longestMs`. */
export interface BackOff {
  readonly firstMs: number
  readonly longestMs: number
}

export function* pauses({ firstMs, longestMs }: BackOff): Generator<number, never> {
  for (let pause = firstMs; ; pause = Math.min(longestMs, pause * 1.5)) yield pause
}

/** True for a peer that gave no answer: it may have acted, and may answer when asked again. */
export function isUnanswered(error: unknown): boolean {
  return error instanceof VouchsafeError && (error.code === 'peer.unreachable' || error.code === 'store.unavailable')
}

/**
 * Asks again while there is no answer, so long as `until` allows. Only for requests that are safe to repeat.
 *
 * @param until - Reading of `performance.now()`.
 */
export async function untilAnswered<T>(
  ask: () => Promise<T>,
  options: { readonly until: number; readonly backOff: BackOff; readonly signal: AbortSignal },
): Promise<T> {
  for (const pause of pauses(options.backOff)) {
    try {
      return await ask()
    } catch (error) {
      if (!isUnanswered(error) || performance.now() + pause > options.until) throw error
      await sleep(pause, undefined, { signal: options.signal })
    }
  }
  throw new VouchsafeError('internal', 'pauses do not end')
}
