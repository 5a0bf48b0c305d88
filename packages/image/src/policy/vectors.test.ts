import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { gunzipSync } from 'node:zlib'
import { missingVectors, readVector, readVectorText, vectorsRoot } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { ImageError } from '../errors.ts'
import { digestOf } from '../oci/digest.ts'
import { parseReference } from '../oci/reference.ts'
import type { FoundSignature } from '../signature/find-signatures.ts'
import { parseCertificates, verifyCertificate } from '../signature/certificate-identity.ts'
import { parsePublicKey } from '../signature/verification-key.ts'
import { parseRekorEntry, verifyRekorEntry } from '../signature/rekor-entry.ts'
import { ANNOTATION, type CosignSignature, parseSignatureFile } from '../signature/stored-signature.ts'
import { verifyCosignSignature } from '../signature/verify-cosign.ts'
import { parseKeyRing, verifySimpleSignature } from '../signature/verify-simple.ts'
import { parseSigningKey } from '../sign/private-key.ts'
import { parseStatement, PREDICATES, writeStatement } from '../statement/statement.ts'
import { decideImage, type ImageDecision } from './decide-image.ts'
import type { SignedDocument } from '../signature/scheme/scheme.ts'
import { readMaterialFrom } from './material.ts'
import { parsePolicy } from './parse-policy.ts'

/** The recorded signatures of other implementations, each with the outcome that the vectors' INDEX states. */
const CONTAINERS = 'guest/containers-image/signature'
const FIXTURES = `${CONTAINERS}/fixtures`
const GUEST = 'guest/guest-components/image-rs/test_data/signature'
const at = new Date('2026-11-01T00:00:00Z')
const file = (name: string) => path.join(vectorsRoot, FIXTURES, name)
const read = (name: string) => readVector(`${FIXTURES}/${name}`)
const text = (name: string) => readVectorText(`${FIXTURES}/${name}`)

type Edit = (signature: FoundSignature) => FoundSignature
/** What is in a `dir:` image. */
function openDirectory(name: string, edit: Edit = (signature) => signature) {
  const directory = path.join(vectorsRoot, FIXTURES, name)
  const found: FoundSignature[] = []
  for (let n = 1; existsSync(path.join(directory, `signature-${n}`)); n++) {
    const place = `signature-${n}`
    try {
      const signature = parseSignatureFile(new Uint8Array(readFileSync(path.join(directory, place))), place)
      if (signature !== undefined) found.push(edit(signature))
    } catch (error) {
      if (!(error instanceof ImageError)) throw error
      found.push({ kind: 'unreadable', place, error })
    }
  }
  const manifest = path.join(directory, 'manifest.json')
  const documents: SignedDocument[] = []
  if (existsSync(manifest)) {
    const bytes = new Uint8Array(readFileSync(manifest))
    documents.push({ role: 'manifest', digest: digestOf(bytes), bytes })
  }
  return { found, documents }
}

async function decide(directory: string, requirement: object, image: string, edit?: Edit): Promise<ImageDecision> {
  const { found, documents } = openDirectory(directory, edit)
  const policy = parsePolicy(new TextEncoder().encode(JSON.stringify({ default: [requirement] })))
  const of = (kind: 'simple' | 'sigstore') =>
    Promise.resolve(found.filter((one) => one.kind === 'unreadable' || (one.kind === 'simple') === (kind === 'simple')))
  return decideImage(
    { scope: 'default', requirements: policy.default },
    { asked: parseReference(image), documents },
    { material: readMaterialFrom({}), signatures: { simple: () => of('simple'), sigstore: () => of('sigstore') }, at },
  )
}

