import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type AgreementBody, type TpmAttestInputs as AttestInputs, attest, whatIf } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { agreementBody, goodClaims } from '../../../../core/src/testing/agreement-fixture.ts'
import {
  type Recorded,
  accepting,
  agreementOf,
  recordAttestations,
} from '../../policy/testing/recorded-attestations.ts'
import type { WhatIfJob } from '../../policy/what-if-job.ts'
import { WhatIfPool } from '../../policy/what-if-pool.ts'
import { CommandLine } from '../testing/command-line.ts'

const MACHINES = 3
const TIMES = 2

const grantOf = (rego: string) => ({
  id: 'a-key',
  owner: 'clinic-a',
  resources: ['patients/key'],
  when: [],
  rego: { modules: { 'release.rego': `package release\n${rego}` }, allow: 'data.release.allow' },
})

let line: CommandLine
let recorded: Recorded
let directory: string
beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'vs-policy-'))
  line = new CommandLine()
  recorded = await recordAttestations(directory, MACHINES, TIMES, (environment) => ({
    environment,
    grants: [grantOf('allow if input.class == "simulated"')],
  }))
  line.write('records.jsonl', recorded.envelopes.map((e) => JSON.stringify(e)).join('\n'))
  line.write('d.json', JSON.stringify(recorded.envelopes[0]))
  line.write('release.rego', 'package release\n\nallow if input.launch.network == "none"\n')
})
afterAll(() => {
  line?.remove()
  rmSync(directory, { recursive: true, force: true })
})

const candidate = (name: string, changes: Partial<AgreementBody>) =>
  line.write(name, new Uint8Array(agreementOf({ ...recorded.agreement.body, ...changes }).bytes))

describe('check', () => {
  test('F05 refuses a broken policy with place and suggestion, and lets a good one pass', async () => {
    line.write('bad.rego', 'package release\n\nallow if input.launch.imge == "x"\n')
    const { status, stdout } = await line.run('policy', 'check', 'bad.rego')
    expect(status).toBe(1)
    expect(stdout).toContain('bad.rego:3: there is no claim launch.imge')
    expect(stdout).toContain('did you mean launch.image?')
    expect(await line.answer('policy', 'check', 'release.rego')).toEqual({ refused: false, findings: [] })
  })

  test('F19 refuses an agreement whose condition reads no evidence', async () => {
    const file = candidate('open.json', { grants: [grantOf('allow := true')] })
    const ran = await line.run('policy', 'check', file, '--json')
    expect(ran.status).toBe(1)
    expect(ran.json()).toMatchObject({
      refused: true,
      findings: [
        { grant: 'a-key', check: 'negation', severity: 'warn' },
        { check: 'no-evidence', severity: 'refuse' },
      ],
    })
  })

  test('warnings refuse when asked to', async () => {
    line.write('trap.rego', 'package t\nallow if { input.simulated; not startswith(input.machine, "x") }\n')
    expect((await line.run('policy', 'check', 'trap.rego')).status).toBe(0)
    expect((await line.run('policy', 'check', 'trap.rego', '--strict')).status).toBe(1)
  })

  test('reads CEL, and tells when nothing or no rule is named', async () => {
    line.write('class.cel', 'assertion.class == "hardware" && "x" in assertion.launch.args\n')
    expect((await line.run('policy', 'check', 'class.cel')).status).toBe(0)
    line.write('two.rego', 'package a.b\nallow if input.simulated\n')
    expect(await line.refusal('policy', 'check', 'release.rego', 'two.rego')).toMatchObject({
      status: 2,
      hint: 'say which one decides with --allow data.package.rule',
    })
    expect(await line.refusal('policy', 'check', 'missing.rego')).toMatchObject({ status: 3, code: 'input.malformed' })
  })
})

describe('test', () => {
  test('runs test_ rules, measures coverage, and can ask for some', async () => {
    line.write(
      'release_test.rego',
      'package release_test\nimport data.release\ntest_none if release.allow with input as {"launch": {"network": "none"}}\n',
    )
    const report = await line.answer<{ passed: boolean; covered: number }>(
      'policy',
      'test',
      'release.rego',
      'release_test.rego',
      '--coverage',
    )
    expect(report).toMatchObject({ passed: true, covered: 100 })
    line.write('unreached.rego', 'package release\n\nother if input.class == "tpm"\n')
    const files = ['release.rego', 'unreached.rego', 'release_test.rego']
    const low = await line.run('policy', 'test', ...files, '--least', '90')
    expect(low.status).toBe(1)
    expect(low.stdout).toMatch(/unreached.rego: 0 % covered; not reached: 3/)
  })

  test('a failing test tells the expression', async () => {
    line.write('fails_test.rego', 'package fails_test\ntest_it if 1 == 2\n')
    const { status, stdout } = await line.run('policy', 'test', 'fails_test.rego')
    expect(status).toBe(1)
    expect(stdout).toContain('fails_test.rego:2: 1 == 2')
    expect(stdout).toContain('0 passed, 1 failed, 0 skipped')
  })

  test('no test at all is no success', async () => {
    expect(await line.refusal('policy', 'test', 'release.rego')).toMatchObject({ status: 2 })
  })
})

