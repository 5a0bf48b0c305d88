import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import {
  AUTHORITY,
  derWriter as d,
  extendedKeyUsage,
  keyUsage,
  makeCertificate,
  makeKey,
  missingVectors,
  readVector,
  readVectorText,
  type TestExtension,
} from '@vouchsafe/testkit'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ImageError } from '../errors.ts'
import { parseDigest } from '../oci/digest.ts'
import { signingKey } from '../sign/private-key.ts'
import { signBundle, signStatement, toBeSigned } from '../sign/sign-bundle.ts'
import { subjectFor } from '../statement/statement.ts'
import { type EntryForm, ownLog } from '../testing/own-log.ts'
import { newKey } from '../testing/signing.ts'
import { parseTrustedRoot, rootOf } from './sigstore-root.ts'
import { type BundleTrust, verifyBundle } from './verify-bundle.ts'

interface Json {
  [member: string]: any
}
const signature = (bundle: Uint8Array | Json) =>
  ({
    kind: 'bundle',
    place: 'bundle',
    bundle: bundle instanceof Uint8Array ? bundle : new TextEncoder().encode(JSON.stringify(bundle)),
  }) as const

describe.skipIf(missingVectors())('GU-10 H04 recorded bundles, offline, under a pinned root', () => {
  const root = missingVectors() ? undefined : parseTrustedRoot(readVector('guest/cosign/trusted_root_pgi.json'))
  const anyone: BundleTrust = { kind: 'certificates', root: root!, identity: 'any-identity' }
  const recorded = [
    {
      file: 'guest/cosign/oci-attestation.sigstore.json',
      predicateType: 'https://cosign.sigstore.dev/attestation/v1',
      digest: 'sha256:732112270d7e59418a8c080b134b24cabd67d250d0d0147a97ed95ba5c280aa4',
      subject: 'cody@soyland.com',
    },
    {
      file: 'guest/sigstore-rs/bundle_v03.json',
      predicateType: 'https://sigstore.dev/cosign/sign/v1',
      digest: 'sha256:c811d58de79c92f03214e63aa339484e488d694ae8a6283b5f3f17a9faf50172',
      subject: 'https://github.com/kubewarden/kubewarden-controller/.github/workflows/release.yml@refs/tags/v1.34.0',
    },
  ]

  test.each(recorded)('$file', ({ file, predicateType, digest, subject }) => {
    const bundle = signature(readVector(file))
    const { content, signer } = verifyBundle(bundle, anyone)
    if (content.kind !== 'statement') throw new Error('no statement')
    expect([content.statement.predicateType, signer.subject]).toEqual([predicateType, subject])
    expect(subjectFor(content.statement, parseDigest(digest))).toBeDefined()
    expect(subjectFor(content.statement, parseDigest(`sha256:${'0'.repeat(64)}`))).toBeUndefined()
    const wrong = { ...anyone, identity: { subject: 'wrong', issuer: 'https://github.com/login/oauth' } } as const
    expect(() => verifyBundle(bundle, wrong)).toThrow(expect.objectContaining({ code: 'signature.mismatch' }))
    // a part of the name is not the name
    const part = { ...anyone, identity: { subject: subject.slice(0, -1), issuer: signer.subject ?? '' } } as const
    expect(() => verifyBundle(bundle, part)).toThrow(expect.objectContaining({ code: 'signature.mismatch' }))
    const keys: BundleTrust = { kind: 'keys', keys: [newKey().public] }
    expect(() => verifyBundle(bundle, keys)).toThrow(expect.objectContaining({ code: 'signature.unverified' }))
  })

  const edited = (edit: (bundle: Json) => void) => {
    const bundle = JSON.parse(readVectorText('guest/sigstore-rs/bundle_v03.json')) as Json
    edit(bundle)
    return signature(bundle)
  }
  const payload = (edit: (statement: Json) => void) =>
    edited((bundle) => {
      const statement = JSON.parse(Buffer.from(bundle['dsseEnvelope'].payload, 'base64').toString()) as Json
      edit(statement)
      bundle['dsseEnvelope'].payload = Buffer.from(JSON.stringify(statement)).toString('base64')
    })
  const entry = (edit: (body: Json) => void) =>
    edited((bundle) => {
      const [first] = bundle['verificationMaterial'].tlogEntries
      const body = JSON.parse(Buffer.from(first.canonicalizedBody, 'base64').toString()) as Json
      edit(body)
      first.canonicalizedBody = Buffer.from(JSON.stringify(body)).toString('base64')
    })
  test.each([
    ['payloadType', () => edited((b) => (b['dsseEnvelope'].payloadType = 'text/plain'))],
    ['statement _type', () => payload((s) => (s['_type'] = 'x'))],
    ['predicateType', () => payload((s) => (s['predicateType'] = 'x'))],
    ['log entry: kind', () => entry((b) => (b['kind'] = 'intoto'))],
    ['log entry: payloadHash', () => entry((b) => (b['spec'].payloadHash.value = '0'.repeat(64)))],
    ['log entry: signature', () => entry((b) => (b['spec'].signatures[0].signature = 'AAAA'))],
    ['log entry: verifier', () => entry((b) => (b['spec'].signatures[0].verifier = 'AAAA'))],
    ['log entry removed', () => edited((b) => (b['verificationMaterial'].tlogEntries = []))],
    ['two signatures', () => edited((b) => b['dsseEnvelope'].signatures.push(b['dsseEnvelope'].signatures[0]))],
    [
      'media type of version 0.2',
      () => edited((b) => (b['mediaType'] = 'application/vnd.dev.sigstore.bundle+json;version=0.2')),
    ],
    [
      'an own proof left out, the promise too',
      () =>
        edited((b) => {
          delete b['verificationMaterial'].tlogEntries[0].inclusionProof
          delete b['verificationMaterial'].tlogEntries[0].inclusionPromise
        }),
    ],
  ])('a bundle with another %s is refused', (_what, make) => {
    expect(() => verifyBundle(make(), anyone)).toThrow(
      expect.objectContaining({
        code: expect.stringMatching(/^signature\.(unverified|untrusted|mismatch|malformed)$/),
      }),
    )
  })

  test('whichever byte is changed, only errors of ours come out', () => {
    const raw = readVector('guest/sigstore-rs/bundle_v03.json')
    fc.assert(
      fc.property(fc.nat(raw.length - 1), fc.nat(255), (at, value) => {
        try {
          verifyBundle(signature(raw.with(at, value)), anyone)
        } catch (error) {
          expect(error).toBeInstanceOf(ImageError)
        }
      }),
      { seed: 12, numRuns: 150 },
    )
  })
})

