import * as kit from '@vouchsafe/testkit'
import { missingVectors, readVector, readVectorText, type TestExtension } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../node/crypto.ts'
import { fromHex } from '../../base/encoding.ts'
import type { ErrorCode } from '../../base/errors.ts'
import { parseAnchor, parseCertificate, parsePem } from '../../x509/index.ts'
import {
  type GceEvidence,
  type GceExpectation,
  gceReportData,
  googleVtpmRoots,
  readGceInstance,
  verifyGceVtpm,
} from './index.ts'
import { readProtobuf } from './protobuf.ts'

const at = new Date('2026-06-01T00:00:00Z')
const refusal = (code: ErrorCode, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) })
const w = kit.derWriter

const root = kit.makeCertificate({ subject: 'fake vTPM root', extensions: kit.AUTHORITY })
const issuer = kit.makeCertificate({ subject: 'fake vTPM issuer', issuer: root, extensions: kit.AUTHORITY })
const akKey = kit.makeKey('RSA-2048')
const nonce = new Uint8Array(32).fill(0x6e)
const OID = '1.3.6.1.4.1.11129.2.1.21'

const security = (production: boolean) =>
  w.explicit(
    0,
    w.sequence(w.explicit(0, w.integer(2)), w.explicit(1, w.boolean(production)), w.explicit(2, w.boolean(false))),
  )
const info = (...parts: readonly Uint8Array[]) =>
  w.sequence(
    w.utf8String('us-central1-a'),
    w.integer(117478743145),
    w.utf8String('project'),
    w.integer(5780156274199835632n),
    w.utf8String('cs-debug'),
    ...parts,
  )
const instanceExtension = (value = info(security(true))): TestExtension => ({ oid: OID, value })
const akCertificate = (
  extensions: readonly TestExtension[] = [kit.keyUsage('digitalSignature'), instanceExtension()],
) => kit.makeCertificate({ subject: [], issuer, key: akKey, extensions }).der

const evidence = (changes: Partial<GceEvidence> = {}): GceEvidence => ({
  ...kit.makeVtpmQuote({ key: akKey, nonce }),
  akCertificate: akCertificate(),
  intermediates: [issuer.der],
  ...changes,
})
const expected: GceExpectation = {
  nonce,
  anchors: [parseAnchor(root.der, { class: 'platform-vtpm', name: 'fake Google' })],
  revocation: 'not-checked',
  at,
  hardware: 'not-asked-for',
}
const verify = (shown: GceEvidence, changes: Partial<GceExpectation> = {}) =>
  verifyGceVtpm(shown, { ...expected, ...changes }, nodeCrypto)

test('accepts a quote of a certified vTPM, and says which instance it is', async () => {
  const verified = await verify(evidence())
  expect(verified).toMatchObject({
    format: 'gce-vtpm',
    hardware: 'none',
    chain: { anchor: { class: 'platform-vtpm' } },
    instance: {
      zone: 'us-central1-a',
      projectNumber: 117478743145n,
      instanceId: 5780156274199835632n,
      securityVersion: 2n,
    },
  })
})

test.each<[string, readonly TestExtension[]]>([
  ['without the extension', [kit.keyUsage('digitalSignature')]],
  ['not for production', [kit.keyUsage('digitalSignature'), instanceExtension(info(security(false)))]],
  ['silent on production', [kit.keyUsage('digitalSignature'), instanceExtension(info())]],
])('a certificate %s speaks for no instance', async (_what, extensions) => {
  expect(await verify(evidence({ akCertificate: akCertificate(extensions) }))).not.toHaveProperty('instance')
})

const negative = (field: 'project' | 'instance') => {
  const minus = w.der(0x02, Uint8Array.of(0xff))
  const project = field === 'project' ? minus : w.integer(1)
  const instance = field === 'instance' ? minus : w.integer(1)
  return w.sequence(w.utf8String('z'), project, w.utf8String('p'), instance, w.utf8String('n'), security(true))
}
const oddSecurity = (...parts: readonly Uint8Array[]) => info(w.explicit(0, w.sequence(...parts)))

test.each<[string, Uint8Array]>([
  ['that is no DER', Uint8Array.of(1, 2, 3)],
  ['with a negative project number', negative('project')],
  ['with a negative instance id', negative('instance')],
  ['with a negative security version', oddSecurity(w.explicit(0, w.der(0x02, Uint8Array.of(0xff))))],
  ['with is_production twice', oddSecurity(w.explicit(1, w.boolean(true)), w.explicit(1, w.boolean(false)))],
  ['with bytes left over', w.join(info(security(true)), Uint8Array.of(0))],
  ['with text that is not UTF-8', w.sequence(w.der(0x0c, Uint8Array.of(0xff)))],
])('an instance extension %s is refused', async (_what, value) => {
  const shown = evidence({ akCertificate: akCertificate([kit.keyUsage('digitalSignature'), instanceExtension(value)]) })
  await expect(verify(shown)).rejects.toThrow(refusal('endorsement.malformed', 'GCE instance'))
})

