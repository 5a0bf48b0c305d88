import * as kit from '@vouchsafe/testkit'
import { missingVectors, readVector, readVectorText, type CertificateSpec } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../node/crypto.ts'
import type { ErrorCode } from '../base/errors.ts'
import {
  EK_HANDLED_CRITICAL,
  OID,
  parseAnchor,
  parseCertificate,
  parsePem,
  EndorsementMemo,
  verifyChain,
  type ChainRequest,
} from './index.ts'

const CA = kit.AUTHORITY
const root = kit.makeCertificate({ subject: 'root', extensions: CA })
const middle = kit.makeCertificate({ subject: 'middle', issuer: root, extensions: CA })
const leaf = kit.makeCertificate({ subject: 'leaf', issuer: middle, extensions: [kit.keyUsage('digitalSignature')] })
const at = new Date('2026-06-01T00:00:00Z')

const anchor = parseAnchor(root.der, { class: 'tpm', name: 'test root' })

function request(changes: Partial<ChainRequest> = {}): ChainRequest {
  return {
    leaf: parseCertificate(leaf.der),
    intermediates: [parseCertificate(middle.der)],
    anchors: [anchor],
    at,
    crypto: nodeCrypto,
    leafKeyUsage: 'digitalSignature',
    extendedKeyUsage: 'any',
    revocation: 'not-checked',
    ...changes,
  }
}

const refusal = (code: ErrorCode, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) })

/** A chain like the good one with one certificate made differently. */
function chain(defects: {
  root?: Partial<CertificateSpec>
  middle?: Partial<CertificateSpec>
  leaf?: Partial<CertificateSpec>
}) {
  const r = kit.makeCertificate({ subject: 'root', extensions: CA, ...defects.root })
  const m = kit.makeCertificate({ subject: 'middle', issuer: r, extensions: CA, ...defects.middle })
  const l = kit.makeCertificate({
    subject: 'leaf',
    issuer: m,
    extensions: [kit.keyUsage('digitalSignature')],
    ...defects.leaf,
  })
  return request({
    leaf: parseCertificate(l.der),
    intermediates: [parseCertificate(m.der)],
    anchors: [parseAnchor(r.der, { class: 'tpm', name: 'test root' })],
  })
}

test('accepts a chain to a pinned anchor, and says which, of what class and until when', async () => {
  const result = await verifyChain(request())
  expect(result.path.map((c) => c.label)).toEqual(['CN=leaf', 'CN=middle'])
  expect(result.anchor.class).toBe('tpm')
  expect(result.revocation).toBe('not-checked')
  expect(result.validUntil).toEqual(kit.TEST_NOT_AFTER)
})

test('finds its way among intermediates in any order, with strangers between them', async () => {
  const stranger = kit.makeCertificate({ subject: 'stranger', extensions: CA })
  const sameName = kit.makeCertificate({ subject: 'middle', issuer: stranger, extensions: CA })
  const intermediates = [sameName, stranger, root, middle].map((c) => parseCertificate(c.der))
  expect((await verifyChain(request({ intermediates }))).path).toHaveLength(2)
})

describe('E06 the root is pinned by all its bytes', () => {
  const lookAlike = kit.makeCertificate({ subject: 'root', extensions: CA })
  const middle2 = kit.makeCertificate({ subject: 'middle', issuer: lookAlike, extensions: CA })
  const leaf2 = kit.makeCertificate({ subject: 'leaf', issuer: middle2 })

  test('a chain that ends in a root of the same name and another key is refused', async () => {
    const intermediates = [parseCertificate(middle2.der), parseCertificate(lookAlike.der)]
    await expect(verifyChain(request({ leaf: parseCertificate(leaf2.der), intermediates }))).rejects.toThrow(
      refusal('endorsement.untrusted', 'signature: does not verify under the key of CN=root'),
    )
  })

  test('a root that comes along with the chain is trusted by nobody', async () => {
    const intermediates = [parseCertificate(middle.der), parseCertificate(root.der)]
    await expect(verifyChain(request({ intermediates, anchors: [] }))).rejects.toThrow(
      refusal('endorsement.untrusted', 'CN=root: issuer: no anchor'),
    )
  })

  test('a self-signed leaf is refused, pinned or not', async () => {
    const alone = kit.makeCertificate({ subject: 'alone' })
    await expect(verifyChain(request({ leaf: parseCertificate(alone.der) }))).rejects.toThrow(
      refusal('endorsement.untrusted', 'no anchor'),
    )
  })
})

