import { missingVectors, readVector, readVectorText } from '@vouchsafe/testkit'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ImageError } from '../errors.ts'
import { parseDigest } from '../oci/digest.ts'
import { signBundle, signStatement } from '../sign/sign-bundle.ts'
import { subjectFor } from '../statement/statement.ts'
import { ownLog } from '../testing/own-log.ts'
import { newKey } from '../testing/signing.ts'
import { type BundleTrust, parseTrustedRoot, rootOf, verifyBundle } from './verify-bundle.ts'

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

  test('an entry that names another key is refused, though signature and payload are ours', () => {
    const log = ownLog()
    const bundle = signature(log.promise(bundleOf(), pem(newKey())))
    expect(() => verifyBundle(bundle, trust([log.key]))).toThrow(
      expect.objectContaining({ code: 'signature.mismatch', message: expect.stringContaining('another key') }),
    )
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