const other = kit.makeKey('RSA-2048')
describe('B04 the attestation key is Google’s to certify', () => {
  test.each<[string, GceEvidence, Partial<GceExpectation>, ErrorCode, string]>([
    [
      'signed by another key',
      evidence(kit.makeVtpmQuote({ key: other, nonce })),
      {},
      'evidence.signature',
      'does not verify',
    ],
    ['over another nonce', evidence(), { nonce: nonce.with(0, 0) }, 'evidence.binding', 'extraData'],
    ['under another root', evidence(), { anchors: googleVtpmRoots() }, 'endorsement.untrusted', 'issuer'],
    [
      'by a key certified for encryption',
      evidence({ akCertificate: akCertificate([kit.keyUsage('keyEncipherment')]) }),
      {},
      'endorsement.mismatch',
      'lacks digitalSignature',
    ],
    [
      'by a key certified for nothing',
      evidence({ akCertificate: akCertificate([]) }),
      {},
      'endorsement.mismatch',
      'does not say that its key may sign',
    ],
    ['with the intermediate missing', evidence({ intermediates: [] }), {}, 'endorsement.untrusted', 'issuer'],
  ])('a quote %s is refused', async (_what, shown, changes, code, message) => {
    await expect(verify(shown, changes)).rejects.toThrow(refusal(code, message))
  })
})

describe('A18 the CPU report belongs to this vTPM', () => {
  const amd = kit.makeAmdAuthorities('Milan')
  const vek = kit.makeVek({ authorities: amd })
  const intel = kit.makeIntelAuthorities()
  const pck = kit.makePck({ authorities: intel })
  const snp = {
    roots: [
      {
        product: 'Milan' as const,
        anchor: parseAnchor(amd.ark.der, { class: 'simulated' as const, name: 'fake' }),
        intermediates: [parseCertificate(amd.ask.der)],
      },
    ],
    revocation: 'not-checked' as const,
    at,
  }
  const tdx = {
    anchors: [parseAnchor(intel.root.der, { class: 'simulated' as const, name: 'fake' })],
    collateral: 'not-checked' as const,
    at,
  }
  const snpOver = (reportData: Uint8Array): Partial<GceEvidence> => ({
    hardware: { kind: 'snp', report: kit.makeSnpReport({ product: 'Milan', reportData }, vek), vek: vek.der },
  })
  const tdxOver = (reportData: Uint8Array): Partial<GceEvidence> => ({
    hardware: { kind: 'tdx', quote: kit.makeQuote({ authorities: intel, pck, td: { reportData } }) },
  })
  const linked = gceReportData(nonce, akKey.spki, nodeCrypto)
  const bare = new Uint8Array(64)
  bare.set(nonce)
  const asking = (link: 'ak-in-report' | 'dangerously-nonce-only'): Partial<GceExpectation> => ({
    hardware: { link, snp, tdx },
  })

  test.each([
    ['snp', snpOver],
    ['tdx', tdxOver],
  ] as const)('by the key of the vTPM in the %s report', async (format, over) => {
    const verified = await verify(evidence(over(linked)), asking('ak-in-report'))
    expect(verified.hardware).toMatchObject({ link: 'ak-in-report', evidence: { format } })
  })

  test('by the nonce alone, where the caller says so, and the result tells', async () => {
    expect((await verify(evidence(tdxOver(bare)), asking('dangerously-nonce-only'))).hardware).toMatchObject({
      link: 'dangerously-nonce-only',
    })
  })

  test.each<[string, Partial<GceEvidence>, Partial<GceExpectation>, ErrorCode, string]>([
    ['none is there', {}, asking('ak-in-report'), 'evidence.mismatch', 'none is there'],
    ['it carries the nonce alone', snpOver(bare), asking('ak-in-report'), 'evidence.mismatch', 'not tied to this vTPM'],
    [
      'it names the vTPM of another machine',
      tdxOver(gceReportData(nonce, other.spki, nodeCrypto)),
      asking('ak-in-report'),
      'evidence.mismatch',
      'not tied to this vTPM',
    ],
    [
      'it answers another nonce',
      snpOver(gceReportData(nonce.with(0, 0), akKey.spki, nodeCrypto)),
      asking('ak-in-report'),
      'evidence.mismatch',
      'not tied to this vTPM',
    ],
    [
      'it answers another nonce, by nonce alone',
      tdxOver(bare.with(0, 0)),
      asking('dangerously-nonce-only'),
      'evidence.mismatch',
      'not tied to this vTPM',
    ],
    [
      'its kind is not trusted',
      snpOver(linked),
      { hardware: { link: 'ak-in-report', tdx } },
      'endorsement.untrusted',
      'SNP machines',
    ],
    [
      'its other kind is not trusted',
      tdxOver(linked),
      { hardware: { link: 'ak-in-report', snp } },
      'endorsement.untrusted',
      'TDX machines',
    ],
  ])('refused when %s', async (_what, shown, changes, code, message) => {
    await expect(verify(evidence(shown), changes)).rejects.toThrow(refusal(code, message))
  })
})

