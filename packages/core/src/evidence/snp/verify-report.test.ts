import fc from 'fast-check'
import * as kit from '@vouchsafe/testkit'
import {
  type AmdProduct,
  missingVectors,
  readVector,
  readVectorText,
  type SnpReportSpec,
  type VekSpec,
} from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../node/crypto.ts'
import { toHex } from '../../base/encoding.ts'
import { type ErrorCode, VouchsafeError } from '../../base/errors.ts'
import { parseAnchor, parseCertificate, parsePem, parseRevocationList, type Revocation } from '../../x509/index.ts'
import { assertVerified } from '../verified.ts'
import { amdSnpRoots, parseSnpReport, type SnpExpectation, type SnpRoot, verifySnpReport } from './index.ts'

const at = new Date('2026-06-01T00:00:00Z')
const refusal = (code: ErrorCode, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) })

const authorities = {
  Milan: kit.makeAmdAuthorities('Milan'),
  Genoa: kit.makeAmdAuthorities('Genoa'),
  Turin: kit.makeAmdAuthorities('Turin'),
}
const rootOf = (product: AmdProduct): SnpRoot => {
  const { ark, ask, asvk } = authorities[product]
  return {
    product,
    anchor: parseAnchor(ark.der, { class: 'simulated', name: `fake ARK ${product}` }),
    intermediates: [ask, asvk].map((c) => parseCertificate(c.der)),
  }
}
const roots = (['Milan', 'Genoa', 'Turin'] as const).map(rootOf)
const vekKey = kit.makeKey('P-384')
const vek = (spec: Partial<VekSpec> = {}) => kit.makeVek({ authorities: authorities.Milan, key: vekKey, ...spec })
const milan = vek()
const reportData = Uint8Array.from({ length: 64 }, (_, i) => 255 - i)
const expected: SnpExpectation = { reportData, roots, revocation: 'not-checked', at }

const report = (spec: Partial<SnpReportSpec> = {}, key = vekKey) =>
  kit.signSnpReport(kit.encodeSnpReport({ product: 'Milan', reportData, ...spec }), key)
const verify = (raw: Uint8Array, certificate = milan.der, changes: Partial<SnpExpectation> = {}) =>
  verifySnpReport({ report: raw, vek: certificate }, { ...expected, ...changes }, nodeCrypto)

test.each<[AmdProduct, number]>([
  ['Milan', 2],
  ['Milan', 3],
  ['Genoa', 3],
  ['Genoa', 5],
  ['Turin', 3],
  ['Turin', 5],
])('accepts a report of a %s, version %i, and says what is known', async (product, version) => {
  const certificate = vek({ authorities: authorities[product] })
  const evidence = await verify(report({ product, version }), certificate.der)
  expect(evidence).toMatchObject({
    format: 'snp',
    product,
    reportData: 'as-expected',
    tcb: { reported: kit.defaultTcb(product) },
  })
  expect(evidence.chip).toEqual({ kind: 'known', id: toHex(kit.testHwid(product)) })
  expect(evidence.chain.anchor.class).toBe('simulated')
  expect(() => assertVerified(evidence)).not.toThrow()
})

test('accepts a VLEK, which names a provider and no chip', async () => {
  const evidence = await verify(report({ keyInfo: 4, chipId: new Uint8Array(64) }), vek({ kind: 'vlek' }).der)
  expect(evidence.vek).toMatchObject({ kind: 'vlek', provider: 'CN=cc-test.example.com' })
  expect(evidence.chip).toEqual({ kind: 'hidden' })
})

test('D07 a masked chip id is said to be hidden, not taken for an id of zeros', async () => {
  expect((await verify(report({ chipId: new Uint8Array(64) }))).chip).toEqual({ kind: 'hidden' })
})

test('accepts an HWID that is wrapped in an OCTET STRING', async () => {
  expect((await verify(report(), vek({ wrapHwid: true }).der)).chip.kind).toBe('known')
})

