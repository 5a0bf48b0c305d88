import fc from 'fast-check'
import * as kit from '@vouchsafe/testkit'
import { type HclReportSpec, missingVectors, readVector, readVectorText } from '@vouchsafe/testkit'
import { encodeTpmSignature } from '@vouchsafe/tpm/codec'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../node/crypto.ts'
import { toHex, utf8 } from '../../base/encoding.ts'
import { type ErrorCode, VouchsafeError } from '../../base/errors.ts'
import { parseAnchor, parseCertificate, parsePem } from '../../x509/index.ts'
import { intelSgxRoot } from '../dcap/index.ts'
import { amdSnpRoots } from '../snp/index.ts'
import {
  type AzureEvidence,
  type AzureExpectation,
  parseHclReport,
  parseRuntimeData,
  verifyAzureVtpm,
} from './index.ts'

const at = new Date('2026-06-01T00:00:00Z')
const refusal = (code: ErrorCode, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) })

const amd = kit.makeAmdAuthorities('Milan')
const vek = kit.makeVek({ authorities: amd })
const intel = kit.makeIntelAuthorities()
const pck = kit.makePck({ authorities: intel })
const ak = kit.makeKey('RSA-2048')
const otherAk = kit.makeKey('RSA-2048')
const nonce = new Uint8Array(32).fill(0x4e)

const expected: AzureExpectation = {
  nonce,
  userData: 'not-checked',
  snp: {
    roots: [
      {
        product: 'Milan',
        anchor: parseAnchor(amd.ark.der, { class: 'simulated', name: 'fake ARK' }),
        intermediates: [parseCertificate(amd.ask.der)],
      },
    ],
    revocation: 'not-checked',
    at,
  },
  tdx: {
    anchors: [parseAnchor(intel.root.der, { class: 'simulated', name: 'fake Intel root' })],
    collateral: 'not-checked',
    at,
  },
}

interface Machine {
  readonly ak?: kit.TestKey
  readonly runtimeData?: Uint8Array
  /** What the CPU committed to, in place of this machine's runtime data. */
  readonly reportData?: Uint8Array
  readonly hcl?: Partial<HclReportSpec>
  readonly quote?: Partial<kit.VtpmQuoteSpec>
}

function snpMachine({
  ak: key = ak,
  runtimeData = kit.makeRuntimeData(key),
  reportData,
  hcl,
  quote,
}: Machine = {}): AzureEvidence {
  const report = kit.makeSnpReport(
    { product: 'Milan', reportData: reportData ?? kit.runtimeDataDigest(runtimeData) },
    vek,
  )
  return {
    ...kit.makeVtpmQuote({ key, nonce, ...quote }),
    hclReport: kit.encodeHclReport({ kind: 'snp', hardwareReport: report, runtimeData, ...hcl }),
    hardware: { kind: 'snp', vek: vek.der },
  }
}

function tdxMachine({ ak: key = ak, runtimeData = kit.makeRuntimeData(key), reportData }: Machine = {}): AzureEvidence {
  const td = { reportData: reportData ?? kit.runtimeDataDigest(runtimeData) }
  return {
    ...kit.makeVtpmQuote({ key, nonce }),
    hclReport: kit.encodeHclReport({ kind: 'tdx', hardwareReport: new Uint8Array(1024).fill(0x81, 0, 1), runtimeData }),
    hardware: { kind: 'tdx', quote: kit.makeQuote({ authorities: intel, pck, td }) },
  }
}

const verify = (evidence: AzureEvidence, changes: Partial<AzureExpectation> = {}) =>
  verifyAzureVtpm(evidence, { ...expected, ...changes }, nodeCrypto)

test.each([
  ['snp', snpMachine()],
  ['tdx', tdxMachine()],
] as const)('accepts a machine with %s, and says what is known', async (format, machine) => {
  const evidence = await verify(machine)
  expect(evidence).toMatchObject({
    format: 'azure-vtpm',
    hardware: { format, reportData: 'as-expected' },
    bootLog: 'none',
  })
  expect(evidence.runtime.vm).toMatchObject({ secureBoot: true, uniqueId: 'A-1' })
  expect(evidence.quote.akSpki).toEqual(ak.spki)
  expect(evidence.quote.registers.values.size).toBe(24)
})

test('accepts a hash of SHA-384, when the hardware report is made over that', async () => {
  const runtimeData = kit.makeRuntimeData(ak)
  const reportData = kit.runtimeDataDigest(runtimeData, 'sha384')
  expect((await verify(snpMachine({ runtimeData, reportData, hcl: { hashType: 2 } }))).hardware.format).toBe('snp')
})

