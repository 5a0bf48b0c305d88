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

/** Microseconds that one run took. */
async function timed(run: () => Promise<unknown> | void): Promise<number> {
  const start = process.hrtime.bigint()
  await run()
  return Number(process.hrtime.bigint() - start) / 1000
}

/**
 * Measures things strictly in turn, one run of each, so that what else the machine does falls on all of them alike.
 *
 * @returns For each thing all of its times; and per round of `times` turns, its median over the median of the first.
 */
export async function interleaved(
  rounds: number,
  times: number,
  things: readonly (() => Promise<unknown> | void)[],
): Promise<{ readonly times: readonly (readonly number[])[]; readonly ratios: readonly (readonly number[])[] }> {
  const all = things.map(() => [] as number[])
  const ratios = things.map(() => [] as number[])
  for (let round = 0; round < rounds; round++) {
    const took = things.map(() => [] as number[])
    for (let n = 0; n < times; n++) {
      for (const [i, thing] of things.entries()) took[i]?.push(await timed(thing))
    }
    const medians = took.map((t) => spread(t).median)
    took.forEach((t, i) => all[i]?.push(...t))
    medians.forEach((m, i) => ratios[i]?.push(m / (medians[0] ?? Number.NaN)))
  }
  return { times: all, ratios }
}
