import { generateKeyPairSync, sign } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../node/index.ts'
import { parseAgreement } from '../../agreement/agreement.ts'
import { signEnvelope } from '../../agreement/envelope.ts'
import { REFERENCE_TYPE, type ReferenceEntry } from '../../agreement/reference/reference-set.ts'
import { fromBase64, fromBase64Url, toBase64Url, utf8 } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { formatOwnerKey } from '../../base/keys.ts'
import { attest } from '../../flow.ts'
import {
  PLATFORM_AT,
  PLATFORM_MEASUREMENT,
  PLATFORM_PROJECT,
  PLATFORM_REGISTERS,
  type PlatformChanges,
  platformInputs,
  UNMARKED,
} from '../../testing/platform-inputs.ts'
import { whatIf } from '../../what-if.ts'
import { type AttestInputs, attestInputsSchema } from '../../wire/decision-record.ts'
import { cpuEvidenceIn, platformMachineId } from './index.ts'

const FORMATS = ['azure-vtpm', 'gce-vtpm'] as const
const judged = async (inputs: AttestInputs) => {
  const { result, decision } = await attest(inputs, nodeCrypto)
  return { kind: decision.kind, result, codes: 'reasons' in decision ? decision.reasons.map((r) => r.code) : [] }
}

describe.each(FORMATS)('%s', (format) => {
  test('A18 is accepted, and says what the vTPM measured, what the CPU is, and what the cloud vouches for', async () => {
    const inputs = platformInputs(format)
    const { kind, codes, result } = await judged(inputs)
    expect({ kind, codes }).toEqual({ kind: 'accept', codes: [] })
    const { claims } = result ?? {}
    expect(claims).toMatchObject({
      format,
      class: 'simulated',
      boot: { registers: PLATFORM_REGISTERS, resetCount: 7, restartCount: 1 },
      platform: {
        vendor: 'amd',
        measurement: PLATFORM_MEASUREMENT,
        fields:
          format === 'azure-vtpm' ? { vmUniqueId: 'A-1', 'secure-boot': 'true' } : { project_id: PLATFORM_PROJECT },
      },
      launch: { args: ['/app/run'] },
    })
    if (inputs.evidence.format !== format) throw new Error('other evidence')
    expect(claims?.machine).toBe(await platformMachineId(inputs.evidence, nodeCrypto))
    expect(cpuEvidenceIn(inputs.evidence)).toMatchObject({ format: 'snp' })
    expect(attestInputsSchema.parse(JSON.parse(JSON.stringify(inputs)))).toEqual(inputs)
  })

  test('D02 a simulator’s anchor under another class is refused', async () => {
    for (const classes of [
      ['hardware', 'simulated'],
      ['simulated', 'platform-vtpm'],
    ] as const) {
      const { codes } = await judged(platformInputs(format, { classes }))
      const concerned = format === 'gce-vtpm' || classes[0] === 'hardware'
      expect(codes).toEqual(concerned ? ['endorsement.untrusted'] : [])
    }
  })

  test('D08 makers of TPMs vouch for neither CPU nor vTPM', async () => {
    expect((await judged(platformInputs(format, { makers: UNMARKED, classes: ['tpm', 'tpm'] }))).codes).toEqual([
      'endorsement.untrusted',
    ])
  })

  test('B11 the class is that of the weakest anchor, and only the paravisor’s vTPM keeps the host out', async () => {
    const genuine = { makers: UNMARKED, classes: ['hardware', 'platform-vtpm'] } as const
    const { result, kind } = await judged(platformInputs(format, genuine))
    const azure = format === 'azure-vtpm'
    expect(kind).toBe('accept')
    expect(result?.claims).toMatchObject({ class: azure ? 'hardware' : 'platform-vtpm', hostExcluded: azure })
    const { environment } = JSON.parse(Buffer.from(platformInputs(format).agreement ?? '', 'base64').toString())
    const strict = { ...environment, leastClass: 'hardware', hostExcluded: true }
    const { codes } = await judged(platformInputs(format, { ...genuine, environment: strict }))
    expect([...new Set(codes)]).toEqual(azure ? [] : ['appraisal.class'])
  })

  test('L01 distrust of any anchor that it rests on refuses it', async () => {
    const rested = format === 'azure-vtpm' ? ['AMD'] : ['Google', 'AMD']
    const { result } = await judged(platformInputs(format))
    expect(result?.claims.anchors).toEqual(rested)
    for (const anchor of rested) {
      const distrust = [{ id: 'd', subject: { kind: 'anchor', anchor }, reason: 'broken' } as const]
      expect((await judged({ ...platformInputs(format), distrust })).codes).toEqual(['appraisal.distrusted'])
    }
  })

  test('each half has to be as agreed: the boot by registers, the CPU by hardware terms', async () => {
    const one = { '0': ['00'.repeat(32)] }
    expect((await judged(platformInputs(format, { environment: { registers: one } }))).codes).toEqual(
      expect.arrayContaining(['appraisal.boot-state']),
    )
    expect((await judged(platformInputs(format, { snp: { measurement: new Uint8Array(48) } }))).codes).toEqual([
      'appraisal.measurement',
    ])
    const empty = { chips: 'any-genuine' } as never
    expect((await judged(platformInputs(format, { environment: { hardware: empty } }))).codes).toContain(
      'appraisal.measurement',
    )
    expect((await judged({ ...platformInputs(format), collateral: null })).codes).toEqual(['endorsement.unavailable'])
    expect((await judged({ ...platformInputs(format), nonceState: 'used' })).codes).toEqual(['evidence.stale'])
  })

  test('A03 evidence for one broker, tenant, session, nonce or key answers no other', async () => {
    const inputs = platformInputs(format)
    for (const other of [
      { brokerId: 'broker:b' },
      { tenant: 'clinic-b' },
      { session: 'session-9876543210' },
      { nonce: 'nonce-2' },
      { sealKey: inputs.proofKey },
    ])
      expect((await judged({ ...inputs, ...other })).codes).toEqual(['evidence.binding'])
  })

  test('one changed bit of whatever is signed is refused, and only with errors of our own', async () => {
    const inputs = platformInputs(format)
    const { evidence } = inputs
    if (evidence.format !== format) throw new Error('other evidence')
    const parts: readonly (readonly [string, string, (text: string) => AttestInputs['evidence']])[] = [
      ['attest', evidence.quote.attest, (attest) => ({ ...evidence, quote: { ...evidence.quote, attest } })],
      [
        'signature',
        evidence.quote.signature,
        (signature) => ({ ...evidence, quote: { ...evidence.quote, signature } }),
      ],
      ['launchLog', evidence.launchLog, (launchLog) => ({ ...evidence, launchLog })],
      ...(evidence.format === 'azure-vtpm'
        ? ([['hclReport', evidence.hclReport, (hclReport: string) => ({ ...evidence, hclReport })]] as const)
        : ([
            ['akCertificate', evidence.akCertificate, (akCertificate: string) => ({ ...evidence, akCertificate })],
            [
              'report',
              evidence.cpu?.format === 'snp' ? evidence.cpu.report : '',
              (report: string) => ({ ...evidence, cpu: { format: 'snp' as const, report } }),
            ],
          ] as const)),
    ]
    for (const [name, text, put] of parts) {
      const bytes = fromBase64Url(text, name)
      // after the HCL report come bytes that nobody signed, and its header is read for its sizes and kinds only
      const signed = name === 'hclReport' ? [32, bytes.length - 101] : [0, bytes.length - 1]
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: signed[0]!, max: signed[1]! }),
          fc.integer({ min: 0, max: 7 }),
          async (at, bit) => {
            const changed = bytes.with(at, (bytes[at] ?? 0) ^ (1 << bit))
            const { kind } = await judged({ ...inputs, evidence: put(toBase64Url(changed)) })
            expect(kind, `${name}, byte ${at}, bit ${bit}`).toBe('deny')
          },
        ),
        { numRuns: 12, seed: 7 },
      )
      for (const cut of [bytes.subarray(0, -1), new Uint8Array(0)])
        expect((await judged({ ...inputs, evidence: put(toBase64Url(cut)) })).kind, `${name} cut short`).toBe(
          name === 'hclReport' && cut.length > 0 ? 'accept' : 'deny', // one of the bytes that nobody signed
        )
    }
  })
})

