import * as kit from '@vouchsafe/testkit'
import type { SnpReportSpec } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../node/crypto.ts'
import { toHex } from '../base/encoding.ts'
import type { ErrorCode } from '../base/errors.ts'
import { verifySnpReport } from '../evidence/snp/index.ts'
import { parseAnchor, parseCertificate } from '../x509/index.ts'
import { conclude } from './finding.ts'
import { snpReferenceSchema, type SnpReference } from '../agreement/reference/snp-reference.ts'
import { appraiseSnp } from './snp.ts'

const authorities = kit.makeAmdAuthorities('Milan')
const key = kit.makeKey('P-384')
const roots = [
  {
    product: 'Milan' as const,
    anchor: parseAnchor(authorities.ark.der, { class: 'simulated', name: 'fake' }),
    intermediates: [parseCertificate(authorities.ask.der)],
  },
]
const measurement = new Uint8Array(48).fill(0xab)
const digest = (byte: number) => new Uint8Array(48).fill(byte)
const tcb = kit.defaultTcb('Milan')
const hex = (bytes: Uint8Array) => toHex(bytes)

/** A launch that uses everything the reference below pins. */
const launch: Partial<SnpReportSpec> = {
  version: 5,
  policy: 0x12_0000n,
  measurement,
  hostData: new Uint8Array(32).fill(5),
  guestSvn: 7,
  idKeyDigest: digest(1),
  authorKeyDigest: digest(2),
  keyInfo: 1,
  platformInfo: 0x25n,
}
const reference = (changes: Record<string, unknown> = {}): SnpReference =>
  snpReferenceSchema.parse({
    measurements: [hex(measurement)],
    minimumTcb: { Milan: { bootloader: 4, tee: 0, snp: 24, microcode: 219 } },
    hostData: hex(new Uint8Array(32).fill(5)),
    minimumGuestSvn: 7,
    idKeyDigests: [hex(digest(1))],
    authorKeyDigests: [hex(digest(2))],
    require: { singleSocket: true, ecc: true, mitigations: '1' },
    ...changes,
  })

async function appraise(spec: Partial<SnpReportSpec>, held: SnpReference = reference()) {
  const full = { product: 'Milan', ...launch, ...spec } as const
  const vek = kit.makeVek({ authorities, key, ...(spec.tcb && { tcb: spec.tcb }) })
  const evidence = await verifySnpReport(
    { report: kit.makeSnpReport(full, vek), vek: vek.der },
    { reportData: new Uint8Array(64), roots, revocation: 'not-checked', at: new Date('2026-06-01T00:00:00Z') },
    nodeCrypto,
  )
  return conclude(appraiseSnp(evidence, held))
}
const complaints = (a: Awaited<ReturnType<typeof appraise>>) => a.findings.filter((f) => f.tier !== 'affirming')

test('affirms a launch that is as its owner wants it, with a finding for each check', async () => {
  const appraisal = await appraise({})
  expect(appraisal.tier).toBe('affirming')
  expect(appraisal.findings.length).toBeGreaterThan(20)
})

const policy = (bits: bigint) => ({ policy: launch.policy! | bits })