describe('A18 D17 the parts of several machines cannot be mixed', () => {
  const a = snpMachine()
  const b = snpMachine({ ak: otherAk })
  test.each<[string, AzureEvidence, ErrorCode, string]>([
    ['vTPM of one, CPU of another', { ...a, hclReport: b.hclReport }, 'evidence.signature', 'does not verify'],
    [
      'runtime data of one, CPU report of another',
      spliced(a.hclReport, b.hclReport),
      'evidence.mismatch',
      'does not commit to its runtime data',
    ],
    [
      'SNP report with evidence of TDX',
      { ...a, hardware: tdxMachine().hardware },
      'evidence.mismatch',
      'of snp, shown with evidence of tdx',
    ],
    [
      'HCL report of one TD with the quote of another',
      { ...tdxMachine(), hardware: tdxMachine({ ak: otherAk }).hardware },
      'evidence.mismatch',
      'does not commit',
    ],
    [
      'report data with more than the hash',
      snpMachine({ reportData: kit.runtimeDataDigest(kit.makeRuntimeData(ak)).with(63, 1) }),
      'evidence.mismatch',
      'does not commit',
    ],
    ['hash type changed', snpMachine({ hcl: { hashType: 2 } }), 'evidence.mismatch', 'does not commit'],
    [
      'endorsement key in place of the attestation key',
      snpMachine({ runtimeData: kit.makeRuntimeData(otherAk) }),
      'evidence.signature',
      'does not verify',
    ],
  ])('%s', async (_what, evidence, code, message) => {
    await expect(verify(evidence)).rejects.toThrow(refusal(code, message))
  })

  function spliced(from: Uint8Array, into: Uint8Array): AzureEvidence {
    const hclReport = new Uint8Array(into)
    hclReport.set(from.subarray(32, 32 + 1184), 32)
    return { ...b, hclReport }
  }
})

describe('the quote', () => {
  const [first, ...rest] = kit.zeroRegisters()
  test.each<[string, AzureEvidence, ErrorCode, string]>([
    ['A03 over another nonce', snpMachine({ quote: { nonce: nonce.with(0, 0) } }), 'evidence.binding', 'extraData'],
    [
      'A06 over a longer nonce',
      snpMachine({ quote: { nonce: new Uint8Array(33).fill(0x4e) } }),
      'evidence.binding',
      'extraData',
    ],
    [
      'B05 over fewer registers',
      snpMachine({ quote: { selection: Uint8Array.of(0xff, 0, 0) } }),
      'evidence.pcr-selection',
      'does not select',
    ],
    [
      'with other register values than quoted',
      { ...snpMachine(), registers: [first!.with(0, 1), ...rest] },
      'evidence.mismatch',
      'pcrDigest',
    ],
    ['with 23 registers', { ...snpMachine(), registers: rest }, 'input.malformed', '23 registers'],
    [
      'with a boot log that it does not replay to',
      { ...snpMachine(), bootLog: Uint8Array.of(1, 2, 3) },
      'input.malformed',
      'event',
    ],
  ])('is refused %s', async (_what, evidence, code, message) => {
    await expect(verify(evidence)).rejects.toThrow(refusal(code, message))
  })
})

describe('user data', () => {
  const userData = new Uint8Array(64).fill(0xab)
  const runtimeData = kit.makeRuntimeData(ak, { 'user-data': toHex(userData).toUpperCase() })
  test('is compared in full', async () => {
    expect((await verify(snpMachine({ runtimeData }), { userData })).runtime.userData).toEqual(userData)
    await expect(verify(snpMachine({ runtimeData }), { userData: userData.with(63, 0) })).rejects.toThrow(
      refusal('evidence.binding', 'user-data'),
    )
  })
  test('that is missing is refused where it is asked for', async () => {
    const without = kit.makeRuntimeData(ak, { 'user-data': undefined })
    await expect(verify(snpMachine({ runtimeData: without }), { userData })).rejects.toThrow(
      refusal('evidence.binding', 'user-data'),
    )
  })
  test('of the wrong length is a bug in the caller', async () => {
    await expect(verify(snpMachine(), { userData: userData.subarray(0, 48) })).rejects.toThrow(
      refusal('internal', '48 bytes'),
    )
  })
})

test('a kind of hardware without trust is refused', async () => {
  const { snp: _snp, ...noSnp } = expected
  const { tdx: _tdx, ...noTdx } = expected
  await expect(verifyAzureVtpm(snpMachine(), noSnp, nodeCrypto)).rejects.toThrow(
    refusal('endorsement.untrusted', 'SNP machines'),
  )
  await expect(verifyAzureVtpm(tdxMachine(), noTdx, nodeCrypto)).rejects.toThrow(
    refusal('endorsement.untrusted', 'TDX machines'),
  )
})

