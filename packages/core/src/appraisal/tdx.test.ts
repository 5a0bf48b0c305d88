import * as kit from '@vouchsafe/testkit'
import type { CollateralSpec, EnclaveReportSpec, TdReportSpec } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../node/crypto.ts'
import type { ErrorCode } from '../base/errors.ts'
import { readSignedDocument, verifyDcapCollateral } from '../evidence/dcap/index.ts'
import { verifySgxQuote } from '../evidence/sgx/index.ts'
import { verifyTdxQuote } from '../evidence/tdx/index.ts'
import { parseAnchor } from '../x509/index.ts'
import { conclude } from './finding.ts'
import { appraiseSgx, sgxReferenceSchema } from './sgx.ts'
import { tdxReferenceSchema } from '../agreement/reference/tdx-reference.ts'
import { appraiseTdx } from './tdx.ts'

const authorities = kit.makeIntelAuthorities()
const anchors = [parseAnchor(authorities.root.der, { class: 'simulated', name: 'fake Intel root' })]
const at = new Date('2026-06-01T00:00:00Z')
const pck = kit.makePck({ authorities })
const filled = (byte: number, length = 48) => new Uint8Array(length).fill(byte)
const hex = (byte: number, length = 48) => byte.toString(16).padStart(2, '0').repeat(length)

async function collateral(spec: Partial<CollateralSpec>) {
  const c = kit.makeIntelCollateral({ authorities, ...spec })
  const input = {
    tcbInfo: readSignedDocument(c.tcbInfo, 'tcbInfo', c.issuerChain),
    qeIdentity: readSignedDocument(c.qeIdentity, 'enclaveIdentity', c.issuerChain),
    pckCrl: c.pckCrl,
    rootCrl: c.rootCrl,
  }
  return verifyDcapCollateral(input, { anchors, at }, nodeCrypto)
}

/** A TD that uses everything the reference below pins. */
const launch: Partial<TdReportSpec> = {
  kind: 'td15',
  mrTd: filled(1),
  rtmrs: [filled(0x10), filled(0x11), filled(0x12), filled(0x13)],
  mrConfigId: filled(2),
  mrOwner: filled(3),
  mrOwnerConfig: filled(4),
  mrServiceTd: filled(5),
}
const reference = (changes: Record<string, unknown> = {}) =>
  tdxReferenceSchema.parse({
    mrTd: [hex(1)],
    rtmr0: [hex(0x10)],
    rtmr1: [hex(0x11)],
    rtmr2: [hex(0x12)],
    rtmr3: [hex(0x13)],
    mrConfigId: [hex(2)],
    mrOwner: [hex(3)],
    mrOwnerConfig: [hex(4)],
    mrServiceTd: [hex(5)],
    mrSeam: [hex(0x5e)],
    ...changes,
  })

async function evidenceOf(spec: Partial<TdReportSpec>, rated: Partial<CollateralSpec> | 'not-checked') {
  const quote = kit.makeQuote({ authorities, pck, version: 5, td: { ...launch, ...spec } })
  const expected = { anchors, collateral: rated === 'not-checked' ? rated : await collateral(rated), at }
  return verifyTdxQuote({ quote }, { ...expected, reportData: new Uint8Array(64) }, nodeCrypto)
}
const appraise = async (
  spec: Partial<TdReportSpec>,
  held = reference(),
  rated: Partial<CollateralSpec> | 'not-checked' = {},
) => conclude(appraiseTdx(await evidenceOf(spec, rated), held, at))
const complaints = (a: Awaited<ReturnType<typeof appraise>>) => a.findings.filter((f) => f.tier !== 'affirming')

test('affirms a TD that is as its owner wants it, with a finding for each check', async () => {
  const appraisal = await appraise({})
  expect(appraisal.tier).toBe('affirming')
  expect(appraisal.findings.length).toBeGreaterThan(18)
})

const SEPT = 1n << 28n
const rtmr = (n: number) => ({ rtmrs: launch.rtmrs!.map((value, i) => (i === n ? filled(0xff) : value)) })

