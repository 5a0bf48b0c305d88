import { readdirSync } from 'node:fs'
import * as openpgp from 'openpgp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newKey } from '../../packages/image/src/testing/signing.ts'
import { OwnersMaterial } from './released-material.ts'

let owner: OwnersMaterial
beforeAll(async () => {
  owner = await OwnersMaterial.start()
})
afterAll(() => owner?.stop())

test('GU-30 the released policy takes an unsigned image from an open repository, and none from a protected one', async () => {
  const open = await owner.story('open/app')
  expect(open.status, open.agent.said()).toBe(0)
  expect(await open.scenario.result()).toMatchObject({ count: 42 })
  const guarded = await owner.story('guarded/unsigned')
  expect(guarded.status).toBe(1)
  expect(guarded.agent.events.at(-1)).toMatchObject({
    code: 'policy.refused',
    message: expect.stringContaining('the image carries no signature'),
  })
  expect(guarded.events).not.toContain('workload.started')
  expect(readdirSync(owner.memory)).toEqual([])
})

test('GU-30 each OpenPGP key of one released ring counts, and none beside it', async () => {
  const [, other] = owner.ring
  const story = await owner.story('ring/other', other ?? new Uint8Array())
  expect(story.status, story.agent.said()).toBe(0)
  const date = new Date(Date.now() - 3_600_000)
  const stranger = await openpgp.generateKey({ userIDs: [{ name: 'x' }], format: 'binary', date })
  const strange = await owner.story('ring/strange', stranger.privateKey)
  expect(strange.status).toBe(1)
  expect(strange.agent.events.at(-1)).toMatchObject({
    code: 'policy.refused',
    message: expect.stringMatching(/ring: signedBy: none of 1 signatures counts.*signature\.unverified/),
  })
})

test('GU-30 each key of the released ring counts', async () => {
  const story = await owner.story('guarded/first', owner.ann)
  expect(story.status, story.agent.said()).toBe(0)
})

test('GU-30 by the same released policy another’s signature is refused, with the reason, and nothing starts', async () => {
  const { agent, status, events } = await owner.story('guarded/strange', newKey())
  expect(status).toBe(1)
  expect(agent.events.at(-1)).toMatchObject({
    event: 'refused',
    code: 'policy.refused',
    message: expect.stringMatching(/guarded: sigstoreSigned: none of 1 signatures counts.*signature\.unverified/),
  })
  expect(events).not.toContain('workload.started')
  expect(events).not.toContain('image.unpacked')
  expect(readdirSync(owner.memory)).toEqual([])
})
