/** The middle, and the range in which nine of ten lie. */
export interface Spread {
  readonly median: number
  readonly low: number
  readonly high: number
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (q: number): number => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
  return { median: at(0.5), low: at(0.05), high: at(0.95) }
}

/** Microseconds that each of `times` runs took, one after another. */
export async function each(times: number, run: () => Promise<unknown> | void): Promise<readonly number[]> {
  const took: number[] = []
  for (let n = 0; n < times; n++) {
    const start = process.hrtime.bigint()
    await run()
    took.push(Number(process.hrtime.bigint() - start) / 1000)
  }
  return took
}

/**
 * Measures things in turn, round by round, so that what else the machine does falls on all of them alike.
 *
 * @returns For each thing all of its times; and per round, the median of each over the median of the first.
 */
export async function interleaved(
  rounds: number,
  times: number,
  things: readonly (() => Promise<unknown> | void)[],
): Promise<{ readonly times: readonly (readonly number[])[]; readonly ratios: readonly (readonly number[])[] }> {
  const all = things.map(() => [] as number[])
  const ratios = things.map(() => [] as number[])
  for (let round = 0; round < rounds; round++) {
    let first = Number.NaN
    for (const [i, thing] of things.entries()) {
      const took = await each(times, thing)
      all[i]?.push(...took)
      const { median } = spread(took)
      if (i === 0) first = median
      ratios[i]?.push(median / first)
    }
  }
  return { times: all, ratios }
}
