import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { ImageLayout, parseDigest, pushImage, RegistryClient } from '@vouchsafe/image'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runWorkload } from '../../packages/agent/src/agent.ts'
import { readConfig } from '../../packages/agent/src/config.ts'
import { type Scenario, World } from '../../packages/agent/src/testing/world.ts'
import { FakeRegistry } from '../../packages/image/src/testing/registry.ts'
import { newKey, pem } from '../../packages/image/src/testing/signing.ts'
import { LoopbackRegistry } from './loopback-registry.ts'

let world: World
let images: LoopbackRegistry
let scenario: Scenario
const memory = mkdtempSync('/dev/shm/vsa-pull-')
const [ann, ben, stranger] = [newKey(), newKey('ed25519'), newKey()]

const SCRIPT = `M=$(cat <&3); echo "{\\"count\\":42,\\"manifest\\":$M}" >&6`

beforeAll(async () => {
  chmodSync(memory, 0o711)
  world = await World.start()
  images = await LoopbackRegistry.start(path.join(world.directory, 'images'))
  scenario = await world.scenario({ script: SCRIPT })
  const { image } = scenario.agreement.body.workload
  const layout = path.join(scenario.directory, 'image')
  for (const repository of ['open/app', 'guarded/unsigned', 'guarded/strange', 'guarded/app'])
    await images.publish(layout, image, repository)
  await images.sign(image, 'guarded/strange', stranger)
  await images.sign(image, 'guarded/app', ben)
  const file = (name: string) => path.join(scenario.directory, name)
  writeFileSync(file('ann.pub'), pem(ann))
  writeFileSync(file('ben.pub'), pem(ben))
  writeFileSync(file('registries.json'), JSON.stringify(images.hosts))
  const ring = { keyPaths: [file('ann.pub'), file('ben.pub')], signedIdentity: { type: 'matchRepository' } }
  const docker = {
    [`${images.host}/open`]: [{ type: 'insecureAcceptAnything' }],
    [`${images.host}/guarded`]: [{ type: 'sigstoreSigned', ...ring }],
  }
  writeFileSync(file('policy.json'), JSON.stringify({ default: [{ type: 'reject' }], transports: { docker } }))
})
afterAll(async () => {
  await images?.stop()
  await world?.stop()
  rmSync(memory, { recursive: true, force: true })
})

const digest = () => scenario.agreement.body.workload.image
const from = (repository: string) => `${images.host}/${repository}@${digest()}`

type Members = Readonly<Record<string, unknown>>

/** `pull` replaces members of that part of the configuration. */
function configuration(pull: Members, more: Members): Members {
  const usual = { reference: from('open/app'), policy: 'policy.json', registries: 'registries.json', attempts: 2 }
  return { imageLayout: undefined, pull: { ...usual, ...pull }, workspace: memory, ...more }
}

/** How a run ends that ends before anything is measured or anybody is asked. It leaves nothing. In this process. */
async function refusal(pull: Members, more: Members = {}) {
  const before: string[] = []
  const config = scenario.config(configuration(pull, more))
  const { signal } = new AbortController()
  const run = async () => runWorkload(await readConfig(config), ({ event }) => before.push(event), signal)
  const { code, message } = await run().then(
    () => ({ code: 'it ran', message: '' }),
    (error: unknown) => error as { readonly code?: string; readonly message: string },
  )
  expect(readdirSync(memory)).toEqual([])
  return { code, message, before }
}

/** The same by a process, for its exit status and what it tells. */
async function refusalOfProcess(pull: Members) {
  const agent = scenario.run(configuration(pull, {}))
  const status = await agent.exit
  expect(readdirSync(memory)).toEqual([])
  return { status, ...agent.events.at(-1), before: agent.events.slice(0, -1).map(({ event }) => event) }
}