describe('D19 the HCL report has exactly one form', () => {
  const report = new Uint8Array(1184)
  const runtimeData = kit.makeRuntimeData(ak)
  const hcl = (spec: Partial<HclReportSpec>) =>
    kit.encodeHclReport({ kind: 'snp', hardwareReport: report, runtimeData, ...spec })
  test.each<[string, Uint8Array, ErrorCode, string]>([
    ['another signature', hcl({ signature: 'HCLB' }), 'input.malformed', 'signature'],
    ['version 3', hcl({ version: 3 }), 'input.malformed', 'version'],
    ['another request', hcl({ requestType: 1 }), 'input.malformed', 'request_type'],
    ['a failure', hcl({ status: 1 }), 'input.malformed', 'status'],
    ['a report size that lies', hcl({ reportSize: 1 }), 'input.malformed', 'report_size'],
    ['a data size that lies', hcl({ dataSize: 1 }), 'input.malformed', 'data_size'],
    ['an unknown report type', hcl({ reportType: 3 }), 'evidence.unsupported', 'report_type 3'],
    ['an unknown hash', hcl({ hashType: 4 }), 'input.malformed', 'hash_type'],
    ['bytes after its end', hcl({ trailing: Uint8Array.of(0, 1) }), 'input.malformed', 'padding'],
    [
      'bytes after a TDREPORT',
      hcl({ kind: 'tdx', hardwareReport: new Uint8Array(1184).fill(1, 1100) }),
      'input.malformed',
      'after the TDREPORT',
    ],
    ['its end cut off', hcl({}).subarray(0, 1500), 'input.malformed', 'variable_data'],
  ])('refuses %s', (_what, raw, code, message) => {
    expect(() => parseHclReport(raw)).toThrow(refusal(code, message))
  })

  test.each<[string, Uint8Array, string]>([
    [
      'no attestation key',
      kit.makeRuntimeData(ak, { keys: [{ kid: 'HCLEkPub', kty: 'RSA', n: 'AQ', e: 'AQAB' }] }),
      'no HCLAkPub',
    ],
    [
      'two attestation keys',
      kit.makeRuntimeData(ak, { keys: [1, 2].map(() => ({ kid: 'HCLAkPub', kty: 'RSA', n: 'AQ', e: 'AQAB' })) }),
      'twice',
    ],
    [
      'an attestation key that is not RSA',
      kit.makeRuntimeData(ak, { keys: [{ kid: 'HCLAkPub', kty: 'EC' }] }),
      'no RSA key',
    ],
    ['user data of another length', kit.makeRuntimeData(ak, { 'user-data': '00' }), 'user-data'],
    ['a member twice', utf8('{"keys":[],"keys":[]}'), 'duplicate member'],
    ['something else than JSON', utf8('keys'), 'JSON'],
  ])('refuses runtime data with %s', (_what, raw, message) => {
    expect(() => parseRuntimeData(raw)).toThrow(refusal('input.malformed', message))
  })

  test('fails only with a coded error, whatever the bytes', () => {
    const good = hcl({})
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (i, byte, length) => {
        for (const input of [good.with(i, byte), good.subarray(0, length)]) {
          try {
            parseRuntimeData(parseHclReport(input).runtimeData)
          } catch (e) {
            expect(e).toBeInstanceOf(VouchsafeError)
            expect((e as VouchsafeError).code).not.toBe('internal')
          }
        }
      }),
      { seed: 1, numRuns: 1500 },
    )
  })
})

