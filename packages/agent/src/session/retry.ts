import { setTimeout as sleep } from 'node:timers/promises'
import { VouchsafeError } from '@vouchsafe/core'
import { TpmError } from '@vouchsafe/tpm'

/** Growing pauses between two attempts: from `firstMs` by half as much again, up to `longestMs`. */
export interface BackOff {
  readonly firstMs: number
  readonly longestMs: number
}

export function* pauses({ firstMs, longestMs }: BackOff): Generator<number, never> {
  for (let pause = firstMs; ; pause = Math.min(longestMs, pause * 1.5)) yield pause
}

const UNANSWERED: readonly string[] = ['peer.unreachable', 'store.unavailable', 'tpm.unavailable', 'tpm.timeout']

/** True when a broker or the TPM gave no answer: it may have acted, and may answer when asked again. */
export function isUnanswered(error: unknown): error is VouchsafeError | TpmError {
  return (error instanceof VouchsafeError || error instanceof TpmError) && UNANSWERED.includes(error.code)
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
