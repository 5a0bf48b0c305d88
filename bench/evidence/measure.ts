/** One who verifies, and how fast. Runs for so many milliseconds; throws when it refuses what it should accept. */
export interface Contestant {
  readonly name: string
  readonly run: (ms: number) => Promise<Slice>
}

export interface Slice {
  /** Microseconds that one verification takes, on the clock: the median is what it takes when nobody interrupts it. */
  readonly median: number
  readonly p99: number
}

export interface Result {
  readonly name: string
  /** Verifications per second in the round that was disturbed least: on a busy machine, the figure that comes back. */
  readonly best: number
  readonly median: number
  /** Microseconds. */
  readonly p99: number
}

/** Someone in this process. */
export function inProcess(name: string, verify: (nth: number) => unknown): Contestant {
  let nth = 0
  return {
    name,
    run: async (ms) => {
      const micros: number[] = []
      const started = performance.now()
      let now = started
      while (now - started < ms) {
        await verify(nth++)
        const after = performance.now()
        micros.push((after - now) * 1000)
        now = after
      }
      return { median: quantile(micros, 0.5), p99: quantile(micros, 0.99) }
    },
  }
}

/**
 * Runs all of them in turn, many times: whatever else this machine does then slows all of them alike.
 */
export async function race(contestants: readonly Contestant[], rounds: number, ms: number): Promise<readonly Result[]> {
  const slices = new Map<string, Slice[]>(contestants.map((c) => [c.name, []]))
  for (const c of contestants) await c.run(ms) // warm
  for (let round = 0; round < rounds; round++) for (const c of contestants) slices.get(c.name)?.push(await c.run(ms))
  return contestants.map(({ name }) => {
    const mine = slices.get(name) ?? []
    const speeds = mine.map((s) => 1e6 / s.median)
    return {
      name,
      best: Math.max(...speeds),
      median: quantile(speeds, 0.5),
      p99: quantile(
        mine.map((s) => s.p99),
        0.5,
      ),
    }
  })
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0
}
