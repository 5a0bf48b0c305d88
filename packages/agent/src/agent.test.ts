import { readFileSync } from 'node:fs'
import path from 'node:path'
import { openResult } from '@vouchsafe/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { World } from './testing/world.ts'

describe('two clinics, one workload', () => {
  let world: World
  beforeAll(async () => {
    world = await World.start('A=$(cat <&4); B=$(cat <&5); echo "{\\"count\\":42,\\"inputs\\":\\"$A $B\\"}" >&6')
  })
  afterAll(() => world?.stop())

  test('enrol, wait for an owner, collect, run, seal', async () => {
    const [a, b] = world.clinics
    const enrolled = await world.enrol()
    expect(await enrolled.exit, enrolled.said()).toBe(0)
    expect(enrolled.events.map((e) => [e.event, e['owner'], e['class']])).toEqual([
      ['enrolled', 'clinic-a', 'simulated'],
      ['enrolled', 'clinic-b', 'simulated'],
    ])
    await world.say('approve', a)
    const agent = world.run()
    const waiting = await agent.until('release.waiting')
    expect(waiting).toMatchObject({ code: 'agreement.waiting', decision: expect.any(String) })
    await world.say('approve', b)
    expect(await agent.exit, agent.said()).toBe(0)
    const sealed = readFileSync(path.join(world.directory, 'results', 'clinic-a.jwe'), 'utf8')
    const expected = { agreement: world.agreement.digest, recipient: 'clinic-a' }
    const opened = await openResult(sealed, expected, world.recipientKey)
    expect(JSON.parse(opened.text)).toEqual({ count: 42, inputs: `${a.plain} ${b.plain}` })
  })
})
