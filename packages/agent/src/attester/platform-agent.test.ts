import { afterAll, beforeAll, expect, test } from 'vitest'
import { enrolMachine } from '../agent.ts'
import { readConfig } from '../config.ts'
import { becomeGceVm, makeGoogleRoot, PROJECT } from '../testing/cloud-vtpm.ts'
import { World } from '../testing/world.ts'

const google = makeGoogleRoot()
const ANSWER = 'A=$(cat <&4); B=$(cat <&5); echo "{\\"count\\":42,\\"inputs\\":\\"$A $B\\"}" >&6'
const CLOUD = { evidence: 'gce', tsm: 'no-such-kernel' } as const

let world: World
beforeAll(async () => {
  world = await World.start(() => undefined, google.der)
})
afterAll(() => world?.stop())

test('KB-02 an agent process on a VM whose vTPM its cloud vouches for attests to both owners, runs, and seals the result; there is nothing to enrol', async () => {
  const scenario = await world.scenario({
    script: ANSWER,
    agreement: ({ environment }) => ({
      environment: { ...environment, platforms: { gce: { projects: [PROJECT], cpu: 'dangerously-not-asked-for' } } },
    }),
  })
  await becomeGceVm(scenario.guest.tpm, google)
  const config = await readConfig(scenario.config(CLOUD))
  const enrolling = enrolMachine(config, '/dev/null', () => undefined, new AbortController().signal)
  await expect(enrolling).rejects.toMatchObject({ code: 'config.malformed' })

  const [a, b] = world.clinics
  const agent = scenario.run(CLOUD)
  expect(await agent.exit, agent.said()).toBe(0)
  const accepted = agent.events.filter(({ event }) => event === 'attest.accepted')
  expect(accepted).toMatchObject([a, b].map(({ id }) => ({ owner: id, machine: expect.stringMatching(/^gce:/) })))
  expect(await scenario.result()).toEqual({ count: 42, inputs: `${a.plain} ${b.plain}` })
})
