import { readFileSync, writeFileSync } from 'node:fs'
import { type AgreementBody, parseAgreement, utf8 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { releaseRequest } from '../../attack/raw-guest.ts'
import {
  type TestClinic,
  type TwoClinics,
  startClinic,
  startTwoClinics,
  stopClinic,
} from '../../../../broker/src/testing/two-clinics.ts'
import { writeOwner } from '../../files.ts'
import { CommandLine } from '../testing/command-line.ts'

/** The policy verbs against running brokers, by what their owners have: an owner file. */

const regoOf = (text: string) => ({
  modules: { 'release.rego': `package release\n\nallow if {\n\tinput.launch.network == "none"\n\t${text}\n}\n` },
  allow: 'data.release.allow',
})
const POLICIES: Readonly<Record<string, string>> = {
  'clinic-a': 'input.simulated',
  'clinic-b': 'input.class == "tpm"',
}

let world: TwoClinics
let line: CommandLine
beforeAll(async () => {
  line = new CommandLine()
  world = await startTwoClinics({
    agreement: (body) => ({
      ...body,
      grants: body.grants.map((g) => ({ ...g, when: [], rego: regoOf(POLICIES[g.owner] ?? 'false') })),
    }),
  })
  for (const clinic of [world.a, world.b]) {
    await world.approve(clinic)
    actAs(clinic)
  }
})
afterAll(async () => {
  line?.remove()
  await world?.stop()
})

/** Makes `ID.json` say where the clinic's broker is now. */
function actAs({ id, key, pin }: TestClinic): void {
  writeFileSync(line.file(`${id}.pem`), key.toPem(), { mode: 0o600 })
  writeOwner(line.file(`${id}.json`), line.file(`${id}.pem`), pin)
}

/** @returns the decision's id, released or refused */
async function ask(clinic: TestClinic): Promise<string> {
  const attested = await world.guest.attest(clinic.guest, world.machine, world.agreement)
  const request = await releaseRequest(clinic.guest, attested, ['patients/key'])
  const { decision } = await request.send().catch((error: unknown) => error as { decision: string })
  return decision
}

function candidate(name: string, changes: (body: AgreementBody) => Partial<AgreementBody>): string {
  const { body } = world.agreement
  const { bytes } = parseAgreement(utf8(JSON.stringify({ ...body, ...changes(body) })), nodeCrypto)
  return line.write(name, new Uint8Array(bytes))
}

test('F14 explain tells the owner of a refusal which rule failed, with what, and the least that would change it', async () => {
  const decision = await ask(world.b)
  const { status, stdout, stderr } = await line.run('policy', 'explain', decision, '--as', 'clinic-b.json')
  expect(status, stderr).toBe(0)
  expect(stdout).toContain(`DENY  release ${decision}`)
  expect(stdout).toContain('fails  rego   clinic-b-key: data.release.allow')
  expect(stdout).toContain('expected  grant clinic-b-key: release.rego:5 input.class == "tpm"')
  expect(stdout).toContain('actual    input.class is "simulated"')
  expect(stdout).toContain('input.class were "tpm" (it is "simulated")')

  const told = await line.answer<{ changes: unknown }>('policy', 'explain', decision, '--as', 'clinic-b.json')
  expect(told).toMatchObject({
    id: decision,
    kind: 'deny',
    signed: true,
    reproduced: true,
    conditions: [{ grant: 'clinic-b-key', form: 'rego', rule: 'data.release.allow', held: false }],
    reasons: [{ code: 'policy.condition' }],
    changes: [
      { grant: 'clinic-b-key', wouldChange: [{ claim: 'input.class', is: '"simulated"', wouldHaveToBe: '"tpm"' }] },
    ],
  })
})

test('explain tells of a release which rules held, and what would have ended it', async () => {
  const decision = await ask(world.a)
  const told = await line.answer('policy', 'explain', decision, '--as', 'clinic-a.json')
  expect(told).toMatchObject({
    kind: 'release',
    conditions: [{ grant: 'clinic-a-key', rule: 'data.release.allow', held: true }],
    reasons: [],
    changes: [{ grant: 'clinic-a-key', wouldChange: [{ is: expect.any(String) }] }],
  })
  expect(await line.refusal('policy', 'explain', 'd-none', '--as', 'clinic-a.json')).toMatchObject({
    code: 'release.unknown',
  })
})

test('what-if asks an owner’s own broker for everything that attested there, before anybody signs', async () => {
  const before = await line.answer<{ judged: number }>(
    'policy',
    'what-if',
    '--as',
    'clinic-a.json',
    '--agreement',
    candidate('same.json', () => ({})),
  )
  await ask(world.a)
  const stricter = candidate('stricter.json', ({ grants }) => ({
    grants: grants.map((g) => (g.owner === 'clinic-a' ? { ...g, rego: regoOf('input.class == "hardware"') } : g)),
  }))
  const ran = await line.run('policy', 'what-if', '--as', 'clinic-a.json', '--agreement', stricter, '--json')
  expect(ran.status, ran.stderr).toBe(1)
  const judged = before.judged + 1
  expect(ran.json()).toMatchObject({
    judged,
    refused: 0,
    rows: [
      {
        change: 'loses',
        resource: 'clinic-a/patients/key',
        machine: world.machine,
        records: judged,
        why: [{ code: 'policy.condition', actual: 'input.class is "simulated"' }],
      },
      { change: 'still refused', resource: 'clinic-b/patients/key', records: judged },
    ],
  })
  const { agreements } = await world.a.owner.listAgreements()
  expect(agreements.map((a) => a.digest)).toEqual([world.agreement.digest])
})

test('F17 explain tells what a policy on trial would have decided', async () => {
  await stopClinic(world.a)
  const trial = { id: 'trial', owner: 'clinic-a', resources: ['patients/key'], rego: regoOf('input.class == "tpm"') }
  const shadows = { 'clinic-a': [{ name: 'strict', until: '2099-01-01T00:00:00Z', grants: [trial] }] }
  const file = line.file('shadows.json')
  writeFileSync(file, JSON.stringify(shadows))
  const config = JSON.parse(readFileSync(world.a.config, 'utf8')) as object
  writeFileSync(world.a.config, JSON.stringify({ ...config, shadows: file }))
  Object.assign(world.a, await startClinic('clinic-a', world.a.key, world.a.config, world.logged))
  actAs(world.a)
  const decision = await ask(world.a)
  const { status, stdout } = await line.run('policy', 'explain', decision, '--as', 'clinic-a.json')
  expect(status).toBe(0)
  expect(stdout).toContain('RELEASE  release')
  expect(stdout).toContain('on trial: strict would deny, which is another answer')

  const trials = await line.run('policy', 'trials', '--as', 'clinic-a.json')
  expect(trials.status, trials.stderr).toBe(1)
  expect(trials.stdout).toContain('strict would have decided 1 of 1 otherwise')
  const saved = line.file('saved.json')
  await line.run('why', decision, '--as', 'clinic-a.json', '--save', saved)
  const told = await line.run('policy', 'trials', '--records', saved, '--key', world.a.pin.decisions, '--json')
  expect(told.json()).toEqual({
    decisions: 1,
    trials: [
      {
        policy: 'strict',
        asked: 1,
        differing: [{ decision, at: expect.any(String), decided: 'release', would: 'deny' }],
      },
    ],
  })
  const stranger = await line.refusal('policy', 'trials', '--records', saved, '--key', world.b.pin.decisions)
  expect(stranger).toMatchObject({ code: 'evidence.signature' })
})

test('trials says so where no policy is on trial', async () => {
  const { status, stdout } = await line.run('policy', 'trials', '--as', 'clinic-b.json')
  expect(status).toBe(0)
  expect(stdout).toMatch(/no policy on trial was asked in [1-9][0-9]* decisions/)
})
