import { fromUtf8, replayRecord } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DistributorWorld } from '../testing/distributor-world.ts'

let world: DistributorWorld

beforeAll(async () => {
  world = await DistributorWorld.start()
}, 60_000)
afterAll(() => world?.stop())

const refusal = (code: string) => expect.objectContaining({ code })
const textOf = (fetched: Awaited<ReturnType<DistributorWorld['fetch']>>) =>
  Object.fromEntries(fetched.secrets.map((s) => [s.name, fromUtf8(s.value)]))

describe('an owner, an instance, one secret', () => {
  test('TD-03 a service that has approved nobody refuses everybody', async () => {
    await expect(world.fetch()).rejects.toThrow(refusal('client.unprovisioned'))
  })

  test('TD-04 TD-11 TD-18 TD-19 an approved client attests its TPM and gets its secret, sealed to its own key', async () => {
    await world.provision()
    const fetched = await world.fetch()
    expect(textOf(fetched)).toEqual({ secret1: 'fooobar' })
    expect(fetched.class).toBe('simulated')
    const { record } = await world.alice.decision(fetched.decision)
    const replay = await replayRecord(record, world.pin.decisions, nodeCrypto)
    expect(replay).toMatchObject({ signed: true, reproduced: true, verdict: { kind: 'release', grants: ['secret1'] } })
  })
})
