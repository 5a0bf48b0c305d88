import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { startSimulatedGuest } from '@vouchsafe/simulator'
import { TEMPLATES, Tpm } from '@vouchsafe/tpm'
import { launchEvents, launchRecord, writeCel } from '@vouchsafe/tpm/eventlog'
import { encodeTpmPublic, tpmName } from '@vouchsafe/tpm/codec'
import { imaRecord } from '../../tpm/src/testing/ima-record.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { VouchsafeError } from './base/errors.ts'
import { nodeCrypto } from '../node/index.ts'
import { digestOf } from './base/digest.ts'
import { fromBase64Url, toBase64, toBase64Url, toHex, utf8 } from './base/encoding.ts'
import { jwkThumbprint } from './base/keys.ts'
import { evidenceBinding } from './evidence/binding.ts'
import { machineId, verifyEndorsement } from './evidence/tpm/enrolment.ts'
import type { TpmEvidence } from './evidence/tpm/tpm-evidence.ts'
import { attest, release, toVerdict } from './flow.ts'
import { replayRecord } from './replay.ts'
import { signEnvelope } from './agreement/envelope.ts'
import { type Agreement } from './agreement/agreement.ts'
import {
  agreement,
  agreementBody,
  approval,
  clinicA,
  clinicB,
  goodClaims,
  newOwner,
  newP256,
} from './testing/agreement-fixture.ts'
import { issueToken } from './token/issue.ts'
import { signProof } from './token/proof.ts'
import { RECORD_TYPE, type ReleaseInputs, type TpmAttestInputs as AttestInputs } from './wire/decision-record.ts'
import { parseAnchor } from './x509/index.ts'

/** The line on a real (software) TPM, in one process: every check of the first half has a twin here that fails. */

const sealKey = newP256()
const proofKey = newP256()
const session = 'session-0123456789'
const nonce = 'nonce-1'
const brokerId = 'broker:a'

let guest: Awaited<ReturnType<typeof startSimulatedGuest>>
let directory: string
let agreed: Agreement
let inputs: AttestInputs

beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'vs-flow-'))
  guest = await startSimulatedGuest({ directory: path.join(directory, 'guest') })
  const registers = Object.fromEntries(Object.entries(guest.registers).map(([n, v]) => [n, [v]]))
  agreed = agreement({
    environment: { ...agreementBody().environment, registers },
    grants: grantsOverClaims(registers['0']?.[0] ?? ''),
    notBefore: '2020-01-01T00:00:00Z',
    expires: '2099-01-01T00:00:00Z',
  })
  inputs = await makeInputs()
})

afterAll(async () => {
  await guest?.stop()
  rmSync(directory, { recursive: true, force: true })
})

/** One grant in all three forms that this guest meets, and one in Rego that asks for hardware. */
function grantsOverClaims(firmware: string) {
  const modules = (text: string) => ({ 'release.rego': `package release\n${text}` })
  return [
    {
      ...agreementBody().grants[0]!,
      rego: {
        modules: modules('allow if { input.boot.registers["0"] in data.firmware; input.launch.output == "closed" }'),
        allow: 'data.release.allow',
        data: { firmware: [firmware] },
      },
      cel: ['assertion.class == "simulated" && "/app/run" in assertion.launch.args'],
    },
    {
      id: 'a-model',
      owner: 'clinic-a',
      resources: ['models/weights'],
      when: [],
      rego: { modules: modules('allow if input.class == "hardware"'), allow: 'data.release.allow' },
    },
  ]
}