const gpg = (ring = 'public-key.gpg') => ({
  type: 'signedBy',
  keyType: 'GPGKeys',
  keyPath: file(ring),
  signedIdentity: { type: 'matchExact' },
})
const sigstore = (trust: object, identity: object = { type: 'matchRepository' }) => ({
  type: 'sigstoreSigned',
  ...trust,
  signedIdentity: identity,
})
const cosign = { keyPath: file('cosign.pub') }
const logged = { keyPath: file('cosign2.pub'), rekorPublicKeyPath: file('rekor.pub') }
const fulcio = {
  fulcio: {
    caPath: file('fulcio_v1.crt.pem'),
    oidcIssuer: 'https://github.com/login/oauth',
    subjectEmail: 'mitr@redhat.com',
  },
  rekorPublicKeyPath: file('rekor.pub'),
}
const pki = {
  pki: {
    caRootsPath: file('pki_root_crts.pem'),
    caIntermediatesPath: file('pki_intermediate_crts.pem'),
    subjectEmail: 'qiwan@redhat.com',
    subjectHostname: 'myhost.example.com',
  },
}
const withoutIntermediates = { pki: { ...pki.pki, caIntermediatesPath: undefined } }
const single = '192.168.64.2:5000/cosign-signed-single-sample'
const latest = 'testing/manifest:latest'
const keyed = '192.168.64.2:5000/cosign-signed/key-1'
const certified = '192.168.64.2:5000/cosign-signed/fulcio-rekor-1'

const annotate =
  (change: (annotations: Map<string, string>) => void): Edit =>
  (signature) => {
    if (signature.kind !== 'cosign') return signature
    const annotations = new Map(signature.annotations)
    change(annotations)
    return { ...signature, annotations }
  }
const without = (name: string) => annotate((annotations) => void annotations.delete(name))
const instead = (name: string, value: string) => annotate((annotations) => void annotations.set(name, value))
function annotationOf(directory: string, name: string): string {
  const [found] = openDirectory(directory).found
  return found?.kind === 'cosign' ? (found.annotations.get(name) ?? '') : ''
}