describe('KB-11 reference sets pin both halves of a cloud’s machine', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const signer = formatOwnerKey(new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)))
  const provenance = { how: 'computed', source: 'test', inputs: {} } as const
  const tpm: ReferenceEntry = {
    kind: 'tpm',
    id: 'boot',
    registers: PLATFORM_REGISTERS,
    notAfter: '2027-01-01T00:00:00Z',
    provenance,
  }
  const snp: ReferenceEntry = {
    kind: 'snp',
    id: 'paravisor',
    measurement: PLATFORM_MEASUREMENT,
    notAfter: '2026-09-01T00:00:00Z',
    provenance,
  }
  function under(entries: readonly ReferenceEntry[]): PlatformChanges {
    const set = {
      vouchsafe: 'reference/v1',
      name: 'vms',
      version: 1,
      previous: null,
      issued: PLATFORM_AT.toISOString(),
      entries,
    }
    const bytes = utf8(JSON.stringify(set))
    const envelope = signEnvelope(REFERENCE_TYPE, bytes, signer, (m) => new Uint8Array(sign(null, m, privateKey)))
    const { environment } = JSON.parse(Buffer.from(platformInputs('azure-vtpm').agreement ?? '', 'base64').toString())
    const { measurements: _, ...floors } = environment.hardware.snp
    return {
      environment: {
        registers: {},
        hardware: { chips: 'any-genuine', snp: floors },
        references: [{ set: 'vms', signer, atLeast: 1 }],
      },
      references: [
        { set: 'vms', version: { ...envelope, signatures: envelope.signatures.map((s) => ({ ...s })) }, ended: [] },
      ],
    }
  }

  test.each(FORMATS)('%s: accepted under both, until the first of them ends; refused under one', async (format) => {
    const { kind, result } = await judged(platformInputs(format, under([tpm, snp])))
    expect(kind).toBe('accept')
    expect(result?.appraisal.until).toBe('2026-09-01T00:00:00Z')
    expect((await judged(platformInputs(format, under([tpm])))).codes).toContain('appraisal.measurement')
    expect((await judged(platformInputs(format, under([snp])))).codes).toContain('appraisal.boot-state')
  })
})

test('what-if judges it again under another agreement', async () => {
  const inputs = platformInputs('gce-vtpm')
  const { body } = parseAgreement(fromBase64(inputs.agreement ?? ''), nodeCrypto)
  const { platforms: _, ...environment } = body.environment
  const told = await whatIf({ agreement: { ...body, environment } }, nodeCrypto)(inputs)
  expect(told?.before.resources).toEqual(['clinic-a/patients/key'])
  expect(told?.after.resources).toEqual([])
  expect(told?.after.refusals.get('*')?.map((r) => r.code)).toContain('appraisal.cloud')
})

test('a machine id is read of nothing but what can be read', async () => {
  const inputs = platformInputs('azure-vtpm')
  if (inputs.evidence.format !== 'azure-vtpm') throw new Error('other evidence')
  const broken = { ...inputs.evidence, hclReport: 'AAAA' }
  await expect(platformMachineId(broken, nodeCrypto)).rejects.toThrow(VouchsafeError)
  expect(() => cpuEvidenceIn(broken)).toThrow(expect.objectContaining({ code: 'input.malformed' }))
})