/** What an agent does, step by step: measure the launch, bind the request, quote. */
async function makeInputs(from = guest, under = agreed, imaDigests: readonly Uint8Array[] = []): Promise<AttestInputs> {
  await using tpm = await Tpm.open(from.tpm)
  await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
  const akPublic = encodeTpmPublic(ak.public)
  const launch = goodClaims(under).launch
  const records = launchEvents(launch).map((event) => launchRecord(event, 'pcr', ['sha256'], nodeCrypto))
  for (const record of records) await tpm.pcrExtend(13, [{ hash: 'sha256', digest: record.digests.get('sha256')! }])
  for (const digest of imaDigests) await tpm.pcrExtend(10, [{ hash: 'sha256', digest }])
  const binding = evidenceBinding(
    {
      role: 'attester',
      brokerId,
      tenant: 'clinic-a',
      session,
      nonce,
      agreement: under.digest,
      sealKey: jwkThumbprint(sealKey.jwk, nodeCrypto),
      proofKey: jwkThumbprint(proofKey.jwk, nodeCrypto),
    },
    nodeCrypto,
  )
  const quote = await tpm.quote({ key: ak, bank: 'sha256', extraData: binding })
  const evidence: TpmEvidence = {
    format: 'tpm',
    akPublic: toBase64Url(akPublic),
    quote: { attest: toBase64Url(quote.attest), signature: toBase64Url(quote.signature) },
    registers: Object.fromEntries([...quote.pcrs.values].map(([n, v]) => [String(n), toHex(v)])),
    bootLog: toBase64Url(readFileSync(from.bootLog)),
    launchLog: toBase64Url(writeCel(records)),
  }
  const ekCertificate = await tpm.nvRead(0x01c0000a)
  const anchor = {
    name: 'simulator',
    class: 'simulated' as const,
    certificate: toBase64(from.manufacturerCertificate),
  }
  const { ek: endorsed } = await verifyEndorsement(
    ekCertificate,
    [],
    [parseAnchor(from.manufacturerCertificate, anchor)],
    new Date(),
    nodeCrypto,
  )
  const machine = machineId(endorsed.certificate.spki, tpmName(ak.public, nodeCrypto.digest), nodeCrypto)
  const { clockInfo } = await tpm.readClock()
  const counters = { resetCount: clockInfo.resetCount, restartCount: clockInfo.restartCount }
  return {
    at: new Date().toISOString(),
    brokerId,
    tenant: 'clinic-a',
    session,
    nonce,
    nonceState: 'fresh',
    sealKey: sealKey.jwk,
    proofKey: proofKey.jwk,
    evidence,
    enrolment: {
      machine,
      ekCertificate: toBase64Url(ekCertificate),
      intermediates: [],
      akPublic: toBase64Url(akPublic),
      ...counters,
    },
    anchors: [anchor],
    agreementDigest: under.digest,
    agreement: toBase64(under.bytes),
    distrust: [],
  }
}

const verdictOf = async (changed: AttestInputs) => toVerdict(await attest(changed, nodeCrypto))
const codeOf = async (changed: AttestInputs) => {
  const verdict = await verdictOf(changed)
  expect(verdict.kind).toBe('deny')
  return verdict.reasons[0]?.code
}
const withEvidence = (changes: Partial<TpmEvidence>): AttestInputs => ({
  ...inputs,
  evidence: { ...inputs.evidence, ...changes },
})
const flip = (base64Url: string, position: number) => {
  const bytes = fromBase64Url(base64Url)
  const index = position < 0 ? bytes.length + position : position
  return toBase64Url(bytes.with(index, bytes[index]! ^ 1))
}

