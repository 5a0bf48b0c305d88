import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { World } from '../../packages/agent/src/testing/world.ts'
import { LoopbackRegistry } from './loopback-registry.ts'
import { OwnersMaterial } from './released-material.ts'

let world: World
let registry: LoopbackRegistry
let owner: OwnersMaterial
const memory = mkdtempSync('/dev/shm/vsa-released-')

beforeAll(async () => {
  chmodSync(memory, 0o711)
  world = await World.start()
  registry = await LoopbackRegistry.start(path.join(world.directory, 'registry'), { password: true })
  owner = await OwnersMaterial.keep(world, registry, memory)
})
afterAll(async () => {
  await registry?.stop()
  await world?.stop()
  rmSync(memory, { recursive: true, force: true })
})

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
  expect(readdirSync(memory)).toEqual([])
})
