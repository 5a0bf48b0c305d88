import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { OwnersMaterial } from './released-material.ts'

let owner: OwnersMaterial
beforeAll(async () => {
  owner = await OwnersMaterial.start()
})
afterAll(() => owner?.stop())

const ASKED_FIRST = ['launch.measured', 'attest.accepted', 'release.granted', 'image.pulling']
const tells = (events: readonly string[]) => ASKED_FIRST.map((name) => events.indexOf(name))

test('GU-30 GU-16 policy, keys, login and the layers’ key come from the owner’s broker, once the machine has shown what it is', async () => {
  const { scenario, agent, status, events } = await owner.story('guarded/app', owner.ben)
  expect(status, agent.said()).toBe(0)
  expect(tells(events)).toEqual(tells(events).toSorted((a, b) => a - b))
  expect(tells(events)).not.toContain(-1)
  expect(agent.events).toContainEqual(
    expect.objectContaining({ event: 'image.accepted', signers: [owner.ben.public.id] }),
  )
  // what judged and opened the image is none of the workload's
  expect(await scenario.result()).toMatchObject({ count: 42 })
  const { manifest } = (await scenario.result()) as { manifest: { inputs: object } }
  expect(Object.keys(manifest.inputs)).toEqual(['clinic-a/patients/key', 'clinic-b/patients/key'])
  expect(readdirSync(owner.memory)).toEqual([])
})
