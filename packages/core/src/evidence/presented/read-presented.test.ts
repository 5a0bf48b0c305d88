import fc from 'fast-check'
import {
  encodeSnpCertificateTable,
  encodeSnpReport,
  makeAmdAuthorities,
  makeVek,
  missingVectors,
  readVector,
} from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { concat, utf8 } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { detectEvidence } from '../detect.ts'
import { evidenceFields } from '../fields/index.ts'
import { SNP_TABLE_ENTRIES } from '../snp/index.ts'
import { readPresented } from './index.ts'

const read = (file: Uint8Array) => readPresented(detectEvidence(file))
const report = encodeSnpReport({ product: 'Genoa' })

test('an extended report gives the chip’s certificate that its host put beside it', () => {
  const vek = makeVek({ authorities: makeAmdAuthorities('Genoa') }).der
  const table = encodeSnpCertificateTable([[SNP_TABLE_ENTRIES.vlek, vek]])
  expect(read(concat(report, table))).toEqual({ format: 'snp', report, vek })
  expect(read(report)).toEqual({ format: 'snp', report })
})

test.each<[string, object]>([
  ['a field of another length', { measurement: [1, 2] }],
  ['a byte that is none', { chip_id: Array.from({ length: 64 }, () => 256) }],
  ['a number over 64 bits', { policy: '18446744073709551616' }],
])('a message with %s is refused', (_what, change) => {
  const bytes = (n: number) => Array.from({ length: n }, () => 0)
  const tcb = { bootloader: 0, tee: 0, snp: 0, microcode: 0 }
  const version = { major: 1, minor: 55, build: 0 }
  const whole = {
    version: 3,
    guest_svn: 0,
    policy: 0x30000,
    family_id: bytes(16),
    image_id: bytes(16),
    vmpl: 0,
    sig_algo: 1,
    current_tcb: tcb,
    plat_info: 0,
    key_info: 0,
    report_data: bytes(64),
    measurement: bytes(48),
    host_data: bytes(32),
    id_key_digest: bytes(48),
    author_key_digest: bytes(48),
    report_id: bytes(32),
    report_id_ma: bytes(32),
    reported_tcb: tcb,
    cpuid_fam_id: 25,
    cpuid_mod_id: 17,
    cpuid_step: 0,
    chip_id: bytes(64),
    committed_tcb: tcb,
    current: version,
    committed: version,
    launch_tcb: tcb,
    signature: { r: bytes(72), s: bytes(72) },
  }
  const message = (attestation_report: object) => utf8(JSON.stringify({ attestation_report, cert_chain: null }))
  expect(read(message(whole))).toMatchObject({ format: 'snp' })
  expect(() => read(message({ ...whole, ...change }))).toThrow(expect.objectContaining({ code: 'input.malformed' }))
})

describe.skipIf(missingVectors())('recorded messages', () => {
  test.each([
    'coco/snp/as-e2e-evidence-genoa-v3.json',
    'coco/az-snp-vtpm/evidence-v0.json',
    'coco/az-tdx-vtpm/evidence-v1.json',
    'coco/tpm/tpm_evidence.json',
  ])('%s, changed anywhere, fails only with a coded error, also while its fields are shown', async (name) => {
    const good = readVector(name)
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.integer({ min: 0x20, max: 0x7e }), async (at, byte) => {
        try {
          await evidenceFields(read(good.with(at, byte)))
        } catch (e) {
          expect(e).toBeInstanceOf(VouchsafeError)
          expect((e as VouchsafeError).code).not.toBe('internal')
        }
      }),
      { seed: 1, numRuns: 60 },
    )
  })
})