describe('the first half', () => {
  test('accepts evidence of the enrolled machine, as class simulated', async () => {
    const { result, decision } = await attest(inputs, nodeCrypto)
    expect(decision).toEqual({ kind: 'accept' })
    expect(result?.claims).toMatchObject({
      class: 'simulated',
      simulated: true,
      hostExcluded: false,
      machine: inputs.enrolment?.machine,
    })
    expect(result?.claims.launch.image).toBe(agreed.body.workload.image)
  })

  test('A01 A19 refuses a nonce that is not fresh', async () => {
    expect(await codeOf({ ...inputs, nonceState: 'unissued' })).toBe('evidence.stale')
    expect(await codeOf({ ...inputs, nonceState: 'expired' })).toBe('evidence.stale')
  })

  test.each<[string, Partial<AttestInputs>]>([
    ['A02 A03 another nonce', { nonce: 'nonce-2' }],
    ['A03 another session', { session: 'session-9876543210' }],
    ['A03 another tenant', { tenant: 'clinic-b' }],
    ['A08 another broker', { brokerId: 'broker:b' }],
    ['A07 A08 a thief’s seal key', { sealKey: newP256().jwk }],
    ['A08 a thief’s proof key', { proofKey: newP256().jwk }],
    ['A12 keys swapped between their roles', { sealKey: proofKey.jwk, proofKey: sealKey.jwk }],
  ])('A05 refuses evidence that was made for %s', async (_what, changes) => {
    expect(await codeOf({ ...inputs, ...changes })).toBe('evidence.binding')
  })

  test('A08 refuses evidence made for another agreement', async () => {
    const other = agreement({ ...agreed.body, purpose: 'another' })
    expect(await codeOf({ ...inputs, agreement: toBase64(other.bytes), agreementDigest: other.digest })).toBe(
      'evidence.binding',
    )
  })

  test('B03 refuses a machine that never enrolled, and B14 one that is enrolled under another id or key', async () => {
    expect(await codeOf({ ...inputs, enrolment: null })).toBe('evidence.unenrolled')
    expect(await codeOf({ ...inputs, enrolment: { ...inputs.enrolment!, machine: 'tpm:other' } })).toBe(
      'evidence.unenrolled',
    )
    expect(
      await codeOf({ ...inputs, enrolment: { ...inputs.enrolment!, akPublic: flip(inputs.enrolment!.akPublic, -1) } }),
    ).toBe('evidence.unenrolled')
  })

  test('B04 refuses an endorsement that chains to no anchor', async () => {
    expect(await codeOf({ ...inputs, anchors: [] })).toBe('endorsement.untrusted')
    await using other = await startSimulatedGuest({ directory: path.join(directory, 'other') })
    expect(
      await codeOf({
        ...inputs,
        anchors: [{ ...inputs.anchors[0]!, certificate: toBase64(other.manufacturerCertificate) }],
      }),
    ).toBe('endorsement.untrusted')
  })

  test('D02 a software TPM is refused under an anchor of any class but simulated', async () => {
    for (const kind of ['tpm', 'platform-vtpm', 'hardware'] as const)
      expect(await codeOf({ ...inputs, anchors: [{ ...inputs.anchors[0]!, class: kind }] })).toBe(
        'endorsement.untrusted',
      )
  })

  test('refuses a quote with a bit flipped anywhere in its signature or body', async () => {
    const { attest: body, signature } = inputs.evidence.quote
    for (let i = 0; i < fromBase64Url(body).length; i++)
      await codeOf(withEvidence({ quote: { attest: flip(body, i), signature } }))
    for (let i = 6; i < fromBase64Url(signature).length; i += 3)
      await codeOf(withEvidence({ quote: { attest: body, signature: flip(signature, i) } }))
  })

  test('B05 refuses registers that are changed, missing or made up', async () => {
    const { registers } = inputs.evidence
    expect(await codeOf(withEvidence({ registers: { ...registers, '0': '11'.repeat(32) } }))).toBe('evidence.mismatch')
    const { '23': _, ...fewer } = registers
    expect(await codeOf(withEvidence({ registers: fewer }))).toBe('evidence.pcr-selection')
  })

  test('C04 refuses logs that do not replay to the quoted registers', async () => {
    const launch = fromBase64Url(inputs.evidence.launchLog)
    expect(await codeOf(withEvidence({ launchLog: '' }))).toBe('evidence.log')
    const records = launchEvents({ ...goodClaims(agreed).launch, args: ['/bin/sh'] }).map((event) =>
      launchRecord(event, 'pcr', ['sha256'], nodeCrypto),
    )
    expect(await codeOf(withEvidence({ launchLog: toBase64Url(writeCel(records)) }))).toBe('evidence.log')
    expect(await codeOf(withEvidence({ launchLog: toBase64Url(launch.subarray(0, -3)) }))).toBe('input.malformed')
    const boot = fromBase64Url(inputs.evidence.bootLog)
    for (const end of [0, 40, 200, boot.length - 1])
      expect(['input.malformed', 'evidence.log']).toContain(
        await codeOf(withEvidence({ bootLog: toBase64Url(boot.subarray(0, end)) })),
      )
  })

  describe('with what the kernel measured after the boot', () => {
    const records = ['boot_aggregate', '/usr/bin/node'].map((file, i) =>
      imaRecord({ hash: 'sha256', digest: new Uint8Array(32).fill(i + 1), path: file }),
    )
    const [first, second] = records.map(({ bytes }) => bytes) as [Uint8Array, Uint8Array]
    const list = (...parts: readonly Uint8Array[]) => toBase64Url(Buffer.concat(parts))
    let measuring: AttestInputs
    let measuringUnpinned: AttestInputs
    beforeAll(async () => {
      const digests = records.map(({ digest }) => digest)
      const value = digests.reduce(
        (register, digest) => nodeCrypto.digest('sha256', register, digest),
        new Uint8Array(32),
      )
      const { environment } = agreed.body
      const pinned = agreement({
        ...agreed.body,
        environment: { ...environment, registers: { ...environment.registers, '10': [toHex(value)] } },
      })
      const from = async (name: string, under: Agreement) => {
        await using machine = await startSimulatedGuest({ directory: path.join(directory, name) })
        return await makeInputs(machine, under, digests)
      }
      measuring = await from('ima', pinned)
      measuringUnpinned = await from('ima-unpinned', agreed)
    })
    const withList = (imaLog: string) => ({ ...measuring, evidence: { ...measuring.evidence, imaLog } })

    test('accepts a list that replays to the pinned register', async () => {
      expect(await verdictOf(withList(list(first, second)))).toMatchObject({ kind: 'accept' })
    })

    test('C04 refuses a register without its list, and a list that is not what the register holds', async () => {
      expect(await codeOf(measuring)).toBe('evidence.log')
      for (const other of [
        list(),
        list(first),
        list(second, first),
        list(first, second, second),
        list(first, second.with(60, second[60]! ^ 1)),
      ])
        expect(await codeOf(withList(other))).toBe('evidence.log')
      expect(await codeOf(withList(list(first, second.subarray(1))))).toBe('input.malformed')
      expect(await codeOf(withEvidence({ imaLog: list(first) }))).toBe('evidence.log')
    })

    test('B17 refuses a list that nobody pinned, and names what is on it', async () => {
      const evidence = { ...measuringUnpinned.evidence, imaLog: list(first, second) }
      const { reasons } = await verdictOf({ ...measuringUnpinned, evidence })
      expect(reasons).toMatchObject([{ code: 'appraisal.boot-state' }])
      expect(reasons[0]?.actual).toMatch(
        /^register 10 is [0-9a-f]{64}, made by IMA record 0, "boot_aggregate" sha256 (01){32}; IMA record 1, "\/usr\/bin\/node" sha256 (02){32}$/,
      )
    })
  })

  test('a boot that is not the agreed one is told by register, pin and every event that made the register', async () => {
    await using machine = await startSimulatedGuest({
      directory: path.join(directory, 'otherwise'),
      boot: { kernelCommandLine: 'root=/dev/vda1 init=/bin/sh' },
    })
    const { reasons } = await verdictOf(await makeInputs(machine))
    expect(reasons.map(({ code }) => code)).toEqual(['appraisal.boot-state', 'appraisal.boot-state'])
    expect(reasons.map(({ expected }) => expected)).toEqual(
      ['8', '9'].map((n) => `register ${n} is ${guest.registers[n]}`),
    )
    expect(reasons[0]?.actual).toMatch(
      /^register 8 is [0-9a-f]{64}, made by event \d+, kernel command line "root=\/dev\/vda1 init=\/bin\/sh"$/,
    )
    expect(reasons[1]?.actual).toMatch(
      /made by event \d+, read file .*"\/vmlinuz" as the log says; event \d+, read file .*; event \d+, the kernel's stub was started with command line sha256 /,
    )
  })

  test('B10 refuses counters that moved since enrolment', async () => {
    expect(
      await codeOf({
        ...inputs,
        enrolment: { ...inputs.enrolment!, resetCount: inputs.enrolment!.resetCount + 1 },
      }),
    ).toBe('appraisal.reset')
  })

  test('an agreement that the tenant does not know is refused', async () => {
    expect(await codeOf({ ...inputs, agreement: null })).toBe('agreement.unknown')
  })
})

