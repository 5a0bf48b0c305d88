import { ImageError } from '../errors.ts'

/** What a registry must send, or take, on average while it is waited for. */
export interface LeastRate {
  /** 0 takes any rate. */
  readonly bytesPerSecond: number
  /** Of waiting, before the average counts: a pause is no reason to give up. */
  readonly windowSeconds: number
}

/** Slow modems send 1,000 bytes in a second, and dnf asks for the same; three layers at once share a line. */
export const DEFAULT_LEAST_RATE: LeastRate = { bytesPerSecond: 500, windowSeconds: 60 }

/** @throws {RangeError} For what is no rate: compared with such a number, no registry would be too slow. */
export function checkedLeastRate(rate: Partial<LeastRate>): LeastRate {
  const whole = { ...DEFAULT_LEAST_RATE, ...rate }
  if (!(whole.bytesPerSecond >= 0 && whole.windowSeconds > 0 && whole.windowSeconds < Infinity))
    throw new RangeError(`no least rate: ${whole.bytesPerSecond} bytes a second over ${whole.windowSeconds} s`)
  return whole
}

/**
 * The same bytes, while they come fast enough. Time counts only while the source is waited for: who reads slowly does
 * not blame the registry for it. Silence is timed elsewhere, by the connection.
 *
 * @param now - Milliseconds of a clock that never goes back.
 * @throws {ImageError} `registry.slow`, and the source is closed.
 */
export async function* atLeast(
  source: AsyncIterable<Uint8Array>,
  { bytesPerSecond, windowSeconds }: LeastRate,
  now: () => number,
  where: string,
): AsyncGenerator<Uint8Array> {
  let waited = 0
  let bytes = 0
  let since = now()
  for await (const chunk of source) {
    waited += now() - since
    bytes += chunk.length
    if (waited >= windowSeconds * 1000) {
      const rate = bytes / (waited / 1000)
      if (rate < bytesPerSecond)
        throw new ImageError(
          'registry.slow',
          `${where}: ${rate.toPrecision(2)} bytes a second over ${Math.round(waited / 1000)} s, at least ${bytesPerSecond} are wanted`,
        )
      waited = 0
      bytes = 0
    }
    yield chunk
    since = now()
  }
}

/**
 * The same for bytes that are sent, in pieces of what must be taken in a window: one that is not is too slow. What the
 * machine itself keeps on the way is let go before that; of its rest only silence is timed.
 *
 * @param tooSlow - Ends the request, with `registry.slow`.
 */
export async function* takenAtLeast(
  source: AsyncIterable<Uint8Array>,
  { bytesPerSecond, windowSeconds }: LeastRate,
  where: string,
  tooSlow: (error: ImageError) => void,
): AsyncGenerator<Uint8Array> {
  const pieceBytes = Math.max(1, Math.min(Math.floor(bytesPerSecond * windowSeconds), 2 ** 30))
  for await (const chunk of source) {
    if (bytesPerSecond === 0) yield chunk
    else
      for (let at = 0; at < chunk.length; at += pieceBytes) {
        const late = setTimeout(
          () =>
            tooSlow(
              new ImageError(
                'registry.slow',
                `${where}: takes less than ${pieceBytes} bytes in ${windowSeconds} s, at least ${bytesPerSecond} a second are wanted`,
              ),
            ),
          windowSeconds * 1000,
        )
        try {
          yield chunk.subarray(at, at + pieceBytes)
        } finally {
          clearTimeout(late)
        }
      }
  }
}
