import { createHash } from 'node:crypto'
import { readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { evidence, VouchsafeError } from '@vouchsafe/core'
import { missingVectors, readVector, vectorsRoot } from '@vouchsafe/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CommandLine } from '../testing/command-line.ts'

/*
 * Every file of the recorded vectors that holds evidence, held against what its INDEX states, through the command line.
 * The table is complete by a test of its own: evidence without a line here fails, and so does a line without a file.
 */

const NO_NONCE = ['--without-nonce']
const NO_COLLATERAL = ['--without-collateral']
const RECORDED = [...NO_NONCE, ...NO_COLLATERAL]
const vector = (name: string) => path.join(vectorsRoot, name)
const hex = (text: string) => Buffer.from(text).toString('hex')
const chip = (name: string) => ['--certificate', vector(name)]
const AZURE_V2 = '982f5c6e45df0ed3f10b6f60b02f0c8390e281300f3805e2279c16168cd6ae9aa398f647caa2338748cd0fd9f5f819ef'
const AZURE_GENOA = '0218488bae25d2509232bf676f1a66a30d7372add909109b36016ef136f2938ca05475f8b46094de6b64270ea35d950f'
const HOPPER = '931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb'
const HOPPER_COCO = '87d8e24ab336adafe228d49e83d745f6dba4ae505372b6a5704820856b343fec'
const GCE_TRUST = [
  '--google',
  '--intermediate',
  vector('gce/tpm/certs/tpm_ek_intermediate_2.crt'),
  '--unexplained',
  '10',
]

type Line = readonly [file: string, at: string, options: readonly string[], outcome: object]
const genuine = (anchor: string, facts: object = {}) => ({
  verified: true,
  anchor,
  facts: expect.objectContaining(facts),
})
const amd = (product: string, facts: object = {}) => genuine(`AMD ARK ${product}`, facts)
const intel = (facts: object = {}) => genuine('Intel SGX Root CA', facts)
const refused = (code: string, message = '') => ({ error: { code, message: expect.stringContaining(message) } })

/** @source vectors/coco/INDEX.md, vectors/gce/INDEX.md, vectors/vm-boot/INDEX.md */
const LINES: readonly Line[] = [
  [
    'gce/snp/milan_v2_report.bin',
    '2026-06-01',
    [...RECORDED, ...chip('gce/snp/milan_v2_vcek.der')],
    amd('Milan', { debug: expect.stringContaining('MAY READ'), firmware: 'bootloader 2, tee 0, snp 5, microcode 68' }),
  ],
  ['gce/snp/milan_v3a_report.bin', '2026-06-01', [...RECORDED, ...chip('gce/snp/milan_v3a_vcek.der')], amd('Milan')],
  ['gce/snp/milan_v3b_report.bin', '2026-06-01', [...RECORDED, ...chip('gce/snp/milan_v3b_vcek.der')], amd('Milan')],
  ['gce/snp/milan_v3c_report.bin', '2026-06-01', [...RECORDED, ...chip('gce/snp/milan_v3c_vcek.der')], amd('Milan')],
  ['gce/snp/genoa_v5_report.bin', '2026-06-01', [...RECORDED, ...chip('gce/snp/genoa_v5_vcek.der')], amd('Genoa')],
  [
    'gce/snp/turin_v5_report.bin',
    '2026-06-01',
    [...RECORDED, ...chip('gce/snp/turin_v5_vcek.der')],
    amd('Turin', { chip: '3b42092f69c656d3' }),
  ],
  [
    'coco/snp/test-report.bin',
    '2026-06-01',
    [...RECORDED, ...chip('coco/snp/test-vcek.der')],
    amd('Milan', { firmware: 'bootloader 3, tee 0, snp 8, microcode 115' }),
  ],
  [
    'coco/snp/test-vlek-report.bin',
    '2025-06-01',
    [...RECORDED, ...chip('coco/snp/test-vlek.der')],
    amd('Milan', { chip: 'hidden by the host' }),
  ],
  [
    'coco/snp/as-e2e-evidence-genoa-v3.json',
    '2026-06-01',
    RECORDED,
    amd('Genoa', { 'report data': expect.stringMatching(/^7e7320889600c7ac.*f9b0/) }),
  ],

  ['coco/az-snp-vtpm/evidence-v0.json', '2026-06-01', [...NO_COLLATERAL, '--nonce', hex('challenge')], amd('Milan')],
  ['coco/az-snp-vtpm/evidence-v1.json', '2026-06-01', [...NO_COLLATERAL, '--nonce', hex('challenge')], amd('Milan')],
  ['coco/az-snp-vtpm/evidence-v2.json', '2026-06-01', [...NO_COLLATERAL, '--nonce', AZURE_V2], amd('Milan')],
  ['coco/az-snp-vtpm/evidence-genoa.json', '2026-06-01', [...NO_COLLATERAL, '--nonce', AZURE_GENOA], amd('Genoa')],
  ['coco/az-snp-vtpm/hcl-report.bin', '2026-06-01', [...RECORDED, ...chip('coco/az-snp-vtpm/vcek.pem')], amd('Milan')],
  ['coco/az-tdx-vtpm/evidence-v0.json', '2026-06-01', [...NO_COLLATERAL, '--nonce', hex('challenge')], intel()],
  ['coco/az-tdx-vtpm/evidence-v1.json', '2026-06-01', [...NO_COLLATERAL, '--nonce', hex('challenge')], intel()],
  ['coco/az-tdx-vtpm/td-quote.bin', '2025-01-01', RECORDED, intel()],
  ['coco/az-tdx-vtpm/hcl-report.bin', '2026-06-01', RECORDED, refused('evidence.unsupported', 'TDREPORT')],
  [
    'coco/azure-hcl/hcl-report-snp.bin',
    '2026-06-01',
    [...RECORDED, ...chip('coco/azure-hcl/certs.pem')],
    refused('evidence.signature'),
  ],
  ['coco/azure-hcl/hcl-report-tdx.bin', '2026-06-01', RECORDED, refused('evidence.unsupported', 'TDREPORT')],

  ['coco/tdx/tdx_quote_4.dat', '2025-01-01', RECORDED, intel({ debug: expect.stringContaining('MAY READ') })],
  ['coco/tdx/tdx_quote_5.dat', '2025-11-01', RECORDED, intel()],
  ['coco/tdx/tdx_quote_6.dat', '2025-06-01', RECORDED, intel()],
  ['coco/tdx/tdx_report_1.bin', '2025-06-01', RECORDED, refused('evidence.unsupported', 'of kind tdreport')],
  // 39 bytes of text stand after this one
  [
    'gce/tdx/quote_v4_spr_e4.bin',
    '2023-07-01T01:00:00Z',
    RECORDED,
    refused('input.malformed', 'bytes other than zero after the quote'),
  ],
  ['gce/tdx/quote_v5_sample.bin', '2026-02-03', RECORDED, intel({ platform: expect.stringContaining('90c06f000000') })],
  [
    'gce/tdx/quote_v4_cos113_zero_reportdata.bin',
    '2025-01-01',
    [...NO_COLLATERAL, '--nonce', '00'.repeat(64), '--event-log', vector('gce/ccel/cos-113-intel-tdx.bin')],
    intel(),
  ],
  ['gce/tdx/quote_v4_oak_oc.bin', '2025-11-01', RECORDED, intel({ rtmr0: '00'.repeat(48) })],
  // written by no TDX module: its first byte is not the type of a TEE
  ['gce/tdx/tdreport.bin', '2025-06-01', RECORDED, refused('input.malformed', 'of no kind')],
  [
    'coco/sgx/occlum_quote.dat',
    '2025-01-01',
    RECORDED,
    intel({ mrenclave: '8f173e4613ff05c52aaf04162d234edae8c9977eae47eb2299ae16a553011c68' }),
  ],

  [
    'coco/tpm/tpm_evidence.json',
    '2026-06-01',
    [
      '--nonce',
      'a04182b506878d4f29b91ee606a71a0d3361ccf1b22db20c98adcaa537bea393ef0e41a18b3569ab678f1497fbc5c12000000000000000000000000000000000',
      '--trust-key',
      'ak.der',
    ],
    { verified: true, format: 'TPM quote' },
  ],
  [
    'coco/cca/cca-example-token.cbor',
    '2026-06-01',
    [...NO_NONCE, '--trust-anchors', vector('coco/cca/tastore.json')],
    { verified: true, facts: expect.objectContaining({ lifecycle: 'secured' }) },
  ],
  [
    'coco/nvidia/hopperAttestationReport.txt',
    '2025-06-01',
    [...NO_COLLATERAL, '--nonce', HOPPER, ...chip('coco/nvidia/hopper_cert_chain_case1.txt')],
    genuine('NVIDIA Device Identity CA'),
  ],
  [
    'coco/nvidia/hopper_coco_report1.txt',
    '2025-06-01',
    [...NO_COLLATERAL, '--nonce', HOPPER_COCO, ...chip('coco/nvidia/hopper_coco_certs1.txt')],
    genuine('NVIDIA Device Identity CA'),
  ],
  ['coco/csv/csv_evidence.json', '2026-06-01', RECORDED, refused('evidence.unsupported', 'of kind csv')],

  [
    'gce/tpm/attestations/gce-cos-85-nonce9009.pb',
    '2024-01-01',
    ['--nonce', '9009', ...GCE_TRUST, '--bank', 'sha256'],
    { keyTrusted: true },
  ],
  // gotpm accepts an empty nonce; it proves no freshness, so it cannot be given here
  [
    'gce/tpm/attestations/gce-cos-85-no-nonce.pb',
    '2024-01-01',
    ['--nonce', '', ...GCE_TRUST],
    refused('usage', 'empty nonce'),
  ],

  // parts of a statement, which `packages/tpm/src/verify/recorded-statements.test.ts` puts together and verifies
  ['vm-boot/q.msg', '2026-06-01', RECORDED, refused('evidence.unsupported', 'TPMS_ATTEST alone')],
  ['coco/az-snp-vtpm/tpm-quote.msg', '2026-06-01', RECORDED, refused('evidence.unsupported', 'TPMS_ATTEST alone')],
]

describe.skipIf(missingVectors())('recorded evidence, by the command line', () => {
  let line: CommandLine
  beforeAll(() => {
    line = new CommandLine()
    const { ak_public } = JSON.parse(Buffer.from(readVector('coco/tpm/tpm_evidence.json')).toString())
    line.write('ak.der', `-----BEGIN PUBLIC KEY-----\n${ak_public}\n-----END PUBLIC KEY-----\n`)
  })
  afterAll(() => line.remove())

  test.each(LINES)('%s at %s', async (file, at, options, outcome) => {
    const time = at.includes('T') ? at : `${at}T00:00:00Z`
    const ran = await line.run('evidence', 'verify', vector(file), '--at', time, ...options, '--json')
    expect(ran.json()).toMatchObject(outcome)
    expect(ran.status === 0).toBe(!('error' in outcome))
  })

  test('no file that holds evidence is without a line, and no line without a file', () => {
    const files = ['coco', 'gce', 'vm-boot'].flatMap((folder) =>
      readdirSync(vector(folder), { recursive: true, encoding: 'utf8' }).map((name) => path.posix.join(folder, name)),
    )
    const isKnown = (name: string) => statSync(vector(name)).isFile() && isEvidence(readVector(name))
    const holdsEvidence = ['gce/tdx/tdreport.bin', ...files.filter(isKnown)]
    // two ways of keeping one recording are one recording
    const digest = (name: string) => createHash('sha256').update(readVector(name)).digest('hex')
    expect(new Set(holdsEvidence.map(digest))).toEqual(new Set(LINES.map(([name]) => digest(name))))
  })

  test.each([...new Set(LINES.filter(([, , , o]) => 'verified' in o).map(([file]) => file))])(
    '%s shows what it says, and that this is not verified',
    async (file) => {
      const shown = await line.answer<{ verified: boolean; parts: { fields: { meaning: string }[] }[] }>(
        'evidence',
        'show',
        vector(file),
      )
      expect(shown.verified).toBe(false)
      for (const { fields } of shown.parts) {
        expect(fields.length).toBeGreaterThan(1)
        for (const { meaning } of fields) expect(meaning).not.toBe('')
      }
    },
  )
})

/** What is known by its name counts, too: that it is refused is the outcome to be tested. */
function isEvidence(bytes: Uint8Array): boolean {
  try {
    return evidence.detectEvidence(bytes).format !== undefined
  } catch (error) {
    return error instanceof VouchsafeError && error.code === 'evidence.unsupported'
  }
}