describe('A04 A05 report data', () => {
  test.each<[string, Uint8Array]>([
    ['other bytes', reportData.with(0, 0)],
    ['other bytes at the end', reportData.with(63, 1)],
    ['zeros', new Uint8Array(64)],
  ])('%s are refused', async (_what, wanted) => {
    await expect(verify(report(), milan.der, { reportData: wanted })).rejects.toThrow(
      refusal('evidence.binding', 'REPORT_DATA'),
    )
  })

  test.each([0, 32, 63, 65])('an expectation of %i bytes is a bug, never a match', async (length) => {
    await expect(verify(report(), milan.der, { reportData: new Uint8Array(length) })).rejects.toThrow(
      refusal('internal', 'bytes of report data expected'),
    )
  })

  test('what was not checked is said not to be', async () => {
    expect((await verify(report(), milan.der, { reportData: 'not-checked' })).reportData).toBe('not-checked')
  })
})

const high = { bootloader: 5, tee: 0, snp: 24, microcode: 219 }
const other = kit.makeKey('P-384')
const past = new Date('2025-01-01T00:00:00Z')

describe('D05 D06 D08 the endorsement is of this chip, this TCB, this product and this kind of key', () => {
  test.each<[string, Uint8Array, Uint8Array, ErrorCode, string]>([
    ['key of another chip', report({}, other), milan.der, 'evidence.signature', 'SIGNATURE does not verify'],
    [
      'certificate of another chip for the same key',
      report(),
      vek({ hwid: new Uint8Array(64).fill(7) }).der,
      'endorsement.mismatch',
      'CHIP_ID',
    ],
    [
      'chip id that differs in its last byte',
      report({ chipId: kit.testHwid('Milan').with(63, 0) }),
      milan.der,
      'endorsement.mismatch',
      'CHIP_ID',
    ],
    [
      'Turin chip id with a tail',
      report({ product: 'Turin', chipId: new Uint8Array(64).fill(9, 8).with(0, 1) }),
      vek({ authorities: authorities.Turin, hwid: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) }).der,
      'endorsement.mismatch',
      'CHIP_ID',
    ],
    [
      'certificate of another bootloader',
      report(),
      vek({ tcb: { ...high, bootloader: 3 } }).der,
      'endorsement.mismatch',
      'REPORTED_TCB',
    ],
    [
      'certificate of another TEE level',
      report(),
      vek({ tcb: { ...kit.defaultTcb('Milan'), tee: 1 } }).der,
      'endorsement.mismatch',
      'REPORTED_TCB',
    ],
    [
      'certificate of other SNP firmware',
      report(),
      vek({ tcb: { ...kit.defaultTcb('Milan'), snp: 23 } }).der,
      'endorsement.mismatch',
      'REPORTED_TCB',
    ],
    [
      'certificate of other microcode',
      report(),
      vek({ tcb: { ...kit.defaultTcb('Milan'), microcode: 218 } }).der,
      'endorsement.mismatch',
      'REPORTED_TCB',
    ],
    [
      'certificate of another FMC',
      report({ product: 'Turin' }),
      vek({ authorities: authorities.Turin, tcb: { ...kit.defaultTcb('Turin'), fmc: 0 } }).der,
      'endorsement.mismatch',
      'REPORTED_TCB',
    ],
    [
      'VCEK for a report signed by a VLEK',
      report({ keyInfo: 4 }),
      milan.der,
      'endorsement.mismatch',
      'signed by a vlek, given a vcek',
    ],
    [
      'VLEK for a report signed by a VCEK',
      report(),
      vek({ kind: 'vlek' }).der,
      'endorsement.mismatch',
      'signed by a vcek, given a vlek',
    ],
    [
      'VCEK of another product',
      report({ product: 'Genoa' }),
      milan.der,
      'endorsement.mismatch',
      'of a Genoa, the vcek is for a Milan',
    ],
    [
      'VCEK that the provider key’s issuer signed',
      report(),
      vek({ issuer: authorities.Milan.asvk }).der,
      'endorsement.mismatch',
      'issued by SEV-VLEK-Milan',
    ],
    [
      'VLEK that the chip keys’ issuer signed',
      report({ keyInfo: 4 }),
      vek({ kind: 'vlek', issuer: authorities.Milan.ask }).der,
      'endorsement.mismatch',
      'issued by SEV-Milan',
    ],
    [
      'VCEK straight from the root',
      report(),
      vek({ issuer: authorities.Milan.ark }).der,
      'endorsement.mismatch',
      'wanted SEV-Milan',
    ],
    [
      'Milan certificate signed by the Genoa line',
      report(),
      vek({ issuer: authorities.Genoa.ask }).der,
      'endorsement.untrusted',
      'issuer',
    ],
    [
      'certificate of a look-alike of AMD',
      report(),
      vek({ issuer: { ...authorities.Milan.ask, key: kit.makeKey('RSA-2048') } }).der,
      'endorsement.untrusted',
      'signature',
    ],
    ['expired certificate', report(), vek({ notAfter: past }).der, 'endorsement.expired', 'notAfter'],
    [
      'certificate whose key is on another curve',
      report(),
      vek({ key: kit.makeKey('P-256') }).der,
      'endorsement.malformed',
      'P-384',
    ],
  ])('%s', async (_what, raw, certificate, code, message) => {
    await expect(verify(raw, certificate)).rejects.toThrow(refusal(code, message))
  })

  test('a product line without a configured root is refused', async () => {
    await expect(verify(report(), milan.der, { roots: [rootOf('Genoa')] })).rejects.toThrow(
      refusal('endorsement.untrusted', 'no root is configured for Milan'),
    )
  })
})

