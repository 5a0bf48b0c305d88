import { readFileSync } from 'node:fs'
import { encode } from 'cborg'
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

describe('D15 D16 an AWS Nitro document is refused by its name, whatever is missing from it', () => {
  const payload = new Map<string, unknown>([
    ['module_id', 'i-0123456789abcdef0-enc0123456789abcdef'],
    ['digest', 'SHA384'],
    ['timestamp', 1_700_000_000_000],
    ['pcrs', new Map(Array.from({ length: 16 }, (_, n) => [n, new Uint8Array(48)]))],
    ['certificate', pck.der],
    ['cabundle', [authorities.root.der]],
    ['public_key', null],
    ['user_data', new Uint8Array(32)],
    ['nonce', new Uint8Array(32)],
  ])
  const parts = (members: ReadonlyMap<string, unknown>, head: ReadonlyMap<number, number> = new Map([[1, -35]])) => [
    encode(head),
    new Map(),
    encode(members),
    new Uint8Array(96),
  ]
  const document = (...of: Parameters<typeof parts>) => encode(parts(...of))
  const without = (name: string) => new Map([...payload].filter(([member]) => member !== name))
  const refused = expect.objectContaining({
    code: 'evidence.unsupported',
    message: expect.stringContaining('kind nitro'),
  })

  test.each<[string, Uint8Array]>([
    ['whole', document(payload)],
    ['tagged', kit.derWriter.join(Uint8Array.of(0xd2), document(payload))],
    ['with another algorithm', document(payload, new Map([[1, -7]]))],
    ['with no algorithm', document(payload, new Map())],
    ['with nothing in it', document(new Map())],
    ['cut short', document(payload).subarray(0, 100)],
    ...[...payload.keys()].map((name): [string, Uint8Array] => [`without ${name}`, document(without(name))]),
  ])('%s', (_what, file) => {
    expect(() => detectEvidence(file)).toThrow(refused)
    expect(() => detectEvidence(utf8(base64(file)))).toThrow(refused)
  })

  test('CBOR of another shape is of no kind', () => {
    const three = encode([new Uint8Array(1), new Map(), new Uint8Array(1)])
    const texts = encode(['a', new Map(), 'b', 'c'])
    for (const file of [three, texts, Uint8Array.of(0x84)])
      expect(() => detectEvidence(file)).toThrow(expect.objectContaining({ code: 'input.malformed' }))
  })
})

describe('KB-31 what is measured before a guest is launched is refused, with the reason', () => {
  const page = readFileSync(new URL('../../../../docs/decisions/007-evidence-refused.md', import.meta.url), 'utf8')
  const report = new Uint8Array(208)
  report.set([0x02, 0x10, 0, 0], 52)

  test.each<[string, Uint8Array]>([
    ['the report of SEV’s firmware to the host', report],
    ['what libvirt says of a SEV guest', utf8('{"sev-measurement":"AAAA","sev-api-major":1,"sev-policy":3}')],
  ])('%s', (_what, file) => {
    expect(() => detectEvidence(file)).toThrow(
      expect.objectContaining({
        code: 'evidence.unsupported',
        message: expect.stringContaining('no report from within'),
      }),
    )
  })

  test('the page of what is refused has a row for each kind', () => {
    const rows = page.split('\n').filter((l) => l.startsWith('| `'))
    const kinds = rows.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([a-z-]+)`/g)].map(([, kind]) => kind))
    expect(new Set(kinds)).toEqual(new Set(Object.keys(UNSUPPORTED_EVIDENCE)))
    expect(rows.find((row) => row.includes('`sev`'))).toContain('SEV-ES')
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