test.each([
  ['P-384', 'sha384', 'SHA2_384'],
  ['P-521', 'sha512', 'SHA2_512'],
] as const)(
  'GU-10 a bundle by a key on %s is over %s, as cosign 3 signs, or over SHA-256',
  (namedCurve, hash, algorithm) => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve })
    const key = signingKey(privateKey)
    const trust: BundleTrust = { kind: 'keys', keys: [key.public] }
    const statement = signStatement({ digest: parseDigest(`sha256:${'a'.repeat(64)}`), dockerReference: 'r.example/a' })
    const ours = JSON.parse(new TextDecoder().decode(signBundle(statement, key))) as Json
    expect(verifyBundle(signature(ours), trust).signer.keyId).toBe(key.public.id)
    const over = (by: string) => ({
      ...ours,
      dsseEnvelope: {
        ...ours['dsseEnvelope'],
        signatures: [{ sig: sign(by, toBeSigned(statement), privateKey).toString('base64') }],
      },
    })
    expect(verifyBundle(signature(over(hash)), trust).signer.keyId).toBe(key.public.id)
    expect(() => verifyBundle(signature(over('sha1')), trust)).toThrow(
      expect.objectContaining({ code: 'signature.unverified' }),
    )
    const { dsseEnvelope: _, ...material } = ours
    const artifact = new Uint8Array([1, 2, 3])
    const message = {
      messageDigest: { algorithm, digest: createHash(hash).update(artifact).digest('base64') },
      signature: sign(hash, artifact, privateKey).toString('base64'),
    }
    const { content } = verifyBundle(signature({ ...material, messageSignature: message }), trust, [artifact])
    expect(content).toEqual({ kind: 'artifact', artifact })
    // a hash that nobody here computes names no bytes
    const odd = { ...message, messageDigest: { ...message.messageDigest, algorithm: 'SHA3_384' } }
    expect(() => verifyBundle(signature({ ...material, messageSignature: odd }), trust, [artifact])).toThrow(
      expect.objectContaining({ code: 'signature.malformed' }),
    )
  },
)