type Case = readonly [directory: string, requirement: object, image: string, wanted: true | string, edit?: Edit]
const DIRECTORIES: readonly Case[] = missingVectors()
  ? []
  : [
      ['dir-img-valid', gpg(), latest, true],
      ['dir-img-valid-2', gpg(), latest, true],
      ['dir-img-mixed', gpg(), latest, true],
      ['dir-img-valid', gpg(), 'testing/manifest:notlatest', 'matchExact'],
      ['dir-img-valid-2', gpg(), 'testing/manifest:notlatest', 'matchExact'],
      ['dir-img-mixed', gpg(), 'testing/manifest:notlatest', 'matchExact'],
      ['dir-img-valid', gpg('public-key-2.gpg'), latest, 'signature.unverified'],
      ['dir-img-valid-subkey', gpg('public-key-with-subkey.gpg'), latest, true],
      ['dir-img-unsigned', gpg(), latest, 'no signature'],
      ['dir-img-modified-manifest', gpg(), latest, 'another image'],
      ['dir-img-no-manifest', gpg(), latest, 'another image'],
      ['dir-img-manifest-digest-error', gpg(), latest, 'another image'],
      ['dir-img-cosign-valid', sigstore(cosign), single, true],
      ['dir-img-cosign-valid', sigstore(cosign, { type: 'matchExact' }), single, 'matchExact'],
      [
        'dir-img-cosign-valid',
        sigstore(cosign, { type: 'exactReference', dockerReference: 'this/does-not:match' }),
        single,
        'exactReference',
      ],
      ['dir-img-cosign-valid', sigstore(logged), single, 'signature.unverified'],
      [
        'dir-img-cosign-valid',
        sigstore(cosign),
        single,
        'signature.unverified',
        annotate((a) => {
          const raw = Buffer.from(a.get(ANNOTATION.signature) ?? '', 'base64')
          raw[raw.length - 1]! ^= 1
          a.set(ANNOTATION.signature, raw.toString('base64'))
        }),
      ],
      ['dir-img-cosign-valid-2', sigstore(cosign), single, true],
      ['dir-img-cosign-mixed', sigstore(cosign), single, true],
      [
        'dir-img-cosign-valid-with-tag',
        sigstore(cosign, { type: 'matchExact' }),
        '192.168.64.2:5000/skopeo-signed:tag',
        true,
      ],
      [
        'dir-img-cosign-valid-with-tag',
        sigstore(cosign, { type: 'matchExact' }),
        '192.168.64.2:5000/skopeo-signed:othertag',
        'matchExact',
      ],
      ['dir-img-cosign-modified-manifest', sigstore(cosign), single, 'another image'],
      ['dir-img-cosign-no-manifest', sigstore(cosign), single, 'another image'],
      ['dir-img-cosign-manifest-digest-error', sigstore(cosign), single, 'another image'],
      ['dir-img-cosign-other-attachment', sigstore(cosign), single, 'no signature'],
      ['dir-img-cosign-key-rekor-valid', sigstore(logged), keyed, true],
      [
        'dir-img-cosign-key-rekor-valid',
        sigstore({
          keyPaths: [file('cosign.pub'), file('cosign2.pub')],
          rekorPublicKeyPaths: [file('cosign.pub'), file('rekor.pub')],
        }),
        keyed,
        true,
      ],
      [
        'dir-img-cosign-key-rekor-valid',
        sigstore(logged),
        keyed,
        'no transparency log entry',
        without(ANNOTATION.rekor),
      ],
      [
        'dir-img-cosign-key-rekor-valid',
        sigstore(logged),
        keyed,
        'signature.malformed',
        instead(ANNOTATION.rekor, '{}'),
      ],
      [
        'dir-img-cosign-key-rekor-valid',
        sigstore({ ...logged, rekorPublicKeyPath: file('cosign.pub') }),
        keyed,
        'not promised by a trusted log',
      ],
      [
        'dir-img-cosign-key-rekor-valid',
        sigstore(logged),
        keyed,
        'log entry is about another signature',
        instead(ANNOTATION.rekor, annotationOf('dir-img-cosign-fulcio-rekor-valid', ANNOTATION.rekor)),
      ],
      ['dir-img-cosign-fulcio-rekor-valid', sigstore(fulcio), certified, true],
      [
        'dir-img-cosign-fulcio-rekor-valid',
        sigstore(fulcio),
        certified,
        'no certificate',
        without(ANNOTATION.certificate),
      ],
      [
        'dir-img-cosign-fulcio-rekor-valid',
        sigstore(fulcio),
        certified,
        'signature.malformed',
        instead(ANNOTATION.certificate, 'no PEM'),
      ],
      ['dir-img-cosign-fulcio-rekor-valid', sigstore(fulcio), certified, 'nobody else here', without(ANNOTATION.chain)],
      [
        'dir-img-cosign-fulcio-rekor-valid',
        sigstore(fulcio),
        certified,
        'signature.malformed',
        instead(ANNOTATION.chain, 'no PEM'),
      ],
      [
        'dir-img-cosign-fulcio-rekor-valid',
        sigstore({
          ...fulcio,
          fulcio: {
            ...fulcio.fulcio,
            caPath: undefined,
            caData: Buffer.from(annotationOf('dir-img-cosign-fulcio-rekor-valid', ANNOTATION.chain)).toString('base64'),
          },
        }),
        certified,
        true,
        without(ANNOTATION.chain),
      ],
      [
        'dir-img-cosign-fulcio-rekor-valid',
        sigstore(fulcio),
        certified,
        'no transparency log',
        without(ANNOTATION.rekor),
      ],
      [
        'dir-img-cosign-fulcio-rekor-valid',
        sigstore({ ...fulcio, fulcio: { ...fulcio.fulcio, subjectEmail: 'other@redhat.com' } }),
        certified,
        'other@redhat.com',
      ],
      [
        'dir-img-cosign-fulcio-rekor-valid',
        sigstore({ ...fulcio, fulcio: { ...fulcio.fulcio, oidcIssuer: 'https://github.com/login/oaut' } }),
        certified,
        'issuer',
      ],
      ['dir-img-cosign-pki-valid', sigstore(pki), 'localhost:5000/test', true],
      ['dir-img-cosign-pki-valid', sigstore(pki), 'localhost:5000/test', true, without(ANNOTATION.chain)],
      ['dir-img-cosign-pki-valid', sigstore(withoutIntermediates), 'localhost:5000/test', true],
      [
        'dir-img-cosign-pki-valid',
        sigstore(withoutIntermediates),
        'localhost:5000/test',
        'nobody else here',
        without(ANNOTATION.chain),
      ],
      [
        'dir-img-cosign-pki-valid',
        sigstore(pki),
        'localhost:5000/test',
        'no certificate',
        without(ANNOTATION.certificate),
      ],
      [
        'dir-img-cosign-pki-valid',
        sigstore({ pki: { ...pki.pki, subjectEmail: 'other@redhat.com' } }),
        'localhost:5000/test',
        'other@redhat.com',
      ],
      [
        'dir-img-cosign-pki-valid',
        sigstore({ pki: { ...pki.pki, subjectHostname: 'example.com' } }),
        'localhost:5000/test',
        'example.com',
      ],
    ]

