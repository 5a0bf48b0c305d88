import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PostgresServer, missingPostgres } from '../store/testing/postgres-server.ts'
import { raceNonces } from '../testing/nonce-races.ts'
import { postgresUrls } from '../testing/two-clinics.ts'

/** One nonce, two requests, through whole brokers: one release and one audit entry of it, whoever comes first. */
export function describeNonceRaces(races: number): void {
  test(`A01 A14 A17 I10 gate 6: ${races} nonces, each raced by two requests at one broker, release once each, with one entry each`, async () => {
    await expectOneEach(races, { replicas: 1 })
  }, 7_200_000)

  describe.skipIf(missingPostgres())('PostgreSQL', () => {
    let server: PostgresServer
    beforeAll(() => {
      server = PostgresServer.start()
    })
    afterAll(() => server?.stop())

    test(`A01 A14 A17 I10 J08 gate 6: ${races} nonces, each raced by two requests at two brokers on one PostgreSQL, release once each, with one entry each`, async () => {
      await expectOneEach(races, { replicas: 2, postgresUrl: await postgresUrls(server) })
    }, 7_200_000)
  })
}

async function expectOneEach(wanted: number, options: Parameters<typeof raceNonces>[1]): Promise<void> {
  const raced = await raceNonces(wanted, options)
  const { races, won, refused, otherwise, resent, check, releases, unrecorded, strayLeases } = raced
  expect(races).toBeGreaterThanOrEqual(wanted)
  expect(otherwise).toEqual([])
  expect(won.flat()).toHaveLength(races)
  expect(refused).toHaveLength(races)
  // or nothing was raced
  for (const byBroker of won) expect(byBroker.length).toBeGreaterThan(0)
  const subjects = (outcome: string): string[] =>
    releases.filter(({ facts }) => facts['outcome'] === outcome).map(({ subject }) => subject)
  expect(subjects('release').toSorted()).toEqual(won.flat().toSorted())
  // who was refused and asked again was refused twice, and each refusal is recorded
  const denied = new Set(subjects('deny'))
  expect(refused.filter((id) => !denied.has(id))).toEqual([])
  expect(releases.length - 2 * races).toBeLessThanOrEqual(resent)
  expect(new Set(releases.map(({ facts }) => facts['code']))).toEqual(new Set(['ok', 'token.replayed']))
  expect(check).toMatchObject({ ok: true })
  expect(unrecorded).toEqual([])
  expect(strayLeases).toEqual([])
}