describe.skipIf(missingVectors())('recorded machines of Azure', () => {
  const trust = (time: string): AzureExpectation => ({
    nonce,
    userData: 'not-checked',
    snp: { roots: amdSnpRoots(), revocation: 'not-checked', at: new Date(time) },
    tdx: { anchors: [intelSgxRoot()], collateral: 'not-checked', at: new Date(time) },
  })
  const challenge = utf8('challenge')
  const fromHexText = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'))
  const bytes = (value: number[] | string) =>
    typeof value === 'string' ? Uint8Array.from(Buffer.from(value, 'base64url')) : Uint8Array.from(value)

  /** The recorded forms: v0 in arrays of numbers, later ones in hexadecimal and base64url; the signature without its TPM header. */
  function recorded(file: string): AzureEvidence {
    const json = JSON.parse(readVectorText(file)) as any
    const quote = json.tpm_quote ?? json.quote
    const decode = (value: any) => (typeof value === 'string' ? fromHexText(value) : Uint8Array.from(value))
    const pemOrDer = (text: string) => (text.startsWith('-----') ? parsePem(text, 'CERTIFICATE')[0]! : bytes(text))
    return {
      attest: decode(quote.message),
      signature: encodeTpmSignature({
        scheme: 'rsassa',
        hash: 'sha256',
        signature: decode(quote.signature) as Uint8Array<ArrayBuffer>,
      }),
      registers: quote.pcrs.map(decode),
      hclReport: bytes(json.hcl_report ?? json.report),
      hardware: json.td_quote
        ? { kind: 'tdx', quote: bytes(json.td_quote) }
        : { kind: 'snp', vek: pemOrDer(json.vcek) },
    }
  }

  test.each([
    [
      'coco/az-snp-vtpm/evidence-v0.json',
      challenge,
      'e15c44796beabf46abcec7c57e590942041e47497e4ec27571c8b7664f48dced',
    ],
    [
      'coco/az-snp-vtpm/evidence-v1.json',
      challenge,
      'e15c44796beabf46abcec7c57e590942041e47497e4ec27571c8b7664f48dced',
    ],
    [
      'coco/az-snp-vtpm/evidence-v2.json',
      fromHexText('982f5c6e45df0ed3f10b6f60b02f0c8390e281300f3805e2279c16168cd6ae9aa398f647caa2338748cd0fd9f5f819ef'),
      '84275b2f4312cd4fc6cbe6b152ad3c3683e513d9f1e23c34fca160c8cca7a6a7',
    ],
    [
      'coco/az-snp-vtpm/evidence-genoa.json',
      fromHexText('0218488bae25d2509232bf676f1a66a30d7372add909109b36016ef136f2938ca05475f8b46094de6b64270ea35d950f'),
      'afd689d0bb1c5f36f023fbaf574135f555a28a10c1f6b938d2a25e70c7783338',
    ],
    [
      'coco/az-tdx-vtpm/evidence-v0.json',
      challenge,
      '782b20b10f55cc46e2142cc2145d548698073e5beb82752c8d7f9279f0d8a273',
    ],
    [
      'coco/az-tdx-vtpm/evidence-v1.json',
      challenge,
      '782b20b10f55cc46e2142cc2145d548698073e5beb82752c8d7f9279f0d8a273',
    ],
  ])('%s verifies up to the maker of its CPU', async (file, asked, pcr0) => {
    const evidence = await verifyAzureVtpm(
      recorded(file),
      { ...trust('2026-06-01T00:00:00Z'), nonce: asked },
      nodeCrypto,
    )
    expect(toHex(evidence.quote.registers.values.get(0)!)).toBe(pcr0)
    expect(evidence.hardware.chain.anchor.class).toBe('hardware')
    await expect(
      verifyAzureVtpm(recorded(file), { ...trust('2026-06-01T00:00:00Z'), nonce: utf8('other') }, nodeCrypto),
    ).rejects.toThrow(refusal('evidence.binding', 'extraData'))
  })

  test('user data is bound from version 2 on', async () => {
    const asked = fromHexText(
      '982f5c6e45df0ed3f10b6f60b02f0c8390e281300f3805e2279c16168cd6ae9aa398f647caa2338748cd0fd9f5f819ef',
    )
    const userData = new Uint8Array(64)
    userData.set(asked)
    const good = { ...trust('2026-06-01T00:00:00Z'), nonce: asked, userData }
    await verifyAzureVtpm(recorded('coco/az-snp-vtpm/evidence-v2.json'), good, nodeCrypto)
    await expect(
      verifyAzureVtpm(
        recorded('coco/az-snp-vtpm/evidence-v2.json'),
        { ...good, userData: userData.with(0, 0) },
        nodeCrypto,
      ),
    ).rejects.toThrow(refusal('evidence.binding', 'user-data'))
  })

  test.each<[number, (byte: number) => number, ErrorCode]>([
    [0x1a6, () => 0, 'evidence.signature'],
    [0x6e0, (byte) => byte + 1, 'evidence.mismatch'],
    [0x540, () => 0, 'evidence.mismatch'],
  ])('byte 0x%s of an HCL report changed is noticed', async (i, change, code) => {
    const good = recorded('coco/az-snp-vtpm/evidence-v1.json')
    const hclReport = good.hclReport.with(i, change(good.hclReport[i]!))
    await expect(
      verifyAzureVtpm({ ...good, hclReport }, { ...trust('2026-06-01T00:00:00Z'), nonce: challenge }, nodeCrypto),
    ).rejects.toThrow(refusal(code, ''))
  })

  test.each([
    'coco/azure-hcl/hcl-report-snp.bin',
    'coco/azure-hcl/hcl-report-tdx.bin',
    'coco/az-snp-vtpm/hcl-report.bin',
    'coco/az-tdx-vtpm/hcl-report.bin',
  ])('%s parses, down to the key of its vTPM', (file) => {
    const report = parseHclReport(readVector(file))
    expect(parseRuntimeData(report.runtimeData).akSpki.length).toBe(294)
    const committed =
      report.kind === 'snp' ? report.hardwareReport.subarray(0x50, 0x90) : report.hardwareReport.subarray(128, 192)
    expect(committed).toEqual(kit.runtimeDataDigest(report.runtimeData))
  })
})