/** Single simple signatures over the manifest 20bf21ed…, by the whole ring. */
const SIMPLE: readonly (readonly [name: string, wanted: readonly [signer: string, reference: string] | string])[] = [
  ['image.signature', ['08CD26E446E2E95249B7A405E932F44B23E8DD43', 'testing/manifest']],
  ['no-optional-fields.signature', ['08CD26E446E2E95249B7A405E932F44B23E8DD43', 'testing/manifest']],
  ['subkey.signature', ['B9F4CDB9FD8C475BFA340AC38D54A947EE396F36', 'testing/manifest:latest']],
  ['subkey.signature-v3', ['B9F4CDB9FD8C475BFA340AC38D54A947EE396F36', 'testing/manifest:latest']],
  // cryptographically good: what refuses them is the payload
  ['invalid-blob.signature', 'signature.malformed payload'],
  ['invalid-blob.signature-v3', 'signature.malformed payload'],
  ['invalid-reference.signature', ['08CD26E446E2E95249B7A405E932F44B23E8DD43', 'UPPERCASEISINVALID']],
  ['invalid-cleartext.signature', 'signature.malformed not a binary OpenPGP message'],
  ['subkey-revoked.signature', 'signature.unverified revoked'],
  ['subkey-revoked.signature-v3', 'signature.unverified revoked'],
  ['expired.signature', 'signature.unverified expired'],
  ['corrupt.signature', 'signature.malformed'],
  ['corrupt.signature-v3', 'signature.malformed'],
  ['unknown-key.signature', 'signature.unverified'],
  ['unknown-key.signature-v3', 'signature.unverified no trusted key'],
  ['unsigned-literal.signature', 'signature.malformed 1 texts and 0 signatures'],
  ['unsigned-encrypted.signature', 'signature.malformed'],
]

/** Everything else in the folders: what it is for. A file that nobody names here fails the audit. */
const MATERIAL: Readonly<Record<string, string>> = {
  'cosign.pub': 'key',
  'cosign2.pub': 'key',
  'public-key.gpg': 'key',
  'public-key-1.gpg': 'the same key',
  'public-key-2.gpg': 'key',
  'public-key-with-subkey.gpg': 'key',
  'public-key-with-revoked-subkey.gpg': 'key',
  'pubring.gpg': 'the four keys',
  'secring.gpg': 'GnuPG 1 state',
  'trustdb.gpg': 'GnuPG state',
  'image.manifest.json': 'the manifest that is signed',
  'policy.json': 'parse-policy.test.ts',
  'fulcio-cert': 'certificate of a SET',
  'fulcio-chain': 'chain of a SET',
  'fulcio_v1.crt.pem': 'root',
  'pki-cert': 'certificate',
  'pki-chain': 'chain',
  'pki_intermediate_crts.pem': 'intermediates',
  'pki_root_crts.pem': 'roots',
  'rekor-set': 'SET',
  'rekor-payload': 'payload of the SET',
  'rekor-sig': 'signature of the SET',
  'rekor.pub': 'log key',
  'some-rsa-key.pub': 'key that is no log key',
  'unknown-cosign-key.signature': 'below',
  'v2s1-invalid-signatures.manifest.json': 'below',
}

