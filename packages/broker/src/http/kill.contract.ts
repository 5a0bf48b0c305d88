import { expect, test } from 'vitest'
import { killLoop } from '../testing/kill-loop.ts'

/** SIGKILL among releases: what was answered is recorded, what is recorded checks, and no request is answered twice. */
export function describeKills(
  where: string,
  { releases: count, kills: wanted }: { readonly releases: number; readonly kills: number },
  options: () => Promise<Parameters<typeof killLoop>[2]>,
): void {
  test(`J09 I01 I05 ${count} releases ${where} with SIGKILL at ${wanted} random points: every answer is in the ledger, and nothing beside it`, async () => {
    const { acknowledged, releases, check, kills, unrecorded, strayLeases } = await killLoop(
      count,
      wanted,
      await options(),
    )
    expect(kills).toBe(wanted)
    expect(check).toMatchObject({ ok: true })
    // a request that was decided before the kill and asked again after it is released once
    expect(acknowledged).toHaveLength(count)
    expect(releases.map(({ subject }) => subject)).toEqual(acknowledged)
    for (const { facts } of releases) expect(facts['outcome']).toBe('release')
    expect(unrecorded).toEqual([])
    expect(strayLeases).toEqual([])
  }, 3_600_000)
}
