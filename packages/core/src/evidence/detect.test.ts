import fc from 'fast-check'
import * as kit from '@vouchsafe/testkit'
import { missingVectors, readVector } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { utf8 } from '../base/encoding.ts'
import { VouchsafeError } from '../base/errors.ts'
import { detectEvidence } from './detect.ts'
import { UNSUPPORTED_EVIDENCE } from './unsupported.ts'

const authorities = kit.makeIntelAuthorities()
const pck = kit.makePck({ authorities })
const quote = kit.makeQuote({ authorities, pck })
const report = kit.encodeSnpReport({ product: 'Turin', version: 5 })
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

test.each<[string, Uint8Array, string, string]>([
  ['an SNP report', report, 'snp', 'raw'],
  ['an SNP report with its certificates', kit.derWriter.join(report, new Uint8Array(4096)), 'snp', 'raw'],
  ['a TDX quote', quote, 'tdx', 'raw'],
  ['an SGX quote', kit.makeQuote({ authorities, pck, version: 3, enclave: {} }), 'sgx', 'raw'],
  [
    'a quote in hexadecimal, with line ends',
    utf8(Buffer.from(quote).toString('hex').replace(/.{64}/g, '$&\n')),
    'tdx',
    'raw',
  ],
  ['a quote in base64', utf8(base64(quote)), 'tdx', 'raw'],
  ['a TDX message', utf8(JSON.stringify({ cc_eventlog: null, quote: base64(quote) })), 'tdx', 'json'],
  ['a CCA token', kit.makeCcaToken({ cpak: kit.makeKey('P-384') }), 'cca', 'raw'],
  ['a GPU report', kit.makeGpu({ issuer: kit.makeNvidiaRoot() }).report, 'nvidia-gpu', 'raw'],
  [
    'a TPM statement',
    kit.makeVtpmQuote({ key: kit.makeKey('RSA-2048'), nonce: new Uint8Array(8) }).attest,
    'tpm',
    'raw',
  ],
])('recognises %s', (_what, file, format, container) => {
  expect(detectEvidence(file)).toMatchObject({ format, container })
})

describe('every other kind that is known is refused by its name', () => {
  test.each<[keyof typeof UNSUPPORTED_EVIDENCE, Uint8Array]>([
    ['sample', utf8('{"svn":"1","report_data":""}')],
    ['csv', utf8('{"attestation_report":{},"cert_chain":{},"serial_number":[]}')],
    ['hygondcu', utf8('{"attestation_reports":[]}')],
    ['nvidia-dpu', utf8('{"version":1,"devices":[]}')],
    ['ibm-se', utf8('{"image_hdr_tags":{},"cuid":""}')],
    ['nitro', Uint8Array.of(0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0)],
    ['tdreport', new Uint8Array(1024).fill(0x81, 0, 1)],
  ])('%s', (kind, file) => {
    expect(() => detectEvidence(file)).toThrow(
      expect.objectContaining({ code: 'evidence.unsupported', message: expect.stringContaining(`of kind ${kind}: `) }),
    )
  })
})

test.each<[string, Uint8Array]>([
  ['nothing', new Uint8Array(0)],
  ['some text', utf8('hello')],
  ['JSON of something else', utf8('{"a":1}')],
  ['a list', utf8('[1]')],
  ['a certificate', pck.der],
  ['a quote of another vendor', kit.makeQuote({ authorities, pck, vendor: new Uint8Array(16) })],
])('does not take %s for evidence', (_what, file) => {
  expect(() => detectEvidence(file)).toThrow(expect.objectContaining({ code: 'input.malformed' }))
})

test('fails only with a coded error, whatever the bytes', () => {
  const starts = [
    quote.subarray(0, 64),
    report.subarray(0, 64),
    utf8('{"quote":"'),
    Uint8Array.of(0x0a, 0x02, 1, 1, 0x12),
  ]
  fc.assert(
    fc.property(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 200 }), (start, rest) => {
      try {
        detectEvidence(kit.derWriter.join(start, rest))
      } catch (e) {
        expect(e).toBeInstanceOf(VouchsafeError)
        expect((e as VouchsafeError).code).not.toBe('internal')
      }
    }),
    { seed: 1, numRuns: 2000 },
  )
})

describe.skipIf(missingVectors())('recorded evidence', () => {
  test.each([
    ['gce/snp/milan_v2_report.bin', 'snp'],
    ['gce/snp/turin_v5_report.bin', 'snp'],
    ['coco/snp/as-e2e-evidence-genoa-v3.json', 'snp'],
    ['gce/tdx/quote_v5_sample.bin', 'tdx'],
    ['coco/tdx/tdx_quote_6.dat', 'tdx'],
    ['coco/sgx/occlum_quote.dat', 'sgx'],
    ['coco/azure-hcl/hcl-report-tdx.bin', 'azure-vtpm'],
    ['coco/az-snp-vtpm/evidence-v0.json', 'azure-vtpm'],
    ['coco/az-snp-vtpm/evidence-v2.json', 'azure-vtpm'],
    ['coco/az-tdx-vtpm/evidence-v1.json', 'azure-vtpm'],
    ['coco/tpm/tpm_evidence.json', 'tpm'],
    ['gce/tpm/attestations/gce-cos-85-nonce9009.pb', 'gce-vtpm'],
    ['vm-boot/q.msg', 'tpm'],
    ['coco/cca/cca-example-token.cbor', 'cca'],
    ['coco/nvidia/hopperAttestationReport.txt', 'nvidia-gpu'],
  ])('%s is of kind %s', (file, format) => {
    expect(detectEvidence(readVector(file)).format).toBe(format)
  })

  test.each([
    ['coco/csv/csv_evidence.json', 'csv'],
    ['coco/tdx/tdx_report_1.bin', 'tdreport'],
  ])('%s is refused as %s', (file, kind) => {
    expect(() => detectEvidence(readVector(file))).toThrow(
      expect.objectContaining({ code: 'evidence.unsupported', message: expect.stringContaining(kind) }),
    )
  })
})