describe('H04 a log entry must be about this signature by this signer', () => {
  const signer = newKey()
  const digest = parseDigest(`sha256:${'a'.repeat(64)}`)
  const bundleOf = () =>
    JSON.parse(
      new TextDecoder().decode(signBundle(signStatement({ digest, dockerReference: 'r.example/a' }), signer)),
    ) as Json
  const pem = (key: typeof signer) => key.public.key.export({ format: 'pem', type: 'spki' }).toString()
  const trust = (logKeys: Parameters<typeof rootOf>[0]['logKeys']): BundleTrust => ({
    kind: 'keys',
    keys: [signer.public],
    logs: rootOf({ logKeys }),
  })

  test('an entry by a trusted log about it is good, and dates it', () => {
    const log = ownLog()
    const bundle = signature(log.promise(bundleOf(), pem(signer)))
    expect(verifyBundle(bundle, trust([log.key])).signer.loggedAt).toEqual(new Date(1_790_000_000_000))
  })

  test.each(['dsse 0.0.1', 'dsse 0.0.2', 'intoto 0.0.2'] as const)(
    'H04 an entry %s that names another key is refused, though signature and payload are ours',
    (form) => {
      const log = ownLog()
      const by = (key: typeof signer) => signature(log.promise(bundleOf(), pem(key), form))
      expect(verifyBundle(by(signer), trust([log.key])).signer.keyId).toBe(signer.public.id)
      expect(() => verifyBundle(by(newKey()), trust([log.key]))).toThrow(
        expect.objectContaining({ code: 'signature.mismatch', message: expect.stringContaining('another key') }),
      )
    },
  )

  test('H04 an entry of a kind that is not known counts for nothing: good where no log is asked for, and only there', () => {
    const log = ownLog()
    const bundle = log.promise(bundleOf(), pem(signer))
    const [entry] = bundle['verificationMaterial'].tlogEntries
    entry.kindVersion.kind = 'later'
    entry.canonicalizedBody = Buffer.from('{"kind":"later","apiVersion":"0.0.1","spec":{}}').toString('base64')
    const byKey: BundleTrust = { kind: 'keys', keys: [signer.public] }
    expect(verifyBundle(signature(bundle), byKey).signer.keyId).toBe(signer.public.id)
    expect(() => verifyBundle(signature(bundle), trust([log.key]))).toThrow(
      expect.objectContaining({ code: 'signature.untrusted' }),
    )
    // the library takes any later version for the last that it knows, and looks at no key in it
    const later = signature(log.promise(bundleOf(), pem(signer), 'dsse 0.0.3'))
    expect(verifyBundle(later, byKey).signer.keyId).toBe(signer.public.id)
    expect(() => verifyBundle(later, trust([log.key]))).toThrow(
      expect.objectContaining({ code: 'signature.mismatch', message: expect.stringContaining('kind of signature') }),
    )
  })

  test('H04 an entry that calls itself another kind than its body does is refused, also where no log is asked for', () => {
    const bundle = ownLog().promise(bundleOf(), pem(signer))
    const [entry] = bundle['verificationMaterial'].tlogEntries
    entry.kindVersion.version = '0.0.2'
    expect(() => verifyBundle(signature(bundle), { kind: 'keys', keys: [signer.public] })).toThrow(
      expect.objectContaining({ code: 'signature.mismatch', message: expect.stringContaining('kind of signature') }),
    )
  })

  test('H04 a time that the log did not sign dates nothing: beside a mere proof anybody may write one', () => {
    const log = ownLog()
    const bundle = log.promise(bundleOf(), pem(signer))
    const [entry] = bundle['verificationMaterial'].tlogEntries
    delete entry.inclusionPromise
    entry.integratedTime = '1'
    const verified = verifyBundle(signature(bundle), trust([log.key]))
    expect(verified.signer).toEqual({ keyId: signer.public.id, algorithm: 'ECDSA_P256_SHA256' })
  })

  test('a log whose name is a regular expression is refused before anybody runs it', () => {
    const log = ownLog('(.*)*x')
    expect(() => verifyBundle(signature(log.promise(bundleOf(), pem(signer))), trust([log.key]))).toThrow(
      expect.objectContaining({ code: 'signature.malformed', message: expect.stringContaining('odd characters') }),
    )
  })

  test('an entry of a log that nobody trusts, or none at all, is refused', () => {
    const log = ownLog()
    const untrusted = expect.objectContaining({ code: 'signature.untrusted' })
    const logged = signature(log.promise(bundleOf(), pem(signer)))
    expect(() => verifyBundle(logged, trust([ownLog().key]))).toThrow(untrusted)
    expect(() => verifyBundle(signature(bundleOf()), trust([log.key]))).toThrow(untrusted)
  })
})