const AMD = '1.3.6.1.4.1.3704.1'
const dropping = (oid: string) => vek({ edit: (all) => all.filter((e) => e.oid !== `${AMD}.${oid}`) }).der
const adding = (oid: string, value: Uint8Array) => vek({ edit: (all) => [...all, { oid: `${AMD}.${oid}`, value }] }).der
const setting = (oid: string, value: Uint8Array) =>
  vek({ edit: (all) => all.map((e) => (e.oid === `${AMD}.${oid}` ? { ...e, value } : e)) }).der
const int = kit.derWriter.integer

describe('D06 AMD’s extensions are read by exact OID', () => {
  test.each<[string, Uint8Array, string]>([
    ...['1', '2', '3.1', '3.2', '3.3', '3.8', '4'].map((oid): [string, Uint8Array, string] => [
      `without ${oid}`,
      dropping(oid),
      `${AMD}.${oid}`,
    ]),
    ['with a level twice', adding('3.8', int(219)), `${AMD}.3.8 twice`],
    ['with an unknown extension of AMD', adding('6', int(1)), `${AMD}.6 of AMD is not known`],
    ['with an FMC level on a Milan', adding('3.9', int(1)), 'only a Turin has it'],
    ['with a reserved level that is not zero', setting('3.5', int(1)), `${AMD}.3.5: reserved`],
    ['with a level over 255', setting('3.8', int(256)), '256 is over 255'],
    ['with a level that is no integer', setting('3.8', kit.derWriter.octetString()), 'wanted tag 0x2'],
    ['with an HWID of 63 bytes', setting('4', new Uint8Array(63)), 'not the HWID of a Milan'],
    ['with a provider on a VCEK', adding('5', kit.derWriter.ia5String('x')), 'CSP_ID of a vcek'],
    ['of an unknown product', vek({ productName: 'Venice' }).der, 'not a product known here'],
    ['of a product whose name only begins alike', vek({ productName: 'MilanX' }).der, 'not a product known here'],
    ['of another structure version', setting('1', int(1)), 'not the structure of a Milan'],
    ['for another subject', vek({ subject: 'SEV-XCEK' }).der, 'neither SEV-VCEK nor SEV-VLEK'],
  ])('a certificate %s is refused', async (_what, certificate, message) => {
    await expect(verify(report(), certificate)).rejects.toThrow(refusal('endorsement.malformed', message))
  })
})

const resigned = (edit: (bytes: Uint8Array) => void) => {
  const bytes = kit.encodeSnpReport({ product: 'Milan', reportData })
  edit(bytes)
  return kit.signSnpReport(bytes, vekKey)
}

