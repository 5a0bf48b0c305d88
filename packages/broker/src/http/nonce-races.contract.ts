import { expect, test } from 'vitest'
import { raceNonces } from '../testing/nonce-races.ts'

/** One nonce, two requests, through the whole broker: one release and one audit entry of it, whoever comes first. */
export function describeNonceRaces(
  where: string,
  races: number,
  options: () => Promise<Parameters<typeof raceNonces>[1]>,
): void {
  test(`A01 A14 A17 I10 J08 gate 6: ${races} nonces, each raced by two requests ${where}, release once each, with one entry each`, async () => {
    const { replicas, ...rest } = await options()
    const { won, refused, otherwise, check, releases, unrecorded, strayLeases } = await raceNonces(races, {
      replicas,
      ...rest,
    })
    expect(otherwise).toEqual([])
    expect(won.flat()).toHaveLength(races)
    expect(refused).toHaveLength(races)
    // each broker was first at times, or nothing was raced
    for (const byBroker of won) expect(byBroker.length).toBeGreaterThan(0)
    const subjects = (outcome: string): string[] =>
      releases.filter(({ facts }) => facts['outcome'] === outcome).map(({ subject }) => subject)
    expect(subjects('release').toSorted()).toEqual(won.flat().toSorted())
    expect(subjects('deny').toSorted()).toEqual(refused.toSorted())
    expect(releases).toHaveLength(2 * races)
    expect(check).toMatchObject({ ok: true })
    expect(unrecorded).toEqual([])
    expect(strayLeases).toEqual([])
  }, 7_200_000)
}
