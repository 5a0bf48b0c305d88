/** The middle, and the range in which nine of ten lie. */
export interface Spread {
  readonly median: number
  readonly low: number
  readonly high: number
}

export function spread(values: readonly number[]): Spread {
  return { median: percentile(values, 0.5), low: percentile(values, 0.05), high: percentile(values, 0.95) }
}

/** Microseconds that one run took. */
export async function timed(run: () => Promise<unknown> | void): Promise<number> {
  const start = process.hrtime.bigint()
  await run()
  return Number(process.hrtime.bigint() - start) / 1000
}

/** Measures things strictly in turn: see `inTurn`. All that they do counts. */
export function interleaved(
  rounds: number,
  times: number,
  things: readonly (() => Promise<unknown> | void)[],
): Promise<Turns> {
  return inTurn(
    rounds,
    times,
    things.map((thing) => () => timed(thing)),
  )
}

export interface Turns {
  /** For each thing all of its times. */
  readonly times: readonly (readonly number[])[]
  /** For each thing and round the median of its times over the median of the first thing's. */
  readonly ratios: readonly (readonly number[])[]
}

/**
 * Lets things take turns, one run of each, so that what else the machine does falls on all of them alike.
 *
 * @param things - Each runs once and returns the microseconds that count: what it does to make itself ready need not.
 */
export async function inTurn(
  rounds: number,
  times: number,
  things: readonly (() => Promise<number>)[],
): Promise<Turns> {
  const all = things.map(() => [] as number[])
  const ratios = things.map(() => [] as number[])
  for (let round = 0; round < rounds; round++) {
    const took = things.map(() => [] as number[])
    for (let n = 0; n < times; n++) {
      for (let turn = 0; turn < things.length; turn++) {
        // each is first as often as last: what one leaves to the disk, the next one waits for
        const i = (n + turn) % things.length
        const thing = things[i]
        if (thing !== undefined) took[i]?.push(await thing())
      }
    }
    const medians = took.map((t) => spread(t).median)
    took.forEach((t, i) => all[i]?.push(...t))
    medians.forEach((m, i) => ratios[i]?.push(m / (medians[0] ?? Number.NaN)))
  }
  return { times: all, ratios }
}

/** Sends what is ready, so many at once. @returns Seconds for all, and microseconds for each. */
export async function burst(
  ready: readonly (() => Promise<unknown>)[],
  lanes: number,
): Promise<{ readonly seconds: number; readonly times: readonly number[] }> {
  const times: number[] = []
  const waiting = [...ready]
  const start = performance.now()
  const lane = async (): Promise<void> => {
    for (let send = waiting.shift(); send !== undefined; send = waiting.shift()) times.push(await timed(send))
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return { seconds: (performance.now() - start) / 1000, times }
}

export function percentile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
}