describe('GU-10 H03 a bundle’s certificate is held to the same rules as one under a tag', () => {
  const at = new Date(1_790_000_000_000)
  const text = (value: string) => new TextEncoder().encode(value)
  const named = (email: string) => ({ oid: '2.5.29.17', value: d.sequence(d.implicit(1, text(email))) })
  const forCode = [keyUsage('digitalSignature'), extendedKeyUsage('1.3.6.1.5.5.7.3.3')]
  const issuer = { oid: '1.3.6.1.4.1.57264.1.8', value: d.utf8String('https://issuer.example') }
  const whole = [...forCode, named('owner@clinic.example'), issuer]
  const pem = (der: Uint8Array) =>
    `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`
  const authority = (more: readonly TestExtension[] = []) =>
    makeCertificate({ subject: 'test CA', extensions: [...AUTHORITY, ...more] })

  function verify(
    extensions: readonly TestExtension[],
    ca = authority(),
    logsOther = false,
    form: EntryForm = 'dsse 0.0.1',
  ) {
    const key = makeKey('P-256')
    const leaf = makeCertificate({ subject: 'signer', issuer: ca, key, extensions })
    const statement = signStatement({ digest: parseDigest(`sha256:${'a'.repeat(64)}`), dockerReference: 'r.example/a' })
    const bundle = JSON.parse(new TextDecoder().decode(signBundle(statement, signingKey(key.privateKey)))) as Json
    bundle['verificationMaterial'] = { certificate: { rawBytes: Buffer.from(leaf.der).toString('base64') } }
    const other = !logsOther ? leaf : makeCertificate({ subject: 'other', issuer: ca, key, extensions })
    const log = ownLog()
    return verifyBundle(signature(log.promise(bundle, pem(other.der), form)), {
      kind: 'certificates',
      root: rootOf({ authorities: [[ca.der]], logKeys: [log.key] }),
      identity: { subject: 'owner@clinic.example', issuer: 'https://issuer.example' },
    })
  }

  test('one that was issued for signing code, to whom is wanted, is good', () => {
    expect(verify(whole).signer).toMatchObject({ subject: 'owner@clinic.example', loggedAt: at })
  })

  const nameConstraints = {
    oid: '2.5.29.30',
    critical: true,
    value: d.sequence(d.implicit(1, d.sequence(d.implicit(1, text('clinic.example'))))),
  }
  test.each<[string, () => unknown, string, string]>([
    [
      'for another purpose',
      () => verify([extendedKeyUsage('1.3.6.1.5.5.7.3.2'), ...whole.slice(2)]),
      'signature.untrusted',
      'extKeyUsage',
    ],
    ['for no purpose that it tells', () => verify(whole.slice(2)), 'signature.untrusted', 'extKeyUsage'],
    [
      'whose key is for agreement',
      () => verify([keyUsage('keyAgreement'), ...whole.slice(1)]),
      'signature.untrusted',
      'keyUsage',
    ],
    [
      'that demands what nobody reads',
      () => verify([...whole, { oid: '1.2.3.4', critical: true, value: d.utf8String('x') }]),
      'signature.untrusted',
      'critical extension 1.2.3.4',
    ],
    [
      'of a CA that may certify some names only',
      () => verify(whole, authority([nameConstraints])),
      'signature.untrusted',
      'critical extension 2.5.29.30',
    ],
    [
      'that names two issuers',
      () => verify([...whole, { oid: '1.3.6.1.4.1.57264.1.1', value: text('https://other.example') }]),
      'signature.mismatch',
      'two issuers',
    ],
    [
      'whose issuer is no text',
      () => verify([...whole.slice(0, 3), { oid: '1.3.6.1.4.1.57264.1.8', value: Uint8Array.of(4, 1, 0xff) }]),
      'signature.malformed',
      'issuer',
    ],
    [
      'whose issuer is bytes that read like text',
      () => verify([...whole.slice(0, 3), { oid: issuer.oid, value: Uint8Array.of(4, 1, 0x61) }]),
      'signature.malformed',
      'issuer',
    ],
    [
      'to somebody else',
      () => verify([...forCode, named('guest@clinic.example'), issuer]),
      'signature.mismatch',
      'guest@clinic.example',
    ],
    [
      'vouched for by another issuer',
      () => verify([...whole.slice(0, 3), { oid: issuer.oid, value: d.utf8String('https://other.example') }]),
      'signature.mismatch',
      'https://other.example',
    ],
    [
      'beside an entry of a version that nobody knows, though the library takes it for the last one',
      () => verify(whole, authority(), false, 'dsse 0.0.3'),
      'signature.mismatch',
      'another kind of signature',
    ],
    [
      'beside an entry about another certificate of the same key',
      () => verify(whole, authority(), true),
      'signature.mismatch',
      'another certificate',
    ],
  ])('H03 H04 one %s is refused', (_what, attempt, code, message) => {
    expect(attempt).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }))
  })
})