const early = new Date('2025-01-01T00:00:00Z')
const late = new Date('2027-01-01T00:00:00Z')
const unknown = { oid: '1.2.3.4', critical: true, value: new Uint8Array(0) }
const constrained = { oid: OID.nameConstraints, value: kit.derWriter.sequence() }
const onlyCertSign = [kit.basicConstraints(true), kit.keyUsage('digitalSignature')]

describe('E07 K01 B04 each link of a chain holds, or the chain is refused', () => {
  test.each<[string, Parameters<typeof chain>[0], ErrorCode, string]>([
    ['leaf not yet valid', { leaf: { notBefore: late } }, 'endorsement.expired', 'CN=leaf: notBefore'],
    ['leaf expired', { leaf: { notAfter: early } }, 'endorsement.expired', 'CN=leaf: notAfter'],
    ['intermediate not yet valid', { middle: { notBefore: late } }, 'endorsement.expired', 'CN=middle: notBefore'],
    ['intermediate expired', { middle: { notAfter: early } }, 'endorsement.expired', 'CN=middle: notAfter'],
    ['anchor expired', { root: { notAfter: early } }, 'endorsement.expired', 'CN=root: notAfter'],
    [
      'intermediate without basicConstraints',
      { middle: { extensions: [kit.keyUsage('keyCertSign')] } },
      'endorsement.untrusted',
      'CN=middle: basicConstraints',
    ],
    [
      'intermediate that is no CA',
      { middle: { extensions: [kit.basicConstraints(false), kit.keyUsage('keyCertSign')] } },
      'endorsement.untrusted',
      'CN=middle: basicConstraints',
    ],
    [
      'intermediate without keyUsage',
      { middle: { extensions: [kit.basicConstraints(true)] } },
      'endorsement.untrusted',
      'CN=middle: keyUsage',
    ],
    [
      'intermediate that may not sign certificates',
      { middle: { extensions: onlyCertSign } },
      'endorsement.untrusted',
      'CN=middle: keyUsage',
    ],
    ['anchor that is no CA', { root: { extensions: [] } }, 'endorsement.untrusted', 'CN=root: basicConstraints'],
    [
      'anchor that may not sign certificates',
      { root: { extensions: onlyCertSign } },
      'endorsement.untrusted',
      'CN=root: keyUsage',
    ],
    [
      'anchor that allows no intermediate',
      { root: { extensions: [kit.basicConstraints(true, 0), kit.keyUsage('keyCertSign')] } },
      'endorsement.untrusted',
      'CN=root: pathLenConstraint',
    ],
    [
      'intermediate with an unknown critical extension',
      { middle: { extensions: [...CA, unknown] } },
      'endorsement.malformed',
      'CN=middle: extensions: critical extension 1.2.3.4',
    ],
    [
      'leaf with an unknown critical extension',
      { leaf: { extensions: [unknown] } },
      'endorsement.malformed',
      'CN=leaf: extensions',
    ],
    [
      'anchor with an unknown critical extension',
      { root: { extensions: [...CA, unknown] } },
      'endorsement.malformed',
      'CN=root: extensions',
    ],
    [
      'intermediate that constrains names, even uncritically',
      { middle: { extensions: [...CA, constrained] } },
      'endorsement.malformed',
      `CN=middle: extensions: critical extension ${OID.nameConstraints}`,
    ],
    [
      'leaf for another use',
      { leaf: { extensions: [kit.keyUsage('keyAgreement')] } },
      'endorsement.mismatch',
      'CN=leaf: keyUsage',
    ],
    [
      'intermediate signed by a stranger under the right name',
      { middle: { issuer: { ...root, key: kit.makeKey('P-256') } } },
      'endorsement.untrusted',
      'CN=middle: signature',
    ],
    [
      'leaf signed by a stranger under the right name',
      { leaf: { issuer: { ...middle, key: kit.makeKey('P-256') } } },
      'endorsement.untrusted',
      'CN=leaf: signature',
    ],
    [
      'SHA-1 signature',
      { root: { keyKind: 'RSA-2048' }, middle: { signature: 'rsa-sha1' } },
      'evidence.algorithm',
      'CN=middle: signatureAlgorithm',
    ],
  ])('%s', async (_what, defects, code, message) => {
    await expect(verifyChain(chain(defects))).rejects.toThrow(refusal(code, message))
  })

  test('names are compared by their bytes: other spellings are other names', async () => {
    const other = {
      ...middle,
      name: kit.derWriter.sequence(
        kit.derWriter.set(
          kit.derWriter.sequence(kit.derWriter.oid(OID.commonName), kit.derWriter.printableString('middle')),
        ),
      ),
    }
    const l = kit.makeCertificate({ subject: 'leaf', issuer: other })
    await expect(verifyChain(request({ leaf: parseCertificate(l.der) }))).rejects.toThrow(
      refusal('endorsement.untrusted', 'CN=leaf: issuer: no anchor, and nobody else here, is CN=middle'),
    )
  })

  test('a leaf may not issue: the certificate below it is refused', async () => {
    const below = kit.makeCertificate({ subject: 'below', issuer: leaf })
    const intermediates = [middle, leaf].map((c) => parseCertificate(c.der))
    await expect(verifyChain(request({ leaf: parseCertificate(below.der), intermediates }))).rejects.toThrow(
      refusal('endorsement.untrusted', 'CN=leaf: basicConstraints'),
    )
  })

  test('critical extensions that the caller handles are let through, and no others', async () => {
    const handled = { ...chain({ leaf: { extensions: [unknown] } }), handledCritical: ['1.2.3.4'] }
    expect((await verifyChain(handled)).path).toHaveLength(2)
    await expect(verifyChain({ ...handled, handledCritical: ['1.2.3.5'] })).rejects.toThrow(
      refusal('endorsement.malformed', '1.2.3.4'),
    )
  })

  test('a time that is no time is a bug, not a pass', async () => {
    await expect(verifyChain(request({ at: new Date(NaN) }))).rejects.toThrow(refusal('internal', 'no time'))
  })
})