describe.skipIf(missingVectors())('GU-09 GU-10 H03 recorded signatures', () => {
  test.each(DIRECTORIES.map((row, i) => [i + 1, ...row] as const))(
    '%i: %s',
    async (_n, directory, requirement, image, wanted, edit) => {
      const decision = await decide(directory, requirement, image, edit)
      const said = JSON.stringify(decision.findings)
      expect([decision.kind, said]).toEqual([
        wanted === true ? 'accept' : 'refuse',
        wanted === true ? said : expect.stringContaining(wanted),
      ])
    },
  )

  test.each(SIMPLE)('%s', async (name, wanted) => {
    const ring = await parseKeyRing(read('pubring.gpg'), 'pubring.gpg')
    const check = () =>
      verifySimpleSignature({ kind: 'simple', place: name, message: read(name) }, { rings: [ring], at })
    if (typeof wanted === 'string') {
      const [code, ...message] = wanted.split(' ')
      await expect(check()).rejects.toMatchObject({ code, message: expect.stringContaining(message.join(' ')) })
      return
    }
    const { payload, signer } = await check()
    expect([signer.fingerprint, payload.dockerReference]).toEqual(wanted)
    expect(payload.manifestDigest).toBe(digestOf(read('image.manifest.json')))
    if (name.startsWith('no-optional')) expect(payload.optional).toEqual({})
  })

  test('an empty file is no signature', () => {
    expect(() => parseSignatureFile(new Uint8Array(), 'signature-1')).toThrow(
      expect.objectContaining({ code: 'signature.malformed' }),
    )
  })

  test('the older guest signature is good only for who accepts SHA-1, and says whose it is', async () => {
    const ring = await parseKeyRing(readVector(`${GUEST}/pubring.gpg`), 'pubring.gpg')
    for (const name of ['signature-1', 'signature-2']) {
      const signature = { kind: 'simple', place: name, message: readVector(`${GUEST}/signatures/${name}`) } as const
      await expect(verifySimpleSignature(signature, { rings: [ring], at })).rejects.toMatchObject({
        code: 'signature.unverified',
        message: expect.stringContaining('SHA1'),
      })
      const { payload, signer } = await verifySimpleSignature(signature, {
        rings: [ring],
        at,
        dangerouslyAcceptSha1: true,
      })
      expect(signer.fingerprint).toBe('2183156095E072685518F8A97EFD4C926F9311E2')
      expect(payload).toEqual({
        kind: 'simple',
        dockerReference: 'quay.io/ali_os_security/alpine:latest',
        manifestDigest: 'sha256:69704ef328d05a9f806b6b8502915e6a0a4faa4d72018dc42343f511490daf8a',
        optional: { creator: 'atomic 2.0.0', timestamp: 1634533638 },
      })
    }
  })

  test('unknown-cosign-key.signature is by a key that nobody trusts', async () => {
    const signature = parseSignatureFile(read('unknown-cosign-key.signature'), 'it') as CosignSignature
    const keys = [parsePublicKey(text('cosign.pub'))]
    await expect(verifyCosignSignature(signature, { kind: 'keys', keys })).rejects.toMatchObject({
      code: 'signature.unverified',
    })
  })

  test('a matching SET is good; any other payload, signature, certificate or log key is refused', () => {
    const entry = parseRekorEntry(text('rekor-set'), 'SET')
    const log = parsePublicKey(text('rekor.pub'))
    const about = {
      certificate: parseCertificates(text('fulcio-cert'), 'cert')[0]!.der,
      signature: new Uint8Array(Buffer.from(text('rekor-sig'), 'base64')),
      payload: read('rekor-payload'),
    }
    const other = parseCertificates(text('pki-cert'), 'cert')[0]!.der
    expect(verifyRekorEntry(entry, [log], about, 'SET')).toEqual(new Date(1670870899 * 1000))
    const refusals = [
      [[log], { ...about, payload: read('rekor-sig') }, 'another payload'],
      [[log], { ...about, signature: about.signature.with(9, 0) }, 'another signature'],
      [[log], { ...about, certificate: other }, 'another key'],
      [[parsePublicKey(text('cosign.pub'))], about, 'not promised'],
      [[parsePublicKey(text('some-rsa-key.pub'))], about, 'not promised'],
      [[], about, 'not promised'],
    ] as const
    for (const [keys, what, message] of refusals)
      expect(() => verifyRekorEntry(entry, keys, what, 'SET')).toThrow(message)
    expect(() => verifyRekorEntry({ ...entry, integratedTime: 1 }, [log], about, 'SET')).toThrow('not promised')
  })

  test.each([
    ['2022-12-12T18:48:17Z', 'notBefore'],
    ['2022-12-12T18:58:19Z', 'notAfter'],
  ])('the Fulcio certificate is not valid at %s', async (moment, field) => {
    const [root] = parseCertificates(text('fulcio_v1.crt.pem'), 'root')
    const annotations = new Map([
      [ANNOTATION.certificate, text('fulcio-cert')],
      [ANNOTATION.chain, text('fulcio-chain')],
    ])
    const signature = { kind: 'cosign', place: 'it', payload: read('rekor-payload'), annotations } as const
    const trust = {
      kind: 'pki',
      roots: [root!],
      intermediates: [],
      subjectEmail: 'mitr@redhat.com',
      at: new Date(moment),
    } as const
    await expect(verifyCertificate(signature, new Uint8Array(), trust)).rejects.toMatchObject({
      code: 'signature.untrusted',
      message: expect.stringContaining(field),
    })
    const valid = { ...trust, at: new Date(1670870899 * 1000) }
    await expect(verifyCertificate(signature, new Uint8Array(), valid)).resolves.toMatchObject({
      subject: 'mitr@redhat.com',
    })
  })

  test('a log key that is not ECDSA makes the policy unusable', async () => {
    const requirement = sigstore({ ...logged, rekorPublicKeyPath: file('some-rsa-key.pub') })
    await expect(decide('dir-img-cosign-key-rekor-valid', requirement, keyed)).rejects.toMatchObject({
      code: 'policy.material',
      message: expect.stringContaining('some-rsa-key.pub'),
    })
  })

  test('each recorded file about signatures has an expectation', () => {
    const known = new Set([
      ...Object.keys(MATERIAL),
      ...SIMPLE.map(([name]) => name),
      ...DIRECTORIES.map(([name]) => name),
    ])
    const names = readdirSync(path.join(vectorsRoot, FIXTURES))
    expect(names.filter((name) => !known.has(name))).toEqual([])
    const inner = path.join(vectorsRoot, CONTAINERS, 'internal/testdata')
    const twins: Readonly<Record<string, string>> = {
      'valid.signature': 'dir-img-cosign-valid/signature-1',
      'rekor-cert': 'fulcio-cert',
    }
    for (const name of readdirSync(inner)) {
      expect(statSync(path.join(inner, name)).isFile()).toBe(true)
      expect(readFileSync(path.join(inner, name)).equals(readFileSync(file(twins[name] ?? name)))).toBe(true)
    }
  })

  test('keys, policies and key boxes of the guest are what the INDEX says', () => {
    const folder = 'guest/guest-components/image-rs/test_data'
    for (const name of ['cosign1', 'cosign2', 'cosign3', 'nv'])
      expect(parsePublicKey(readVector(`${folder}/signature/cosign/${name}.pub`)).algorithm).toBe('ECDSA_P256_SHA256')
    const resources = (name: string) => {
      const file = JSON.parse(readVectorText(`${folder}/offline-fs-kbc/${name}.json`)) as Record<string, string>
      return (resource: string) => Buffer.from(file[`default/${resource}/test`] ?? '', 'base64')
    }
    const icr = resources('aa-offline_fs_kbc-resources-for-icr')
    const box = parseSigningKey(readVectorText(`${folder}/signature/cosign/cosign.key`), { passphrase: '' })
    expect(parsePublicKey(icr('cosign-public-key')).id).toBe(box.public.id)
    expect(box.public.id).not.toBe(parsePublicKey(readVector(`${folder}/signature/cosign/cosign1.pub`)).id)
    for (const resource of [icr, resources('aa-offline_fs_kbc-resources')])
      expect(parsePolicy(resource('security-policy')).transports.get('docker')?.size).toBeGreaterThan(0)
  })

  test('stores of simple signatures for two tags: the policy’s key allows one and not the other', async () => {
    const folder = path.join(vectorsRoot, 'guest/guest-components/image-rs/test_data/simple-signing-scheme')
    const ring = await parseKeyRing(new Uint8Array(readFileSync(path.join(folder, 'pubkey.gpg'))), 'pubkey.gpg')
    // the key ended in September 2022: then its signatures stopped to count, also those made before
    const outcomesAt = async (moment: string) => {
      const outcomes: string[] = []
      for (const { bytes } of readTar(gunzipSync(readFileSync(path.join(folder, 'signatures.tar'))))) {
        if ((bytes[0] ?? 0) < 0x80) continue
        const message = { kind: 'simple', place: 'it', message: bytes } as const
        outcomes.push(
          await verifySimpleSignature(message, { rings: [ring], at: new Date(moment) }).then(
            ({ payload }) => payload.dockerReference,
            (error: unknown) => (error as ImageError).message,
          ),
        )
      }
      return outcomes.toSorted()
    }
    const stranger = 'it: Could not find signing key with key ID d8d28a0e43238696'
    const signed = 'quay.io/kata-containers/confidential-containers:signed'
    expect(await outcomesAt('2022-09-01T00:00:00Z')).toEqual([stranger, signed])
    expect(await outcomesAt('2022-10-01T00:00:00Z')).toEqual([stranger, 'it: Primary key is expired'])
  })

  test.each([
    [
      'guest/cosign',
      [
        'bom-go-mod.cyclonedx.json',
        'bom-go-mod.spdx.json',
        'oci-attestation.sigstore.json',
        'trusted_root_pgi.json',
        'vuln-predicate.json',
      ],
    ],
    ['guest/sigstore-rs', ['bundle_v03.json', 'keys']],
    [
      'guest/sigstore-rs/keys',
      [
        'cosign_generated_encrypted_empty_private.key',
        'ecdsa_encrypted_private.key',
        'ecdsa_private.key',
        'ed25519_encrypted_private.key',
        'ed25519_private.key',
        'rsa_encrypted_private.key',
        'rsa_private.key',
      ],
    ],
    [GUEST, ['cosign', 'policy.json', 'pubring.gpg', 'signatures', 'sigstore_config']],
    [`${GUEST}/cosign`, ['cosign.key', 'cosign1.pub', 'cosign2.key', 'cosign2.pub', 'cosign3.pub', 'nv.pub']],
    [`${GUEST}/signatures`, ['signature-1', 'signature-2']],
  ])('%s holds nothing that no test knows', (folder, known) => {
    expect(readdirSync(path.join(vectorsRoot, folder)).toSorted()).toEqual(known)
  })

  test.each([
    ['vuln-predicate.json', PREDICATES.vuln],
    ['bom-go-mod.spdx.json', PREDICATES.spdx],
    ['bom-go-mod.cyclonedx.json', PREDICATES.cyclonedx],
  ])('%s goes through a statement unchanged', (name, predicateType) => {
    const predicate: unknown = JSON.parse(readVectorText(`guest/cosign/${name}`))
    const digest = digestOf(read('image.manifest.json'))
    const statement = parseStatement(writeStatement({ subjects: [{ digest }], predicateType, predicate }))
    expect(JSON.parse(JSON.stringify(statement.predicate))).toEqual(predicate)
  })
})

/** Names and contents of a small archive, for a vector that is one. */
function* readTar(bytes: Buffer): Generator<{ name: string; bytes: Uint8Array }> {
  for (let at = 0; at + 512 <= bytes.length;) {
    const name = bytes.toString('latin1', at, at + 100).replace(/\0.*$/s, '')
    const size = Number.parseInt(bytes.toString('latin1', at + 124, at + 136), 8) || 0
    yield { name, bytes: new Uint8Array(bytes.subarray(at + 512, at + 512 + size)) }
    at += 512 + Math.ceil(size / 512) * 512
  }
}