describe('eval', () => {
  test('a policy over the verified evidence of a record: what holds, what does not, and what would change it', async () => {
    const good = await line.run('policy', 'eval', 'release.rego', '--record', 'd.json')
    expect(good.status, good.stderr).toBe(0)
    line.write('hard.rego', 'package hard\n\nallow if input.class == "hardware"\n')
    const { status, stdout } = await line.run('policy', 'eval', 'hard.rego', '--record', 'd.json')
    expect(status).toBe(1)
    expect(stdout).toContain('expected  grant policy: hard.rego:3 input.class == "hardware"')
    expect(stdout).toContain('actual    input.class is "simulated"')
    expect(stdout).toContain('input.class were "hardware" (it is "simulated")')
  })

  test('claims from a file are refused when they are not complete', async () => {
    const claims = goodClaims(recorded.agreement)
    line.write('claims.json', JSON.stringify(claims))
    line.write('half.json', JSON.stringify({ class: 'simulated' }))
    expect((await line.run('policy', 'eval', 'release.rego', '--claims', 'claims.json')).status).toBe(0)
    const { status, stdout } = await line.run('policy', 'eval', 'release.rego', '--claims', 'half.json')
    expect(status).toBe(1)
    expect(stdout).toContain('policy.claims')
    expect(await line.refusal('policy', 'eval', 'release.rego')).toMatchObject({ status: 2 })
  })
})

test('explain tells of an attestation that no condition was asked', async () => {
  const { status, stdout } = await line.run('policy', 'explain', '--record', 'd.json', '--key', recorded.decisionKey)
  expect(status).toBe(0)
  expect(stdout).toContain('ACCEPT  attest')
  expect(stdout).toContain('no condition was asked')
})