describe('D01 D03 D04 D12 every field that matters has a failing twin', () => {
  test.each<[string, Partial<TdReportSpec>, ErrorCode, string]>([
    ['debug', { attributes: SEPT | 1n }, 'appraisal.debug', 'may debug'],
    ['another bit of the debug group', { attributes: SEPT | 0x80n }, 'appraisal.debug', 'may debug'],
    ['another MRTD', { mrTd: filled(9) }, 'appraisal.measurement', 'MRTD 09'],
    ['another RTMR0', rtmr(0), 'appraisal.measurement', 'RTMR0 ff'],
    ['another RTMR1', rtmr(1), 'appraisal.measurement', 'RTMR1 ff'],
    ['another RTMR2', rtmr(2), 'appraisal.measurement', 'RTMR2 ff'],
    ['another RTMR3', rtmr(3), 'appraisal.measurement', 'RTMR3 ff'],
    ['another module', { mrSeam: filled(9) }, 'appraisal.measurement', 'MRSEAM 09'],
    ['another service TD', { mrServiceTd: filled(9) }, 'appraisal.measurement', 'MRSERVICETD 09'],
    ['no service TD', { kind: 'td10' }, 'appraisal.measurement', 'MRSERVICETD 00'],
    ['another MRCONFIGID', { mrConfigId: filled(9) }, 'appraisal.host-data', 'MRCONFIGID 09'],
    ['another MROWNER', { mrOwner: filled(9) }, 'appraisal.host-data', 'MROWNER 09'],
    ['another MROWNERCONFIG', { mrOwnerConfig: filled(9) }, 'appraisal.host-data', 'MROWNERCONFIG 09'],
    ['migratable', { attributes: SEPT | (1n << 29n) }, 'appraisal.guest-policy', 'MIGRATABLE on'],
    ['performance counters', { attributes: SEPT | (1n << 63n) }, 'appraisal.guest-policy', 'PERFMON on'],
    ['Key Locker', { attributes: SEPT | (1n << 31n) }, 'appraisal.guest-policy', 'KL on'],
    ['protection keys', { attributes: SEPT | (1n << 30n) }, 'appraisal.guest-policy', 'PKS on'],
    ['LASS', { attributes: SEPT | (1n << 27n) }, 'appraisal.guest-policy', 'LASS on'],
    ['SEPT_VE_DISABLE off', { attributes: 0n }, 'appraisal.guest-policy', 'SEPT_VE_DISABLE off'],
    [
      'an attribute of unknown meaning',
      { attributes: SEPT | (1n << 40n) },
      'appraisal.guest-policy',
      'attributes 0x10000000000',
    ],
  ])('%s', async (_what, spec, check, actual) => {
    const appraisal = await appraise(spec)
    expect(appraisal.tier).toBe('contraindicated')
    expect(complaints(appraisal)).toContainEqual(
      expect.objectContaining({ check, actual: expect.stringContaining(actual) }),
    )
  })

  test('D12 an MRTD alone is not enough: registers without reference values are refused', async () => {
    const findings = complaints(await appraise({}, tdxReferenceSchema.parse({ mrTd: [hex(1)] })))
    expect(findings.map((f) => f.expected)).toEqual(
      expect.arrayContaining(['no RTMR0 at all', 'no RTMR1 at all', 'no RTMR2 at all', 'no RTMR3 at all']),
    )
  })

  test('an owner can leave a register free, in so many words', async () => {
    expect((await appraise(rtmr(3), reference({ rtmr3: 'dangerously-unpinned' }))).tier).toBe('affirming')
  })

  test('no owner can accept debugging or a revoked platform', () => {
    expect(tdxReferenceSchema.safeParse({ allow: { debug: true } }).success).toBe(false)
    const exception = { status: 'Revoked', advisories: [], until: '2030-01-01T00:00:00Z', reason: 'x' }
    expect(tdxReferenceSchema.safeParse({ tcb: { exceptions: [exception] } }).success).toBe(false)
  })
})

