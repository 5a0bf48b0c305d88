import { randomBytes } from 'node:crypto'
import { chmodSync, globSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type AgreementBody, Secret } from '@vouchsafe/core'
import { encryptImage, guestRecipient, ImageLayout, LayoutWriter, parseDigest } from '@vouchsafe/image'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AgentProcess } from '../testing/agent-process.ts'
import { type Scenario, World } from '../testing/world.ts'

let world: World
const memory = mkdtempSync('/dev/shm/vsa-image-')
beforeAll(async () => {
  chmodSync(memory, 0o711)
  world = await World.start()
})
afterAll(async () => {
  await world?.stop()
  rmSync(memory, { recursive: true, force: true })
})

/** Stands in the image and nowhere else. */
const CANARY = 'canary-of-the-image'
const SCRIPT = `: ${CANARY}; sleep 1; M=$(cat <&3); echo "{\\"count\\":42,\\"manifest\\":$M}" >&6`
const eventNames = (agent: AgentProcess) => agent.events.map((e) => e.event)

let images = 0

/** An image encrypted under a key that clinic A keeps, and an agreement that grants it. */
async function encrypted(options: { readonly kept?: Uint8Array; readonly granted?: boolean } = {}): Promise<Scenario> {
  const kek = new Secret(new Uint8Array(randomBytes(32)))
  const resource = `images/app-${++images}/key`
  await world.clinics[0].owner.putResource(resource, options.kept ?? kek.expose(), 0)
  const withKey = ({ grants }: AgreementBody) => {
    const [first] = grants
    if (first === undefined) throw new Error('no grant to take after')
    return { grants: [...grants, { ...first, id: 'image', owner: 'clinic-a', resources: [resource] }] }
  }
  return world.scenario({
    script: SCRIPT,
    ...(options.granted === false ? {} : { agreement: withKey }),
    seal: async (plain, sealed) => {
      const source = await ImageLayout.open(plain)
      const [only] = source.index.manifests
      if (only === undefined) throw new Error('nothing was built')
      const recipients = [guestRecipient(kek, { resource })]
      const { digest } = await encryptImage(
        { source, digest: only.digest, recipients, name: 'v1' },
        await LayoutWriter.open(sealed),
      )
      rmSync(plain, { recursive: true })
      return digest
    },
  })
}

/** Files below a directory that hold the image's plain bytes. */
function holdingPlain(directory: string): readonly string[] {
  return globSync(`${directory}/**`).filter((file) => statSync(file).isFile() && readFileSync(file).includes(CANARY))
}

describe('an encrypted image', () => {
  test('H12 GU-16 opens with the key that its owner releases, in the guest’s memory alone, and the workload never sees the key', async () => {
    const scenario = await (await encrypted()).enrol()
    const agent = scenario.run({ workspace: memory })
    await agent.until('workload.started')
    expect(holdingPlain(memory), 'the search finds what is there').toHaveLength(1)
    expect(holdingPlain(scenario.directory)).toEqual([])
    expect(await agent.exit, agent.said()).toBe(0)
    expect(eventNames(agent).indexOf('release.granted')).toBeLessThan(eventNames(agent).indexOf('workload.started'))
    expect(await scenario.result()).toMatchObject({
      manifest: {
        inputs: { 'clinic-a/patients/key': { fd: 4, kind: 'data' }, 'clinic-b/patients/key': { fd: 5, kind: 'data' } },
        result: { fd: 6 },
      },
    })
    expect(readdirSync(memory)).toEqual([])
  })

  test('H12 is never decrypted onto a disk, nor mistaken for data: refused before anybody is asked', async () => {
    const scenario = await encrypted()
    const onDisk = scenario.run()
    expect(await onDisk.exit).toBe(3)
    expect(onDisk.events).toMatchObject([{ event: 'refused', code: 'workload.storage' }])
    const data = { [`clinic-a/images/app-${images}/key`]: 'agreement.json' }
    const asData = scenario.run({ workspace: memory, data })
    expect(await asData.exit).toBe(3)
    expect(asData.events).toMatchObject([{ event: 'refused', code: 'data.missing' }])
  })

  test('H12 whose key the agreement grants nobody is refused before anybody is asked', async () => {
    const scenario = await encrypted({ granted: false })
    const agent = scenario.run({ workspace: memory })
    expect(await agent.exit).toBe(3)
    expect(agent.events).toMatchObject([{ event: 'refused', code: 'workload.image-key' }])
  })

  test.each([
    ['another key', new Uint8Array(32).fill(9), 'encryption.wrong-key'],
    ['something that is no key', new Uint8Array(5), 'encryption.recipient'],
  ])('H11 whose owner keeps %s under that name does not start', async (_what, kept, code) => {
    const scenario = await (await encrypted({ kept })).enrol()
    const agent = scenario.run({ workspace: memory })
    expect(await agent.exit).toBe(3)
    expect(agent.events.at(-1)).toMatchObject({ event: 'refused', code })
    expect(eventNames(agent)).not.toContain('workload.started')
    expect(readdirSync(memory)).toEqual([])
  })

  test('H11 with one changed byte does not start, and nothing of it is left', async () => {
    const scenario = await (await encrypted()).enrol()
    const layout = await ImageLayout.open(path.join(scenario.directory, 'image'))
    const { bytes } = await layout.readManifest(parseDigest(scenario.agreement.body.workload.image), 1e6)
    const { layers } = JSON.parse(new TextDecoder().decode(bytes)) as { layers: { digest: string }[] }
    const blob = path.join(layout.place, 'blobs/sha256', layers.at(-1)?.digest.slice(7) ?? '')
    const changed = readFileSync(blob)
    changed[700] = (changed[700] ?? 0) ^ 1
    writeFileSync(blob, changed)
    const agent = scenario.run({ workspace: memory })
    expect(await agent.exit).toBe(3)
    expect(agent.events.at(-1)).toMatchObject({ event: 'refused', code: 'digest.mismatch' })
    expect(eventNames(agent)).not.toContain('workload.started')
    expect(readdirSync(memory)).toEqual([])
  })
})

test('CS-15 H01 a launch names a digest: what could become another image is refused before anything happens', async () => {
  const scenario = await world.scenario({ script: ':' })
  for (const image of ['registry.example/app:v1', 'registry.example/app@sha256:abc', 'latest', 'sha256:ABC']) {
    const agent = scenario.run({ overrides: { image } })
    expect(await agent.exit).toBe(3)
    expect(agent.events).toMatchObject([{ event: 'refused', code: 'config.malformed' }])
  }
})
