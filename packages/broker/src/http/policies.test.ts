import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { OwnerClient, PrincipalKey } from '@vouchsafe/client'
import { type AgreementBody, parseAgreement, replayRecord, utf8 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { releaseRequest } from 'vouchsafe/attack/raw-guest'
import { type TestClinic, type TwoClinics, startClinic, startTwoClinics, stopClinic } from '../testing/two-clinics.ts'

/** Both owners’ policies have the same file and package names; a’s asks for what this guest has, b’s for hardware. */
const regoOf = (text: string) => ({
  modules: { 'release.rego': `package release\nallow if ${text}` },
  allow: 'data.release.allow',
})
const POLICIES: Readonly<Record<string, string>> = {
  'clinic-a': 'input.launch.network == "none"',
  'clinic-b': 'input.class == "hardware"',
}

let world: TwoClinics
beforeAll(async () => {
  world = await startTwoClinics({
    agreement: (body) => ({
      ...body,
      grants: body.grants.map((g) => ({ ...g, when: [], rego: regoOf(POLICIES[g.owner] ?? 'false') })),
    }),
  })
  await world.approve(world.a)
  await world.approve(world.b)
})
afterAll(() => world.stop())

interface Refused {
  readonly code: string
  readonly decision: string
  readonly message: string
}

async function ask(clinic: TestClinic): Promise<{ readonly decision: string } | Refused> {
  const attested = await world.guest.attest(clinic.guest, world.machine, world.agreement)
  const request = await releaseRequest(clinic.guest, attested, ['patients/key'])
  return request.send().catch((error: unknown) => error as Refused)
}

async function verdictOf(clinic: TestClinic, decision: string) {
  const { record } = await clinic.owner.decision(decision)
  const replay = await replayRecord(record, clinic.pin.decisions, nodeCrypto)
  expect(replay).toMatchObject({ signed: true, reproduced: true })
  return replay.verdict
}

test('F04 each owner’s policy decides at that owner’s broker, whatever another’s is called and says', async () => {
  const { decision } = await ask(world.a)
  expect(await verdictOf(world.a, decision)).toMatchObject({
    kind: 'release',
    conditions: [{ grant: 'clinic-a-key', form: 'rego', rule: 'data.release.allow', held: true }],
  })
  expect(await ask(world.b)).toMatchObject({ code: 'policy.condition' })
})

test('F14 the guest that a policy refuses learns code and id; the owner reads what was expected and found', async () => {
  const refused = (await ask(world.b)) as Refused
  const told = JSON.stringify({ ...refused, message: refused.message })
  for (const secret of ['hardware', 'simulated', 'release.rego', 'input.class']) expect(told).not.toContain(secret)
  expect((await verdictOf(world.b, refused.decision)).reasons).toMatchObject([
    {
      code: 'policy.condition',
      expected: 'grant clinic-b-key: release.rego:2 input.class == "hardware"',
      actual: 'input.class is "simulated"',
    },
  ])
})

/** A later version with another policy of clinic a. */
function nextVersion(changes: (grant: AgreementBody['grants'][number]) => object) {
  const { body, digest } = world.agreement
  const grants = body.grants.map((g) => (g.owner === 'clinic-a' ? { ...g, ...changes(g) } : g))
  return parseAgreement(utf8(JSON.stringify({ ...body, previous: digest, grants })), nodeCrypto)
}

test.each([
  ['F05 does not compile', { rego: regoOf('input.launch.network ==') }, 'policy.invalid'],
  ['F05 names a claim that cannot exist', { rego: regoOf('input.launch.netwrk == "none"') }, 'policy.invalid'],
  ['F05 is CEL with an unknown function', { cel: ['assertion.class.nope()'] }, 'policy.invalid'],
  ['F19 allows everything', { rego: regoOf('true') }, 'policy.no-evidence'],
  ['F18 stands on a name alone', { rego: regoOf('input.machine != ""') }, 'policy.no-evidence'],
])('an agreement whose policy %s is not filed', async (_what, changes, code) => {
  const before = await world.a.owner.listAgreements()
  const { bytes } = nextVersion(() => changes)
  await expect(world.a.owner.proposeAgreement(bytes)).rejects.toMatchObject({ code })
  expect(await world.a.owner.listAgreements()).toEqual(before)
})

test('F09 reference values come into force by owners’ signatures only: a stranger can file none, an owner alone not enough', async () => {
  const registers = { '0': ['22'.repeat(32)] }
  const { body, digest } = world.agreement
  const other = { ...body, previous: digest, environment: { ...body.environment, registers } }
  const { bytes, digest: proposed } = parseAgreement(utf8(JSON.stringify(other)), nodeCrypto)
  const stranger = new OwnerClient(world.a.pin, PrincipalKey.generate(), { timeoutMs: 20_000 })
  await expect(stranger.proposeAgreement(bytes)).rejects.toMatchObject({ code: 'request.signature' })
  stranger.close()
  await world.a.owner.proposeAgreement(bytes)
  const filed = (await world.a.owner.listAgreements()).agreements.find((a) => a.digest === proposed)
  expect(filed?.missing).toEqual(['clinic-a', 'clinic-b'])
  expect(await ask(world.a)).toHaveProperty('sealed') // what is in force is still what both signed
})

test('F17 a policy on trial is announced at every start, recorded where it differs, and never releases or refuses', async () => {
  const { a } = world
  await stopClinic(a)
  const trial = (name: string, text: string, until: string) => ({
    name,
    until,
    grants: [{ id: 'trial', owner: 'clinic-a', resources: ['patients/key'], when: [], rego: regoOf(text) }],
  })
  const file = path.join(path.dirname(a.config), 'shadows.json')
  const shadows = [
    trial('strict', 'input.class == "hardware"', '2099-01-01T00:00:00Z'),
    trial('forgotten', 'input.class == "hardware"', '2020-01-01T00:00:00Z'),
  ]
  const config = JSON.parse(readFileSync(a.config, 'utf8')) as object
  writeFileSync(a.config, JSON.stringify({ ...config, shadows: file }))
  const start = () => startClinic('clinic-a', a.key, a.config, world.logged)
  const cannotCompile = trial('typo', '{', '2099-01-01T00:00:00Z')
  writeFileSync(file, JSON.stringify({ 'clinic-a': [cannotCompile] }))
  await expect(start()).rejects.toMatchObject({ code: 'policy.invalid' })

  writeFileSync(file, JSON.stringify({ 'clinic-a': shadows }))
  world.logged.length = 0
  const restarted = await start()
  try {
    const { decision } = await ask(restarted)
    expect(await verdictOf(restarted, decision)).toMatchObject({
      kind: 'release',
      shadows: [{ name: 'strict', kind: 'deny', differs: true, reasons: [{ code: 'policy.condition' }] }],
    })
    const events = world.logged.filter(({ event }) => event.startsWith('shadow.'))
    expect(events).toMatchObject([
      { event: 'shadow.active', fields: { name: 'strict', until: '2099-01-01T00:00:00Z' } },
      { event: 'shadow.over', fields: { name: 'forgotten' } },
      { event: 'shadow.differs', fields: { decision, name: 'strict', outcome: 'release', wouldBe: 'deny' } },
    ])
  } finally {
    await stopClinic(restarted)
    Object.assign(a, await start()) // `world.stop` ends it
  }
})