describe('D01 D03 D04 D05 every field that matters has a failing twin', () => {
  test.each<[string, Partial<SnpReportSpec>, ErrorCode, string]>([
    ['debug allowed', policy(1n << 19n), 'appraisal.debug', 'the host may debug'],
    ['SMT allowed', policy(1n << 16n), 'appraisal.guest-policy', 'multithreading allowed'],
    ['migration agent allowed', policy(1n << 18n), 'appraisal.guest-policy', 'migration agent allowed'],
    ['CXL allowed', policy(1n << 21n), 'appraisal.guest-policy', 'CXL memory allowed'],
    ['single socket not demanded', { policy: 0x2_0000n }, 'appraisal.guest-policy', 'single socket not demanded'],
    ['another measurement', { measurement: measurement.with(47, 0) }, 'appraisal.measurement', 'measurement abab'],
    ['other host data', { hostData: new Uint8Array(32) }, 'appraisal.host-data', 'host data 0000'],
    ['VMPL 1', { vmpl: 1 }, 'appraisal.privilege', 'VMPL 1'],
    ['another ID key', { idKeyDigest: digest(9) }, 'appraisal.launch-signer', 'ID key 0909'],
    ['another author key', { authorKeyDigest: digest(9) }, 'appraisal.launch-signer', 'author key 0909'],
    ['an older guest', { guestSvn: 6 }, 'appraisal.launch-signer', 'guest SVN 6'],
    ['a hidden chip', { chipId: new Uint8Array(64) }, 'appraisal.chip', 'hides'],
    [
      'old reported TCB',
      { tcb: { ...tcb, microcode: 218 }, currentTcb: tcb, committedTcb: tcb, launchTcb: tcb },
      'appraisal.tcb',
      'reported TCB of Milan: bootloader 4, tee 0, snp 24, microcode 218',
    ],
    ['old committed TCB', { committedTcb: { ...tcb, snp: 23 } }, 'appraisal.tcb', 'committed TCB of Milan'],
    ['old launch TCB', { launchTcb: { ...tcb, bootloader: 3 } }, 'appraisal.tcb', 'launch TCB of Milan'],
    ['memory without ECC', { platformInfo: 0x21n }, 'appraisal.platform', 'without ECC'],
    ['memory not checked for aliases', { platformInfo: 0x05n }, 'appraisal.platform', 'not checked for aliases'],
    ['a mitigation missing at launch', { launchMitigations: 0n }, 'appraisal.platform', 'of these, 0x0'],
    ['a mitigation missing now', { currentMitigations: 0n }, 'appraisal.platform', 'of these, 0x0'],
    ['firmware not committed', { committedFirmware: [28, 55, 1] }, 'appraisal.tcb', 'may still take back'],
  ])('%s', async (_what, spec, check, actual) => {
    const appraisal = await appraise(spec)
    expect(appraisal.tier).toBe('contraindicated')
    expect(complaints(appraisal)).toContainEqual(
      expect.objectContaining({ check, actual: expect.stringContaining(actual) }),
    )
  })

  test('a TCB committed below the current one counts as provisional', async () => {
    const appraisal = await appraise({ currentTcb: { ...tcb, microcode: 220 } })
    expect(complaints(appraisal)).toEqual([
      expect.objectContaining({ actual: 'firmware that the host may still take back' }),
    ])
  })

  test.each<[string, Partial<SnpReportSpec>, Record<string, unknown>]>([
    ['SMT', policy(1n << 16n), { allow: { smt: true } }],
    ['a migration agent', policy(1n << 18n), { allow: { migrationAgent: true } }],
    ['CXL', policy(1n << 21n), { allow: { cxl: true } }],
    ['VMPL 1', { vmpl: 1 }, { maximumVmpl: 1 }],
    ['any host data', { hostData: new Uint8Array(32) }, { hostData: 'any' }],
    ['any ID key', { idKeyDigest: digest(9) }, { idKeyDigests: 'any' }],
    ['any author key', { authorKeyDigest: digest(9) }, { authorKeyDigests: 'any' }],
    ['a hidden chip', { chipId: new Uint8Array(64) }, { allow: { hiddenChip: true } }],
    ['provisional firmware', { committedFirmware: [28, 55, 1] }, { allow: { provisionalFirmware: true } }],
    ['memory not checked for aliases', { platformInfo: 0x05n }, { require: { singleSocket: true, aliasCheck: false } }],
  ])('an owner can accept %s, in so many words', async (_what, spec, changes) => {
    expect((await appraise(spec, reference(changes))).tier).toBe('affirming')
  })

  test('no owner can accept debugging', async () => {
    expect(snpReferenceSchema.safeParse({ allow: { debug: true } }).success).toBe(false)
  })

  test('an owner who says nothing accepts nothing', async () => {
    const findings = complaints(await appraise({}, snpReferenceSchema.parse({})))
    expect(findings.map((f) => f.expected)).toEqual(
      expect.arrayContaining(['no measurement at all', 'no Milan at all']),
    )
  })

  test('evidence that nobody verified is not appraised', () => {
    expect(() => appraiseSnp({} as never, reference())).toThrow('never verified')
  })
})