describe('D19 a report has exactly the form of its version, even when it is signed', () => {
  test.each<[string, Uint8Array, ErrorCode, string]>([
    ['version 1', report({ version: 1 }), 'evidence.unsupported', 'version 1'],
    ['version 4', report({ version: 4 }), 'evidence.unsupported', 'version 4'],
    ['a byte too few', report().subarray(0, 1183), 'input.malformed', '1183 bytes'],
    ['a byte too many', kit.derWriter.join(report(), Uint8Array.of(0)), 'input.malformed', '1185 bytes'],
    ['another signature algorithm', report({ signatureAlgorithm: 0 }), 'evidence.algorithm', 'SIGNATURE_ALGO 0'],
    ['policy without bit 17', report({ policy: 0x1_0000n }), 'input.malformed', 'POLICY'],
    ['policy with a reserved bit', report({ policy: 0x403_0000n }), 'input.malformed', 'POLICY'],
    ['platform info with a reserved bit', report({ platformInfo: 0x100n }), 'input.malformed', 'PLATFORM_INFO'],
    ['a VMPL of the host', report({ vmpl: 0xffffffff }), 'input.malformed', 'VMPL'],
    ['a masked chip key', report({ keyInfo: 2 }), 'evidence.unsupported', 'masked'],
    ['no signing key', report({ keyInfo: 7 << 2 }), 'evidence.unsupported', 'masked'],
    ['a reserved signing key', report({ keyInfo: 2 << 2 }), 'input.malformed', 'SIGNING_KEY 2'],
    ['a reserved bit of key info', report({ keyInfo: 1 << 5 }), 'input.malformed', 'KEY_INFO'],
    ['reserved bytes after key info', resigned((b) => (b[0x4c] = 1)), 'input.malformed', 'from 0x4c'],
    ['reserved bytes after the CPUID', resigned((b) => (b[0x18b] = 1)), 'input.malformed', 'from 0x18b'],
    ['a CPUID in version 2', resigned((b) => ((b[0] = 2), (b[0x188] = 0x19))), 'input.malformed', 'from 0x188'],
    ['a reserved byte after the current firmware', resigned((b) => (b[0x1eb] = 1)), 'input.malformed', 'from 0x1eb'],
    ['a reserved byte after the committed firmware', resigned((b) => (b[0x1ef] = 1)), 'input.malformed', 'from 0x1ef'],
    ['a mitigation vector in version 3', resigned((b) => (b[0x1f8] = 1)), 'input.malformed', 'from 0x1f8'],
    ['reserved bytes before the signature', resigned((b) => (b[0x29f] = 1)), 'input.malformed', 'from 0x1f8'],
    [
      'reserved bytes in the reported TCB',
      report({ rawReportedTcb: Uint8Array.of(4, 0, 1, 0, 0, 0, 24, 219) }),
      'input.malformed',
      'REPORTED_TCB: reserved byte 2',
    ],
    ['an R longer than the field', report().with(0x2a0 + 48, 1), 'input.malformed', 'SIGNATURE.R'],
    ['an S longer than the field', report().with(0x2a0 + 72 + 71, 1), 'input.malformed', 'SIGNATURE.S'],
    ['bytes after the signature', report().with(0x330, 1), 'input.malformed', 'from 0x330'],
    ['an unknown CPU', report({ cpu: [0x1b, 0, 0] }), 'evidence.unsupported', 'family 0x1b'],
    [
      'an author key that is not enabled',
      report({ authorKeyDigest: new Uint8Array(48).fill(1) }),
      'evidence.mismatch',
      'AUTHOR_KEY_DIGEST',
    ],
    [
      'a current TCB below the reported one',
      report({ currentTcb: { ...high, bootloader: 3 } }),
      'evidence.mismatch',
      'CURRENT_TCB is below the reported one',
    ],
    [
      'a current TCB below the committed one',
      report({ committedTcb: high }),
      'evidence.mismatch',
      'CURRENT_TCB is below the committed one',
    ],
  ])('refuses %s', async (_what, raw, code, message) => {
    await expect(verify(raw)).rejects.toThrow(refusal(code, message))
  })

  test('one flipped bit anywhere in what is signed is noticed', async () => {
    const good = report()
    for (let bit = 0; bit < 0x2a0 * 8; bit += 37) {
      const at = bit >> 3
      const flipped = good.with(at, good[at]! ^ (1 << (bit & 7)))
      await expect(verify(flipped), `bit ${bit}`).rejects.toBeInstanceOf(VouchsafeError)
    }
  })

  test('fails only with a coded error, whatever the bytes', () => {
    const good = report({ version: 5, product: 'Genoa' })
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(1183), fc.nat(255)), { maxLength: 6 }), fc.nat(1184), (edits, length) => {
        const bytes = new Uint8Array(good)
        for (const [i, byte] of edits) bytes[i] = byte
        for (const input of [bytes, bytes.subarray(0, length)]) {
          try {
            parseSnpReport(input)
          } catch (e) {
            expect(e).toBeInstanceOf(VouchsafeError)
            expect((e as VouchsafeError).code).not.toBe('internal')
          }
        }
      }),
      { seed: 1, numRuns: 3000 },
    )
  })
})