describe('an image pulled from a registry', () => {
  test('H01 CS-15 is named by digest: a tag is refused, and what to do is said', async () => {
    expect(await refusal({ reference: `${images.host}/open/app:v1` })).toMatchObject({
      code: 'config.malformed',
      message: expect.stringMatching(/names no digest.*vouchsafe image show .*write .*\/open\/app@sha256:…/),
      before: [],
    })
    const other = from('open/app').replace(/.$/, (last) => (last === '0' ? '1' : '0'))
    expect(await refusal({ reference: other })).toMatchObject({
      code: 'workload.other-image',
      before: [],
    })
  })

  test('H05 without a policy, or with two places to come from, nothing starts', async () => {
    for (const config of [{ pull: { policy: undefined } }, { more: { imageLayout: 'image' } }])
      expect(await refusal(config.pull ?? {}, config.more)).toMatchObject({
        code: 'config.malformed',
      })
    expect(await refusal({ policy: 'nowhere.json' })).toMatchObject({ code: 'policy.material' })
  })

  test('GU-30 GU-08 the protected one: refused unsigned and by another’s key, before any layer is fetched', async () => {
    expect(await refusal({ reference: from('guarded/unsigned') })).toMatchObject({
      code: 'policy.refused',
      message: expect.stringContaining('the image carries no signature'),
      before: ['image.pulling'],
    })
    expect(await refusalOfProcess({ reference: from('guarded/strange') })).toMatchObject({
      status: 1,
      code: 'policy.refused',
      message: expect.stringMatching(/none of 1 signatures counts.*signature\.unverified/),
      before: ['image.pulling'],
    })
  })

  test('H06 with one changed byte does not start, though its signature is good', async () => {
    const { layers } = JSON.parse(
      readFileSync(path.join(scenario.directory, 'image/blobs/sha256', digest().slice(7)), 'utf8'),
    ) as { layers: { digest: string }[] }
    const top = layers.at(-1)?.digest ?? ''
    images.flipByte(top)
    const refused = await refusal({ reference: from('guarded/app') })
    images.flipByte(top)
    expect(refused).toMatchObject({
      code: 'digest.mismatch',
      before: ['image.pulling', 'image.accepted'],
    })
  })

  test('H12 is unpacked in the guest’s memory, and never onto a disk', async () => {
    expect(await refusal({}, { workspace: '.' })).toMatchObject({
      code: 'workload.storage',
      before: [],
    })
  })

  test('H13 from a registry in a private network, which nobody allowed, is refused', async () => {
    expect(await refusal({ registries: undefined })).toMatchObject({
      code: 'registry.address',
      before: ['image.pulling'],
    })
  })

  test('from a registry that is down: tried so often, then there is no answer', async () => {
    const gone = await LoopbackRegistry.start(path.join(world.directory, 'gone'))
    await gone.stop()
    writeFileSync(path.join(scenario.directory, 'gone.json'), JSON.stringify(gone.hosts))
    const reference = `${gone.host}/open/app@${digest()}`
    expect(await refusalOfProcess({ reference, registries: 'gone.json' })).toMatchObject({
      status: 4,
      code: 'registry.unavailable',
      before: ['image.pulling'],
    })
  })

  test.each([
    ['kbs:///images/policy', 'grants no such resource'],
    ['kbs:///patients/key', 'clinic-a and clinic-b grant it; say whose: kbs://clinic-a/patients/key'],
    ['kbs://clinic-c/patients/key', 'grants no such resource'],
  ])('GU-29 a policy at %s is refused before anybody is asked', async (policy, message) => {
    expect(await refusal({ policy })).toMatchObject({
      code: 'workload.material',
      message: expect.stringContaining(message),
      before: [],
    })
  })

  test('GU-30 the protected one by any key of its ring: accepted, measured by its digest, and run', async () => {
    await scenario.enrol()
    const agent = scenario.run(configuration({ reference: from('guarded/app') }, {}))
    expect(await agent.exit, agent.said()).toBe(0)
    expect(agent.events.map(({ event }) => event).slice(0, 4)).toEqual([
      'image.pulling',
      'image.accepted',
      'image.unpacked',
      'launch.measured',
    ])
    expect(agent.events).toContainEqual({
      event: 'image.accepted',
      image: digest(),
      scope: `docker: ${images.host}/guarded`,
      signers: [ben.public.id],
    })
    expect(agent.events.find(({ event }) => event === 'launch.measured')).toMatchObject({ image: digest() })
    expect(await scenario.result()).toMatchObject({ count: 42 })
    expect(readdirSync(memory)).toEqual([])
  })

  test('G06 whose lease ends while it is pulled is not started, and the pull is given up', async () => {
    const [a, b] = world.clinics
    const registry = await new FakeRegistry().start()
    using _ = { [Symbol.dispose]: () => registry.close() }
    const policy = { default: [{ type: 'insecureAcceptAnything' }] }
    await a.owner.putResource('images/policy', new TextEncoder().encode(JSON.stringify(policy)), 0)
    const slow = await world.scenario({
      script: SCRIPT,
      agreement: ({ grants: [first, ...more] }) => ({
        leaseSeconds: 3,
        grants: first === undefined ? [] : [{ ...first, resources: ['patients/key', 'images/policy'] }, ...more],
      }),
    })
    await slow.enrol()
    const { image } = slow.agreement.body.workload
    const hosts = { [registry.host]: { plainHttp: true, privateNetwork: true } }
    const client = new RegistryClient({ hosts })
    const source = await ImageLayout.open(path.join(slow.directory, 'image'))
    await pushImage(source, parseDigest(image), client.endpoint({ registry: registry.host, path: 'app' }))
    client.close()
    writeFileSync(path.join(slow.directory, 'registries.json'), JSON.stringify(hosts))
    registry.lie = ({ method, path }) => (method === 'GET' && path.includes('/blobs/') ? true : undefined) // no answer
    const reference = `${registry.host}/app@${image}`
    const pull = { reference, policy: 'kbs:///images/policy', registries: 'registries.json' }
    const agent = slow.run({ imageLayout: undefined, workspace: memory, pull })
    await agent.until('image.accepted')
    await slow.say('withdraw', b)
    await agent.until('lease.ended')
    const ended = performance.now()
    expect(await agent.exit, agent.said()).toBe(1)
    expect(performance.now() - ended, 'it does not wait for the registry').toBeLessThan(5000)
    expect(agent.events.at(-1)).toMatchObject({ event: 'refused', code: 'lease.ended' })
    expect(agent.events.map(({ event }) => event)).not.toContain('workload.started')
    expect(readdirSync(memory)).toEqual([])
  })
})