describe.skipIf(missingVectors())('recorded by Google', () => {
  const leaf = (file: string) => parseCertificate(parsePem(readVectorText(`gce/tpm/certs/${file}`), 'CERTIFICATE')[0]!)

  test('a certificate names its instance', () => {
    expect(readGceInstance(leaf('uca_tpm_rsa_sign_cert.pem'))).toMatchObject({
      zone: 'us-central1-a',
      projectNumber: 117478743145n,
      projectId: 'google.com:wuale-gcp-testing',
      instanceId: 5780156274199835632n,
      instanceName: 'cs-debug',
    })
  })

  test('another payload is read to its last flag', () => {
    const payload = fromHex(
      '305f0c0a75732d77657374312d62020600907504e5e10c0f6a69616e6b756e2d766d2d7465737402083168e037bccfb9' +
        'b20c0c6a6b6c746573743432313032a020301ea003020100a1030101ffa203010100a303010100a403010100a503010100',
    )
    const certificate = parseCertificate(akCertificate([instanceExtension(payload)]))
    expect(readGceInstance(certificate)).toEqual({
      zone: 'us-west1-b',
      projectNumber: 620438545889n,
      projectId: 'jiankun-vm-test',
      instanceId: 3560342035431930290n,
      instanceName: 'jkltest42102',
      securityVersion: 0n,
    })
  })

  test('the attestation of a COS machine verifies up to Google’s root of 2018, boot log included', async () => {
    const fields = readProtobuf('attestation', readVector('gce/tpm/attestations/gce-cos-85-nonce9009.pb'))
    const all = (number: number) => fields.filter((f) => f.number === number).map((f) => f.value as Uint8Array)
    const quotes = all(2).map((q) => readProtobuf('quote', q))
    // the SHA-256 bank: 24 values of 32 bytes
    const quote = quotes.find(
      (q) =>
        readProtobuf('pcrs', q.find((f) => f.number === 3)!.value as Uint8Array).find((f) => f.number === 1)!.value ===
        0xbn,
    )!
    const part = (number: number) => quote.find((f) => f.number === number)!.value as Uint8Array
    const registers: Uint8Array[] = []
    for (const entry of readProtobuf('pcrs', part(3)).filter((f) => f.number === 2)) {
      const pair = readProtobuf('pcr', entry.value as Uint8Array)
      registers[Number(pair.find((f) => f.number === 1)?.value ?? 0)] = pair.find((f) => f.number === 2)!
        .value as Uint8Array
    }
    const shown: GceEvidence = {
      attest: part(1),
      signature: part(2),
      registers,
      bootLog: all(3)[0]!,
      akCertificate: all(6)[0]!,
      intermediates: [readVector('gce/tpm/certs/tpm_ek_intermediate_2.crt')],
    }
    const asked: GceExpectation = {
      ...expected,
      nonce: Uint8Array.of(0x90, 0x09),
      anchors: googleVtpmRoots(),
      unexplainedRegisters: [10],
    }
    const verified = await verifyGceVtpm(shown, asked, nodeCrypto)
    expect(verified.chain.anchor).toMatchObject({ class: 'platform-vtpm', name: 'Google tpm_ek_root_1' })
    expect(verified.quote).toMatchObject({ resetCount: 10, safe: true, firmwareVersion: 0x2016051100162800n })
    expect(verified.bootLog).toMatchObject({ coverage: { unexplained: [10] } })
    await expect(verifyGceVtpm(shown, { ...asked, nonce: Uint8Array.of(0x90, 0x08) }, nodeCrypto)).rejects.toThrow(
      refusal('evidence.binding', ''),
    )
  })
})