describe('the second half', () => {
  const issuerKey = newP256()
  const body = utf8('{"resources":["patients/key"]}')
  const request = { method: 'POST', path: '/v1/tenants/clinic-a/releases', nonce: 'release-nonce' }
  const audience = `${brokerId}/clinic-a`
  const issuer = `vouchsafe:simulated:${brokerId}:clinic-a`

  async function makeRelease(changes: Partial<ReleaseInputs> = {}): Promise<ReleaseInputs> {
    const { result } = await attest(inputs, nodeCrypto)
    const now = new Date()
    const jkt = jwkThumbprint(proofKey.jwk, nodeCrypto)
    const subject = {
      issuer,
      audience,
      id: 'd-attest',
      nonce,
      session,
      agreement: agreed.digest,
      proofKey: jkt,
      sealKey: jwkThumbprint(sealKey.jwk, nodeCrypto),
    }
    const token = await issueToken(result!, subject, now, { kid: 'k', key: issuerKey.privateKey as never })
    const proof = await signProof({ ...request, body, token }, proofKey.jwk, proofKey.privateKey as never, nodeCrypto)
    const live = { issued: '2020-01-01T00:00:00Z', expires: '2099-01-01T00:00:00Z' }
    return {
      at: now.toISOString(),
      presentation: {
        at: now.toISOString(),
        token,
        proof,
        ...request,
        body: toBase64(body),
        nonceState: 'fresh',
        issuer,
        audience,
        keys: { k: issuerKey.jwk },
      },
      attestation: 'd-attest',
      attest: inputs,
      resources: [{ path: 'patients/key', version: 1 }],
      lease: null,
      owner: { id: 'clinic-a', keys: [clinicA.key] },
      statements: [approval(agreed, clinicA, live).envelope, approval(agreed, clinicB, live).envelope].map((e) => ({
        ...e,
        signatures: e.signatures.map((s) => ({ ...s })),
      })),
      supersededBy: null,
      ...changes,
    }
  }
  const verdict = async (changes: Partial<ReleaseInputs> = {}) =>
    toVerdict(await release(await makeRelease(changes), nodeCrypto))

  test('releases under token, proof, evidence and both approvals', async () => {
    expect(await verdict()).toMatchObject({ kind: 'release', grants: ['a-key'], reasons: [] })
  })

  test('plain, Rego and CEL conditions over the measured claims decide the release, and each rule is in the verdict', async () => {
    const { conditions } = await verdict()
    expect(conditions?.map((c) => [c.form, c.rule, c.held])).toEqual([
      ['plain', 'class is simulated or stronger', true],
      ['rego', 'data.release.allow', true],
      ['cel', 'assertion.class == "simulated"', true],
      ['cel', '"/app/run" in assertion.launch.args', true],
    ])
  })

  test('a denial by Rego names the expression and what it saw, and replays offline to the same words', async () => {
    const releaseInputs = await makeRelease({ resources: [{ path: 'models/weights', version: 1 }] })
    const denied = toVerdict(await release(releaseInputs, nodeCrypto))
    expect(denied).toMatchObject({
      kind: 'deny',
      reasons: [
        {
          stage: 'policy',
          code: 'policy.condition',
          expected: 'grant a-model: release.rego:2 input.class == "hardware"',
          actual: 'input.class is "simulated"',
        },
      ],
    })
    const record = {
      vouchsafe: 'decision/v1',
      id: 'd-rego',
      profile: 'simulated',
      codeVersion: 'test',
      verdict: denied,
      operation: 'release',
      inputs: releaseInputs,
    }
    const key = newOwner('broker')
    const kept = signEnvelope(RECORD_TYPE, utf8(JSON.stringify(record)), key.key, key.sign)
    expect(await replayRecord(kept, key.key, nodeCrypto)).toMatchObject({ reproduced: true, verdict: denied })
    const other = { ...record, verdict: { ...denied, conditions: [] } }
    const changed = signEnvelope(RECORD_TYPE, utf8(JSON.stringify(other)), key.key, key.sign)
    expect(await replayRecord(changed, key.key, nodeCrypto)).toMatchObject({ reproduced: false })
    const { conditions: _, ...before } = denied
    const old = signEnvelope(RECORD_TYPE, utf8(JSON.stringify({ ...record, verdict: before })), key.key, key.sign)
    expect(await replayRecord(old, key.key, nodeCrypto)).toMatchObject({ reproduced: true })
  })

  describe('F17 a policy on trial', () => {
    const trial = (text: string, until = '2099-01-01T00:00:00Z') => ({
      name: 'trial',
      until,
      grants: [
        {
          id: 'trial',
          owner: 'clinic-b', // whatever it says: a tenant tries out its own owner's grants
          resources: ['patients/key', 'models/weights'],
          when: [],
          rego: { modules: { 'a.rego': `package a\nallow if ${text}` }, allow: 'data.a.allow' },
        },
      ],
    })

    test('never changes the outcome: what it would release stays denied, what it would deny is released', async () => {
      const open = [trial('input.class == "simulated"')]
      const strict = [trial('input.class == "hardware"')]
      const weights = [{ path: 'models/weights', version: 1 }]
      expect(await verdict({ resources: weights, shadows: open })).toMatchObject({
        kind: 'deny',
        grants: [],
        shadows: [{ name: 'trial', kind: 'release', differs: true }],
      })
      expect(await verdict({ shadows: strict })).toMatchObject({
        kind: 'release',
        grants: ['a-key'],
        shadows: [{ kind: 'deny', differs: true, reasons: [{ code: 'policy.condition' }] }],
      })
      expect(await verdict({ shadows: open })).toMatchObject({ shadows: [{ kind: 'release', differs: false }] })
      const plain = await verdict({ resources: weights })
      const { shadows: _, ...beside } = await verdict({ resources: weights, shadows: open })
      expect(beside).toEqual(plain)
    })

    test('is not asked after its end, and one that does not compile says so without effect', async () => {
      expect(await verdict({ shadows: [trial('input.class == "hardware"', '2020-01-01T00:00:00Z')] })).toMatchObject({
        kind: 'release',
        shadows: [{ kind: 'expired', differs: false }],
      })
      expect(await verdict({ shadows: [trial('{')] })).toMatchObject({
        kind: 'release',
        shadows: [{ kind: 'deny', differs: true, reasons: [{ code: 'policy.invalid' }] }],
      })
    })
  })

  test('waits while an owner is missing', async () => {
    const { statements } = await makeRelease()
    expect(await verdict({ statements: statements.slice(0, 1) })).toMatchObject({
      kind: 'wait',
      missingApprovals: ['clinic-b'],
    })
  })

  test('E12 A20 refuses a token of another broker, and one without proof of its key', async () => {
    const good = await makeRelease()
    const at = (presentation: Partial<ReleaseInputs['presentation']>) =>
      release({ ...good, presentation: { ...good.presentation, ...presentation } }, nodeCrypto).then(
        (w) => toVerdict(w).reasons[0],
      )
    expect(await at({ issuer: 'vouchsafe:simulated:broker:b:clinic-b' })).toMatchObject({
      stage: 'token',
      code: 'token.issuer',
    })
    expect(await at({ audience: 'broker:b/clinic-b' })).toMatchObject({ stage: 'token', code: 'token.audience' })
    expect(await at({ proof: '' })).toMatchObject({ stage: 'token', code: 'token.proof' })
    expect(await at({ nonceState: 'unissued' })).toMatchObject({ stage: 'token', code: 'token.replayed' })
  })

  test('a token stands for its own attestation only', async () => {
    expect((await verdict({ attestation: 'd-other' })).reasons[0]).toMatchObject({ code: 'token.malformed' })
    expect((await verdict({ attest: null })).reasons[0]).toMatchObject({ code: 'token.malformed' })
    expect((await verdict({ attest: { ...inputs, sealKey: newP256().jwk } })).reasons[0]).toMatchObject({
      code: 'token.proof',
    })
  })

  test('E13 L01 a platform that was distrusted after the token was given gets nothing', async () => {
    const distrust = [
      { id: 'r1', subject: { kind: 'machine' as const, machine: inputs.enrolment!.machine }, reason: 'stolen' },
    ]
    expect((await verdict({ attest: { ...inputs, distrust } })).reasons[0]).toMatchObject({
      stage: 'appraisal',
      code: 'appraisal.distrusted',
    })
  })

  test('a recorded decision is walked again offline to the same verdict, and not after one claim was changed', async () => {
    const releaseInputs = await makeRelease()
    const record = {
      vouchsafe: 'decision/v1',
      id: 'd-1',
      profile: 'simulated',
      codeVersion: 'test',
      verdict: toVerdict(await release(releaseInputs, nodeCrypto)),
      operation: 'release',
      inputs: releaseInputs,
    }
    const key = newOwner('broker')
    const seal = (value: unknown) => signEnvelope(RECORD_TYPE, utf8(JSON.stringify(value)), key.key, key.sign)
    const replay = await replayRecord(seal(record), key.key, nodeCrypto)
    expect(replay).toMatchObject({
      signed: true,
      reproduced: true,
      digest: digestOf(utf8(JSON.stringify(record)), nodeCrypto),
    })

    const changed = structuredClone(record) as typeof record
    ;(changed.inputs.attest as { evidence: { registers: Record<string, string> } }).evidence.registers['0'] =
      '22'.repeat(32)
    expect(await replayRecord(seal(changed), key.key, nodeCrypto)).toMatchObject({
      reproduced: false,
      verdict: { kind: 'deny' },
    })
    const unsigned = { ...seal(record), payload: toBase64(utf8(JSON.stringify({ ...record, id: 'd-2' }))) }
    expect(await replayRecord(unsigned, key.key, nodeCrypto)).toMatchObject({ signed: false })
  })

  test('whichever value of a record is changed, even by the broker that signs it, it is rejected or gives another verdict', async () => {
    const releaseInputs = await makeRelease()
    const verdictNow = toVerdict(await release(releaseInputs, nodeCrypto))
    const about = { vouchsafe: 'decision/v1', id: 'd-1', profile: 'simulated', codeVersion: 'test' }
    const record = { ...about, verdict: verdictNow, operation: 'release', inputs: releaseInputs }
    const key = newOwner('broker')
    const unnoticed: string[] = []
    const weightless = [
      'at', // a second more or less, while everything is in force
      'attest.at',
      'attest.evidence.bootLog', // words about an event whose digest is of something else: never relied on
      'resources.0.version', // which version there was is the store's observation
      'statements.0.signatures.0.keyid', // a hint in DSSE, outside of what is signed
      'statements.1.signatures.0.keyid',
    ]
    for (const leaf of leavesOf(record.inputs, [])) {
      const changed = structuredClone(record)
      changeLeaf(changed.inputs, leaf)
      const envelope = signEnvelope(RECORD_TYPE, utf8(JSON.stringify(changed)), key.key, key.sign)
      const held = await replayRecord(envelope, key.key, nodeCrypto).then(
        (r) => r.reproduced,
        (error: unknown) => !(error instanceof VouchsafeError),
      )
      if (held) unnoticed.push(leaf.join('.'))
    }
    expect(unnoticed.filter((leaf) => !weightless.includes(leaf))).toEqual([])
  })
})

type Leaf = readonly (string | number)[]

/** Paths of everything that is neither object nor array nor null. */
function leavesOf(value: unknown, at: Leaf): readonly Leaf[] {
  if (value === null || value === undefined) return []
  return typeof value === 'object' ? Object.entries(value).flatMap(([k, v]) => leavesOf(v, [...at, k])) : [at]
}

function changeLeaf(root: unknown, leaf: Leaf): void {
  const last = leaf.at(-1) ?? ''
  const parent = leaf.slice(0, -1).reduce((o, k) => (o as Record<string, unknown>)[k], root) as Record<string, unknown>
  const value = parent[last]
  if (typeof value === 'string') {
    const middle = value.length >> 1
    parent[last] = value.slice(0, middle) + (value[middle] === '1' ? '2' : '1') + value.slice(middle + 1)
  } else parent[last] = typeof value === 'number' ? value + 1 : value === false
}