describe('D09 revocation', () => {
  const listOf = (revoked: readonly (number | bigint)[]): Revocation => ({
    lists: [
      parseRevocationList(kit.makeRevocationList({ issuer: authorities.Milan.ark, revoked, signature: 'pss-sha384' })),
    ],
    require: 'authorities',
  })
  const askSerial = BigInt(`0x${parseCertificate(authorities.Milan.ask.der).serial}`)

  test('a clean list of the root clears the chain, and the result says as of when', async () => {
    const evidence = await verify(report(), milan.der, { revocation: listOf([1]) })
    expect(evidence.chain.revocation).toMatchObject({ asOf: new Date('2025-01-01T00:00:00Z') })
  })
  test('a revoked intermediate is refused', async () => {
    await expect(verify(report(), milan.der, { revocation: listOf([askSerial]) })).rejects.toThrow(
      refusal('endorsement.revoked', 'SEV-Milan'),
    )
  })
  test('a missing list is refused', async () => {
    await expect(verify(report(), milan.der, { revocation: { lists: [], require: 'authorities' } })).rejects.toThrow(
      refusal('endorsement.unavailable', 'ARK-Milan'),
    )
  })
})

describe.skipIf(missingVectors())('genuine reports', () => {
  const genuine = (raw: Uint8Array, certificate: Uint8Array, changes: Partial<SnpExpectation> = {}) =>
    verifySnpReport(
      { report: raw, vek: certificate },
      { reportData: 'not-checked', roots: amdSnpRoots(), revocation: 'not-checked', at, ...changes },
      nodeCrypto,
    )

  test.each([
    ['gce/snp/milan_v2_report.bin', 'gce/snp/milan_v2_vcek.der', 'Milan'],
    ['gce/snp/milan_v3a_report.bin', 'gce/snp/milan_v3a_vcek.der', 'Milan'],
    ['gce/snp/milan_v3b_report.bin', 'gce/snp/milan_v3b_vcek.der', 'Milan'],
    ['gce/snp/milan_v3c_report.bin', 'gce/snp/milan_v3c_vcek.der', 'Milan'],
    ['gce/snp/genoa_v5_report.bin', 'gce/snp/genoa_v5_vcek.der', 'Genoa'],
    ['gce/snp/turin_v5_report.bin', 'gce/snp/turin_v5_vcek.der', 'Turin'],
    ['coco/snp/test-report.bin', 'coco/snp/test-vcek.der', 'Milan'],
  ])('%s verifies up to AMD’s root', async (file, certificate, product) => {
    const evidence = await genuine(readVector(file), readVector(certificate))
    expect(evidence.product).toBe(product)
    expect(evidence.chip.kind).toBe('known')
    expect(evidence.chain.anchor).toMatchObject({ class: 'hardware', name: `AMD ARK ${product}` })
  })

  test('the VLEK report of AWS verifies while its certificate is valid', async () => {
    const [raw, certificate] = [readVector('coco/snp/test-vlek-report.bin'), readVector('coco/snp/test-vlek.der')]
    const evidence = await genuine(raw, certificate, { at: new Date('2025-06-01T00:00:00Z') })
    expect(evidence.vek).toMatchObject({ kind: 'vlek', provider: 'CN=cc-us-east-2.amazonaws.com' })
    await expect(genuine(raw, certificate)).rejects.toThrow(refusal('endorsement.expired', 'SEV-VLEK'))
  })

  test.each([
    ['coco/snp/test-report.bin', 'coco/snp/test-vcek.der', 42, 'evidence.signature'],
    ['coco/snp/test-report.bin', 'coco/snp/test-vcek.der', 384, 'evidence.signature'],
    ['coco/snp/test-vlek-report.bin', 'coco/snp/test-vlek.der', 42, 'evidence.signature'],
  ] as const)('%s with 1 added to byte %s is refused', async (file, certificate, i, code) => {
    const raw = readVector(file)
    const attempt = genuine(raw.with(i, raw[i]! + 1), readVector(certificate), { at: new Date('2025-06-01T00:00:00Z') })
    await expect(attempt).rejects.toThrow(refusal(code, ''))
  })

  test.each(['test-vcek-invalid-legacy.der', 'test-vcek-invalid-new.der'])(
    '%s parses and chains to nobody',
    async (file) => {
      await expect(genuine(readVector('coco/snp/test-report.bin'), readVector(`coco/snp/${file}`))).rejects.toThrow(
        refusal('endorsement.untrusted', 'signature'),
      )
    },
  )

  test('a certificate of one Milan does not vouch for the report of another', async () => {
    await expect(
      genuine(readVector('gce/snp/milan_v3a_report.bin'), readVector('gce/snp/milan_v3b_vcek.der')),
    ).rejects.toThrow(refusal('evidence.signature', 'SIGNATURE'))
  })

  test('a report that travelled as JSON verifies once its 1184 bytes are put together again', async () => {
    const json = JSON.parse(readVectorText('coco/snp/as-e2e-evidence-genoa-v3.json')) as any
    const { raw, certificate } = fromTrusteeJson(json)
    const evidence = await genuine(raw, certificate)
    expect(toHex(evidence.report.reportData)).toMatch(/^7e7320889600c7ac.*f9b0/)
    expect(evidence.product).toBe('Genoa')
  })

  test('the roots that we ship are the published ones, in both sets of vectors', () => {
    for (const { product, anchor, intermediates } of amdSnpRoots()) {
      const pem = parsePem(readVectorText(`coco/roots/${product.toLowerCase()}_ask_ark_asvk.pem`), 'CERTIFICATE')
      expect([intermediates[0]!, anchor.certificate, intermediates[1]!].map((c) => c.der)).toEqual(pem)
    }
  })
})