describe('what-if', () => {
  const rowsOf = async (...args: string[]) => {
    const ran = await line.run(
      'policy',
      'what-if',
      '--records',
      'records.jsonl',
      '--key',
      recorded.decisionKey,
      ...args,
      '--json',
    )
    const { rows, judged } = ran.json<{
      judged: number
      rows: { change: string; records: number; why: { code: string }[] }[]
    }>()
    return { status: ran.status, judged, rows: rows.map((r) => [r.change, r.records, r.why[0]?.code ?? '']) }
  }
  const each = (change: string, code = '') => [change, TIMES, code]

  test('the same agreement changes nothing', async () => {
    const same = candidate('same.json', {})
    expect(await rowsOf('--agreement', same)).toEqual({
      status: 0,
      judged: MACHINES * TIMES,
      rows: Array.from({ length: MACHINES }, () => each('keeps')),
    })
  })

  test('a reference set without one machine’s boot state takes that machine’s access, and only its', async () => {
    const file = candidate('v2.json', { environment: accepting(recorded.registers.slice(1)) })
    const { status, rows } = await rowsOf('--agreement', file)
    expect(status).toBe(1)
    expect(rows).toEqual([each('loses', 'appraisal.boot-state'), each('keeps'), each('keeps')])
    const { stdout } = await line.run('policy', 'what-if', '--records', 'records.jsonl', '--agreement', file)
    expect(stdout).toMatch(/LOSES\s+clinic-a\/patients\/key/)
    expect(stdout).toMatch(/loses\s+1 machines in 2 records/)
  })

  test('a new policy and a new resource: who loses and who gains', async () => {
    const strict = candidate('strict.json', { grants: [grantOf('allow if input.class == "hardware"')] })
    expect((await rowsOf('--agreement', strict)).rows).toEqual(
      Array.from({ length: MACHINES }, () => each('loses', 'policy.condition')),
    )
    const more = { ...grantOf('allow if input.launch.network == "none"'), id: 'a-more', resources: ['models/weights'] }
    const wider = candidate('wider.json', { grants: [...recorded.agreement.body.grants, more] })
    const { status, rows } = await rowsOf('--agreement', wider)
    expect(status).toBe(0)
    expect(rows.filter(([change]) => change === 'gains')).toHaveLength(MACHINES)
  })

  test('a distrust rule ends access of the machine that it names', async () => {
    const machine = JSON.parse(Buffer.from(recorded.envelopes[0]!.payload, 'base64').toString()).inputs.enrolment
      .machine
    line.write('distrust.json', JSON.stringify([{ id: 'r', subject: { kind: 'machine', machine }, reason: 'stolen' }]))
    const { rows } = await rowsOf('--distrust', 'distrust.json')
    expect(rows).toEqual([each('loses', 'appraisal.distrusted'), each('keeps'), each('keeps')])
  })

  test('on several threads the report is the same, and so is a refusal', { timeout: 120_000 }, async () => {
    const { workload, launch, grants } = recorded.agreement.body
    const supposition = { agreement: { workload, launch, grants, environment: accepting(recorded.registers.slice(1)) } }
    const job = { files: [line.file('records.jsonl')], key: recorded.decisionKey, supposition, pieceBytes: 40_000 }
    const judged = async (asked: WhatIfJob, threads: number) => {
      await using pool = new WhatIfPool(asked.files, threads)
      return await pool.judge(asked)
    }
    const one = await judged(job, 1)
    const three = await judged(job, 3)
    expect(three.judged).toBe(MACHINES * TIMES)
    expect(three.rows()).toEqual(one.rows())
    expect(three.text()).toBe(one.text())
    const foreign = { ...job, key: agreementBody().owners[0]!.keys[0]! }
    await expect(judged(foreign, 2)).rejects.toMatchObject({ code: 'evidence.signature' })
  })

  test('what is remembered of other records changes no outcome, whatever they have in common', async () => {
    const { workload, launch, environment, grants } = recorded.agreement.body
    const inputs = recorded.envelopes.map((e) => JSON.parse(Buffer.from(e.payload, 'base64').toString()).inputs)
    const supposition = {
      agreement: { workload, launch, grants, environment: accepting(recorded.registers.slice(1)) },
    }
    const stricter = agreementOf({ ...recorded.agreement.body, environment: { ...environment, leastClass: 'tpm' } })
    const record = fc.constantFrom<AttestInputs>(...inputs)
    const mixed = fc
      .record({ base: record, other: record, change: fc.nat(11), at: fc.nat(400), bit: fc.nat(5) })
      .map(({ base, other, change, at, bit }): AttestInputs => {
        const flip = (text: string) => {
          const bytes = Buffer.from(text, 'base64url')
          bytes[at % bytes.length]! ^= 1 << bit
          return bytes.toString('base64url')
        }
        const { evidence, enrolment, anchors } = base
        const changed: readonly Partial<AttestInputs>[] = [
          {},
          { evidence: { ...evidence, bootLog: other.evidence.bootLog } },
          { evidence: { ...evidence, registers: other.evidence.registers } },
          { evidence: { ...evidence, bootLog: flip(evidence.bootLog) } },
          { evidence: { ...evidence, launchLog: flip(evidence.launchLog) } },
          { evidence: { ...evidence, quote: { ...evidence.quote, signature: flip(evidence.quote.signature) } } },
          { enrolment: { ...enrolment!, ekCertificate: other.enrolment!.ekCertificate } },
          { enrolment: { ...enrolment!, resetCount: bit } },
          { anchors: anchors.map((a) => ({ ...a, class: 'tpm' as const })) },
          { agreement: Buffer.from(stricter.bytes).toString('base64') },
          { at: `${2000 + at}-01-01T00:00:00Z` },
          { nonce: other.nonce },
        ]
        return { ...base, ...changed[change] }
      })
    const outcomeOf = async (judge: ReturnType<typeof whatIf>, one: AttestInputs) => {
      try {
        return { judged: await judge(one) }
      } catch (error) {
        return { thrown: String(error) }
      }
    }
    const seen = new Set<string>()
    await fc.assert(
      fc.asyncProperty(fc.array(mixed, { minLength: 12, maxLength: 24 }), async (records) => {
        const together = whatIf(supposition, nodeCrypto)
        for (const one of records) {
          const outcome = await outcomeOf(together, one)
          expect(outcome).toStrictEqual(await outcomeOf(whatIf(supposition, nodeCrypto), one))
          const { result } = await attest(one, nodeCrypto) // which remembers nothing at all
          if (outcome.judged !== undefined) expect(outcome.judged === null).toBe(result === null)
          seen.add(outcome.judged === undefined ? 'thrown' : outcome.judged === null ? 'refused' : 'judged')
        }
      }),
      { numRuns: 6, seed: 4 },
    )
    expect(seen).toContain('refused')
    expect(seen).toContain('judged')
  })

  test('records of another key, and a supposition of nothing, are refused', async () => {
    const same = candidate('same2.json', {})
    const other = agreementBody().owners[0]!.keys[0]!
    const args = ['policy', 'what-if', '--records', 'records.jsonl', '--agreement', same, '--key', other]
    expect(await line.refusal(...args)).toMatchObject({ code: 'evidence.signature' })
    expect(await line.refusal('policy', 'what-if', '--records', 'records.jsonl')).toMatchObject({ status: 2 })
  })
})

test('fmt prints, checks and writes', async () => {
  line.write('ugly.rego', 'package a\nallow   if   input.class=="tpm"\n')
  expect((await line.run('policy', 'fmt', '--check', 'ugly.rego')).status).toBe(1)
  expect((await line.run('policy', 'fmt', 'ugly.rego')).stdout).toContain('allow if input.class == "tpm"')
  expect((await line.run('policy', 'fmt', '--write', 'ugly.rego')).status).toBe(0)
  expect((await line.run('policy', 'fmt', '--check', 'ugly.rego')).stdout).toContain('all formatted')
  line.write('broken.rego', 'package a\nallow if {')
  expect(await line.refusal('policy', 'fmt', 'broken.rego')).toMatchObject({ code: 'policy.invalid' })
})