describe('D14 Intel’s judgement', () => {
  const components = Array.from({ length: 16 }, () => ({ svn: 0 }))
  const platform = (status: string, advisoryIDs: readonly string[] = []): Partial<CollateralSpec> => ({
    tcbInfo: {
      tcbLevels: [
        {
          tcb: { sgxtcbcomponents: components, tdxtcbcomponents: components, pcesvn: 0 },
          tcbDate: '2024-01-01T00:00:00Z',
          tcbStatus: status,
          advisoryIDs,
        },
      ],
    },
  })
  const exception = (status: string, advisories: readonly string[] = ['INTEL-SA-1'], until = '2026-07-01T00:00:00Z') =>
    reference({ tcb: { exceptions: [{ status, advisories, until, reason: 'the mitigation is in our kernel' }] } })

  test.each([
    'SWHardeningNeeded',
    'ConfigurationNeeded',
    'ConfigurationAndSWHardeningNeeded',
    'OutOfDate',
    'OutOfDateConfigurationNeeded',
    'Revoked',
  ])('%s is refused unless excepted', async (status) => {
    expect(complaints(await appraise({}, reference(), platform(status)))).toEqual([
      expect.objectContaining({ check: 'appraisal.tcb', actual: status }),
    ])
    if (status !== 'Revoked')
      expect((await appraise({}, exception(status), platform(status, ['INTEL-SA-1']))).tier).toBe('affirming')
  })
  test('an exception covers its own advisories only', async () => {
    const appraisal = await appraise(
      {},
      exception('SWHardeningNeeded'),
      platform('SWHardeningNeeded', ['INTEL-SA-1', 'INTEL-SA-2']),
    )
    expect(complaints(appraisal).map((f) => f.check)).toEqual(['appraisal.tcb', 'appraisal.advisory'])
  })
  test('an exception ends', async () => {
    const appraisal = await appraise(
      {},
      exception('SWHardeningNeeded', [], '2026-06-01T00:00:00Z'),
      platform('SWHardeningNeeded'),
    )
    expect(appraisal.tier).toBe('contraindicated')
  })
  test('an exception for one status does not cover another', async () => {
    expect((await appraise({}, exception('SWHardeningNeeded', []), platform('OutOfDate'))).tier).toBe('contraindicated')
  })
  test('an advisory counts also where the status is content', async () => {
    expect(complaints(await appraise({}, reference(), platform('UpToDate', ['INTEL-SA-9'])))).toEqual([
      expect.objectContaining({ check: 'appraisal.advisory', actual: 'INTEL-SA-9' }),
    ])
  })
  test('D09 an earlier round of judging is refused where a later one is asked for', async () => {
    expect(complaints(await appraise({}, reference({ tcb: { minimumEvaluationNumber: 19 } })))).toEqual([
      expect.objectContaining({ check: 'appraisal.tcb', actual: 'TCB evaluation 18' }),
    ])
  })
  test('a platform that nobody rated is refused', async () => {
    expect(complaints(await appraise({}, reference(), 'not-checked'))).toEqual([
      expect.objectContaining({ check: 'appraisal.tcb', actual: 'collateral was not checked' }),
    ])
  })
})

describe('an SGX enclave', () => {
  const enclave = {
    mrEnclave: filled(1, 32),
    mrSigner: filled(2, 32),
    isvProdId: 7,
    isvSvn: 3,
    configId: filled(4, 64),
  }
  const held = (changes: Record<string, unknown>) => sgxReferenceSchema.parse({ configId: [hex(4, 64)], ...changes })
  const signer = { mrSigner: hex(2, 32), isvProdId: 7, minimumIsvSvn: 3 }
  async function appraiseEnclave(spec: EnclaveReportSpec, reference: ReturnType<typeof held>) {
    const quote = kit.makeQuote({ authorities, pck, version: 3, enclave: { ...enclave, ...spec } })
    const expected = { anchors, collateral: await collateral({ tee: 'SGX' }), at, reportData: new Uint8Array(64) }
    return conclude(appraiseSgx(await verifySgxQuote({ quote }, expected, nodeCrypto), reference, at))
  }
  test('is accepted by its measurement, or by signer, product and version', async () => {
    expect((await appraiseEnclave({}, held({ enclaves: [hex(1, 32)] }))).tier).toBe('affirming')
    expect((await appraiseEnclave({}, held({ signers: [signer] }))).tier).toBe('affirming')
  })
  test.each<[string, EnclaveReportSpec, Record<string, unknown>, ErrorCode]>([
    ['another measurement', {}, { enclaves: [hex(9, 32)] }, 'appraisal.measurement'],
    ['no reference value', {}, {}, 'appraisal.measurement'],
    ['another signer', { mrSigner: filled(9, 32) }, { signers: [signer] }, 'appraisal.measurement'],
    ['another product', { isvProdId: 8 }, { signers: [signer] }, 'appraisal.measurement'],
    ['an older version', { isvSvn: 2 }, { signers: [signer] }, 'appraisal.measurement'],
    ['debug', { attributes: Uint8Array.of(2, ...new Uint8Array(15)) }, { enclaves: [hex(1, 32)] }, 'appraisal.debug'],
    ['another CONFIGID', { configId: filled(9, 64) }, { enclaves: [hex(1, 32)] }, 'appraisal.host-data'],
  ])('is refused with %s', async (_what, spec, changes, check) => {
    const { tier, findings } = await appraiseEnclave(spec, held(changes))
    expect(tier).toBe('contraindicated')
    expect(findings.filter((f) => f.tier !== 'affirming').map((f) => f.check)).toEqual([check])
  })
})