describe('extended key usage', () => {
  const eku = kit.extendedKeyUsage('1.2.3')
  test.each<[string, Parameters<typeof chain>[0], ErrorCode | undefined, string]>([
    ['named by the leaf', { leaf: { extensions: [eku] } }, undefined, ''],
    [
      'named by leaf and intermediate',
      { leaf: { extensions: [eku] }, middle: { extensions: [...CA, eku] } },
      undefined,
      '',
    ],
    [
      'intermediate for any',
      { leaf: { extensions: [eku] }, middle: { extensions: [...CA, kit.extendedKeyUsage(OID.anyExtendedKeyUsage)] } },
      undefined,
      '',
    ],
    ['not named by the leaf', {}, 'endorsement.mismatch', 'CN=leaf: extKeyUsage: lacks 1.2.3'],
    [
      'leaf for any',
      { leaf: { extensions: [kit.extendedKeyUsage(OID.anyExtendedKeyUsage)] } },
      'endorsement.mismatch',
      'lacks 1.2.3',
    ],
    [
      'ruled out by the intermediate',
      { leaf: { extensions: [eku] }, middle: { extensions: [...CA, kit.extendedKeyUsage('1.2.4')] } },
      'endorsement.untrusted',
      'CN=middle: extKeyUsage',
    ],
  ])('%s', async (_what, defects, code, message) => {
    const attempt = verifyChain({ ...chain(defects), extendedKeyUsage: '1.2.3', leafKeyUsage: 'any' })
    if (code === undefined) expect((await attempt).path).toHaveLength(2)
    else await expect(attempt).rejects.toThrow(refusal(code, message))
  })
})

describe('search is bounded', () => {
  test('a circle of authorities ends', async () => {
    const a = kit.makeCertificate({ subject: 'a', extensions: CA })
    const b = kit.makeCertificate({ subject: 'b', issuer: a, extensions: CA })
    const a2 = kit.makeCertificate({ subject: 'a', issuer: b, key: a.key, extensions: CA })
    const l = kit.makeCertificate({ subject: 'leaf', issuer: b })
    const intermediates = [a, b, a2].map((c) => parseCertificate(c.der))
    await expect(verifyChain(request({ leaf: parseCertificate(l.der), intermediates }))).rejects.toThrow(
      refusal('endorsement.untrusted', ''),
    )
  })

  test('many intermediates of one name end in a refusal, not in many signature checks', async () => {
    const crowd = Array.from({ length: 40 }, () => kit.makeCertificate({ subject: 'middle', extensions: CA }))
    const intermediates = [...crowd, middle].map((c) => parseCertificate(c.der))
    await expect(verifyChain(request({ intermediates }))).rejects.toThrow(
      refusal('endorsement.untrusted', 'over 32 ways'),
    )
  })
})

