import { setTimeout as delay } from 'node:timers/promises'
import { ImageError, type ImageErrorCode } from '../errors.ts'

export interface RetryRules {
  /** Attempts in all, the first included. */
  readonly attempts: number
  readonly firstDelayMs: number
  readonly maxDelayMs: number
}

export const DEFAULT_RETRY: RetryRules = { attempts: 5, firstDelayMs: 250, maxDelayMs: 10_000 }

/** An answer that says "later": retried, and turned into an error after the last attempt. */
export class Later extends Error {
  readonly afterMs: number | undefined
  readonly failure: ImageError
  constructor(failure: ImageError, afterMs: number | undefined) {
    super(failure.message)
    this.failure = failure
    this.afterMs = afterMs
  }
}

/** Failures that another attempt may not see. What is left out is an answer, and stays one. */
const PASSING: ReadonlySet<ImageErrorCode> = new Set(['registry.unavailable', 'registry.slow', 'proxy.unavailable'])

export function isPassing(error: unknown): error is ImageError {
  return error instanceof ImageError && PASSING.has(error.code)
}

/**
 * Runs an action that may be repeated. Waits twice as long each time, with half of it random, or as long as the
 * server asks for, up to the maximum. Only what another attempt can help is repeated: `Later` and what `isPassing`.
 */
export async function withRetries<T>(
  rules: RetryRules,
  signal: AbortSignal | undefined,
  action: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await action()
    } catch (error) {
      const failure = error instanceof Later ? error.failure : error
      const again = error instanceof Later || isPassing(error)
      if (!again || attempt >= rules.attempts) throw failure
      await rest(rules, attempt, signal, error instanceof Later ? error.afterMs : undefined)
    }
  }
}

/**
 * Before another attempt, after so many.
 *
 * @param askedMs - What the server asks for.
 */
export async function rest(
  rules: RetryRules,
  attempts: number,
  signal: AbortSignal | undefined,
  askedMs?: number,
): Promise<void> {
  const planned = Math.min(rules.firstDelayMs * 2 ** (attempts - 1), rules.maxDelayMs)
  const ms = askedMs === undefined ? planned / 2 + (Math.random() * planned) / 2 : Math.min(askedMs, rules.maxDelayMs)
  await pause(ms, signal)
}

/** @returns Milliseconds, from seconds or a date. */
export function parseRetryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined
  if (/^[0-9]{1,6}$/.test(header)) return Number(header) * 1000
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await delay(ms, undefined, signal === undefined ? {} : { signal })
  } catch (cause) {
    throw new ImageError('aborted', 'ended by the caller between two attempts', { cause })
  }
}