function fromTrusteeJson(json: any): { raw: Uint8Array; certificate: Uint8Array } {
  const r = json.attestation_report
  const tcb = (t: any) => ({ bootloader: t.bootloader, tee: t.tee, snp: t.snp, microcode: t.microcode })
  const version = (v: any) => [v.build, v.minor, v.major] as const
  const raw = kit.encodeSnpReport({
    product: 'Genoa',
    version: r.version,
    guestSvn: r.guest_svn,
    policy: BigInt(r.policy),
    familyId: Uint8Array.from(r.family_id),
    imageId: Uint8Array.from(r.image_id),
    vmpl: r.vmpl,
    signatureAlgorithm: r.sig_algo,
    platformInfo: BigInt(r.plat_info),
    keyInfo: r.key_info,
    reportData: Uint8Array.from(r.report_data),
    measurement: Uint8Array.from(r.measurement),
    hostData: Uint8Array.from(r.host_data),
    idKeyDigest: Uint8Array.from(r.id_key_digest),
    authorKeyDigest: Uint8Array.from(r.author_key_digest),
    reportId: Uint8Array.from(r.report_id),
    migrationAgentReportId: Uint8Array.from(r.report_id_ma),
    tcb: tcb(r.reported_tcb),
    currentTcb: tcb(r.current_tcb),
    committedTcb: tcb(r.committed_tcb),
    launchTcb: tcb(r.launch_tcb),
    cpu: [r.cpuid_fam_id, r.cpuid_mod_id, r.cpuid_step],
    chipId: Uint8Array.from(r.chip_id),
    currentFirmware: version(r.current),
    committedFirmware: version(r.committed),
  })
  raw.set(Uint8Array.from(r.signature.r), 0x2a0)
  raw.set(Uint8Array.from(r.signature.s), 0x2a0 + 72)
  return { raw, certificate: Uint8Array.from(json.cert_chain[0].data) }
}