test('a memo saves signature checks and nothing else', async () => {
  let checks = 0
  const counting = {
    ...nodeCrypto,
    verify: (...args: Parameters<typeof nodeCrypto.verify>) => (checks++, nodeCrypto.verify(...args)),
  }
  const memo = new EndorsementMemo()
  const good = request({ crypto: counting, memo })
  await verifyChain(good)
  await verifyChain(good)
  expect(checks).toBe(2)
  await expect(verifyChain({ ...good, at: new Date('2050-01-01T00:00:00Z') })).rejects.toThrow(
    refusal('endorsement.expired', 'CN=leaf'),
  )
  const forged = kit.makeCertificate({ subject: 'leaf', issuer: { ...middle, key: kit.makeKey('P-256') } })
  const bad = { ...good, leaf: parseCertificate(forged.der) }
  for (let i = 0; i < 2; i++)
    await expect(verifyChain(bad)).rejects.toThrow(refusal('endorsement.untrusted', 'CN=leaf: signature'))
  expect(checks).toBe(4)
})

test('a memo keeps what it is told to be the same, up to its size, and no failures', async () => {
  const memo = new EndorsementMemo(2)
  let made = 0
  const make = () => ({ nth: ++made })
  const one = await memo.once('x', Uint8Array.of(1), make)
  expect(await memo.once('x', Uint8Array.of(1), make)).toBe(one)
  expect(await memo.once('y', Uint8Array.of(1), make)).not.toBe(one)
  await memo.once('x', Uint8Array.of(2), make)
  expect(await memo.once('x', Uint8Array.of(1), make)).not.toBe(one)
  const failing = async () =>
    memo.once('z', Uint8Array.of(1), () => {
      throw new Error(`no ${++made}`)
    })
  await expect(failing()).rejects.toThrow('no 5')
  await expect(failing()).rejects.toThrow('no 6')
})

describe.skipIf(missingVectors())('genuine chains', () => {
  const pem = (name: string) => parsePem(readVectorText(name), 'CERTIFICATE').map((der) => parseCertificate(der))
  const genuine = (changes: Partial<ChainRequest>) => request({ leafKeyUsage: 'any', ...changes })

  test.each(['uca', 'pca'])(
    'Google’s EK and AK certificates of the %s hierarchy chain to their own root only',
    async (hierarchy) => {
      const [rootFile, middleFile, otherRoot] =
        hierarchy === 'uca'
          ? ['tpm_ek_root_1.cer', 'tpm_ek_intermediate_3.crt', 'gcp_ek_ak_ca_root.crt']
          : ['gcp_ek_ak_ca_root.crt', 'gcp_ek_ak_ca_intermediate_v3.crt', 'tpm_ek_root_1.cer']
      for (const kind of ['rsa_enc', 'rsa_sign', 'ecc_enc', 'ecc_sign']) {
        const [certificate] = pem(`gce/tpm/certs/${hierarchy}_tpm_${kind}_cert.pem`)
        const good = genuine({
          leaf: certificate!,
          intermediates: [parseCertificate(readVector(`gce/tpm/certs/${middleFile}`))],
          anchors: [parseAnchor(readVector(`gce/tpm/certs/${rootFile}`), { class: 'platform-vtpm', name: 'google' })],
          handledCritical: EK_HANDLED_CRITICAL,
        })
        expect((await verifyChain(good)).anchor.class).toBe('platform-vtpm')
        const anchors = [
          parseAnchor(readVector(`gce/tpm/certs/${otherRoot}`), { class: 'platform-vtpm', name: 'other' }),
        ]
        await expect(verifyChain({ ...good, anchors })).rejects.toThrow(refusal('endorsement.untrusted', 'issuer'))
        if (hierarchy === 'uca')
          await expect(verifyChain({ ...good, handledCritical: [] })).rejects.toThrow(
            refusal('endorsement.malformed', OID.subjectAltName),
          )
      }
    },
  )

  test('AMD’s RSASSA-PSS chains verify, for VCEK and VLEK', async () => {
    for (const [file, vcek] of [
      ['milan', 'milan_v3a'],
      ['genoa', 'genoa_v5'],
      ['turin_vcek', 'turin_v5'],
    ] as const) {
      const [ask, ark] = pem(`gce/snp/roots/ask_ark_${file}.pem`)
      const certificate = parseCertificate(readVector(`gce/snp/${vcek}_vcek.der`))
      const anchors = [{ certificate: ark!, class: 'hardware', name: 'ARK' }] as const
      expect((await verifyChain(genuine({ leaf: certificate, intermediates: [ask!], anchors }))).path).toHaveLength(2)
    }
  })
})
