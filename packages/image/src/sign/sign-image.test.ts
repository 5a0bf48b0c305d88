import { createHash } from 'node:crypto'
import { utf8 } from '@vouchsafe/core'
import { missingVectors, readVectorText } from '@vouchsafe/testkit'
import { deflateRawSync } from 'node:zlib'
import * as openpgp from 'openpgp'
import { describe, expect, test } from 'vitest'
import { type Digest, digestOf } from '../oci/digest.ts'
import { putManifest } from '../registry/referrers.ts'
import { CONFIDENTIAL_SPACE } from '../signature/confidential-space.ts'
import { parsePayload } from '../signature/payload.ts'
import { findSigstoreSignatures, signatureTag } from '../signature/find-signatures.ts'
import { isSignedBy } from '../signature/verification-key.ts'
import { parseKeyRing, verifySimpleSignature } from '../signature/verify-simple.ts'
import { at, keyData, newKey, published, said } from '../testing/signing.ts'
import { attachBundle, attachCosign } from './attach.ts'
import { generateSigningKey, parseSigningKey, type SigningKey } from './private-key.ts'
import { joinBundle, signBundle, signStatement, toBeSigned } from './sign-bundle.ts'
import { cosignPayload, joinCosign, signCosign, signSimple } from './sign-payload.ts'
import { PREDICATES } from '../statement/statement.ts'

const byRepository = { type: 'matchRepository' }
const other = `sha256:${'b'.repeat(64)}` as Digest

describe('CS-06 GU-10 signatures by keys under the tag of cosign', () => {
  test.each(['p256', 'p384', 'rsa', 'ed25519'] as const)(
    '%s: the key accepts it, and no other key does',
    async (kind) => {
      const { client, name, digest, reference, decide } = await published()
      const key = newKey(kind)
      await attachCosign(client, name, digest, signCosign(cosignPayload({ digest, dockerReference: reference }), key))
      const by = (data: string) => [{ type: 'sigstoreSigned', keyData: data, signedIdentity: byRepository }]
      const good = await decide(by(keyData(key)))
      expect([good.kind, good.signers[0]?.key]).toEqual(['accept', key.public.id])
      const bad = await decide(by(keyData(newKey(kind))))
      expect([bad.kind, said(bad)]).toEqual(['refuse', expect.stringContaining('signature.unverified')])
    },
  )

  test('H03 a signature for another digest, another name or another kind of thing is refused', async () => {
    const { client, name, digest, reference, decide } = await published()
    const key = newKey()
    const wrong = [
      cosignPayload({ digest: other, dockerReference: reference }),
      cosignPayload({ digest, dockerReference: `${reference}2` }),
      new TextEncoder().encode(
        new TextDecoder()
          .decode(cosignPayload({ digest, dockerReference: reference }))
          .replace('cosign container image signature', 'atomic container signature'),
      ),
      new TextEncoder().encode('{"critical":{}}'),
    ]
    for (const payload of wrong) await attachCosign(client, name, digest, signCosign(payload, key))
    const by = [{ type: 'sigstoreSigned', keyData: keyData(key), signedIdentity: byRepository }]
    const refused = await decide(by)
    expect(refused.kind).toBe('refuse')
    expect(refused.findings[0]?.signatures.map(({ outcome }) => outcome)).toEqual([
      expect.stringContaining('another image'),
      expect.stringContaining('matchRepository does not allow'),
      expect.stringMatching(/signature.mismatch.*critical.type/),
      expect.stringMatching(/signature.malformed.*no member/),
    ])
    await attachCosign(client, name, digest, signCosign(cosignPayload({ digest, dockerReference: reference }), key))
    expect((await decide(by)).kind).toBe('accept')
  })

  test('the default identity asks for a name with a tag, which cosign’s own signatures lack', async () => {
    const { client, name, digest, reference, decide } = await published()
    const key = newKey()
    const by = [{ type: 'sigstoreSigned', keyData: keyData(key) }]
    await attachCosign(client, name, digest, signCosign(cosignPayload({ digest, dockerReference: reference }), key))
    expect((await decide(by)).kind).toBe('refuse')
    await attachCosign(
      client,
      name,
      digest,
      signCosign(cosignPayload({ digest, dockerReference: `${reference}:v1` }), key),
    )
    expect((await decide(by)).kind).toBe('accept')
  })

  test('a registry that fails is no unsigned image', async () => {
    const { server, decide } = await published()
    server.lie = (seen, response) => {
      if (!seen.path.endsWith('.sig')) return undefined
      response.writeHead(500).end()
      return true
    }
    const by = [{ type: 'sigstoreSigned', keyData: keyData(newKey()), signedIdentity: byRepository }]
    await expect(decide(by)).rejects.toMatchObject({ code: 'registry.unavailable' })
  })

  test('CS-06 annotations tell Confidential Space key and algorithm; the payload is what its rules read', () => {
    const wanted = { digest: other, dockerReference: 'r.example/a', annotations: { owner: 'clinic' } }
    for (const kind of ['p256', 'rsa', 'pss'] as const) {
      const key = newKey(kind)
      const payload = cosignPayload(wanted, { key: key.public, algorithm: key.algorithm })
      const { optional } = parsePayload(payload, 'cosign')
      expect(optional['owner']).toBe('clinic')
      expect(optional[CONFIDENTIAL_SPACE.algorithm]).toBe(key.algorithm)
      const unpadded = String(optional[CONFIDENTIAL_SPACE.publicKey])
      expect(unpadded).not.toContain('=')
      expect(Buffer.from(unpadded, 'base64').toString()).toBe(key.public.key.export({ format: 'pem', type: 'spki' }))
      expect(isSignedBy(key.public, payload, key.sign(payload), key.algorithm)).toBe(true)
    }
    const ed = newKey('ed25519')
    expect(() => cosignPayload(wanted, { key: ed.public, algorithm: ed.algorithm })).toThrow(
      expect.objectContaining({ code: 'key.unsupported' }),
    )
    expect(() => cosignPayload({ ...wanted, annotations: { [CONFIDENTIAL_SPACE.publicKey]: 'x' } })).toThrow('your own')
  })
})

describe('CS-11 signed elsewhere, attached by another party', () => {
  test('two of three signers must have signed; one who signs twice is one', async () => {
    const { client, name, digest, reference, decide } = await published()
    const keys = { ann: newKey(), ben: newKey('ed25519'), cleo: newKey('rsa') }
    const signers = Object.entries(keys).map(([who, key]) => ({ name: who, keyData: keyData(key) }))
    const policy = [{ type: 'vouchsafeSigners', threshold: 2, signers, signedIdentity: byRepository }]
    const payload = cosignPayload({ digest, dockerReference: reference })
    await attachCosign(client, name, digest, joinCosign(payload, keys.ann.sign(payload), keys.ann.public))
    await attachCosign(client, name, digest, signCosign(payload, keys.ann))
    const again = cosignPayload({ digest, dockerReference: reference, annotations: { again: 'yes' } })
    await attachCosign(client, name, digest, signCosign(again, keys.ann))
    const one = await decide(policy)
    expect([one.kind, one.findings[0]?.explanation]).toEqual(['refuse', '1 of the 2 signers that are wanted: ann'])
    await attachCosign(client, name, digest, joinCosign(payload, keys.cleo.sign(payload), keys.cleo.public))
    const two = await decide(policy)
    expect([two.kind, two.signers.map((signer) => signer.name)]).toEqual(['accept', ['ann', 'cleo']])
  })

  test('a key under two names makes the policy unusable: a threshold counts keys', async () => {
    const { decide } = await published()
    const key = keyData(newKey())
    const signers = [
      { name: 'ann', keyData: key },
      { name: 'ben', keyData: key },
    ]
    await expect(decide([{ type: 'vouchsafeSigners', threshold: 2, signers }])).rejects.toMatchObject({
      code: 'policy.material',
      message: expect.stringContaining('ann and ben have the same key'),
    })
  })

  test('a signature that does not belong to payload and key is not attached', () => {
    const [mine, theirs] = [newKey(), newKey()]
    const payload = cosignPayload({ digest: other, dockerReference: 'r.example/a' })
    const statement = signStatement({ digest: other, dockerReference: 'r.example/a' })
    const refused = expect.objectContaining({ code: 'signature.unverified' })
    expect(() => joinCosign(payload, theirs.sign(payload), mine.public)).toThrow(refused)
    expect(() => joinCosign(statement, mine.sign(payload), mine.public)).toThrow(refused)
    expect(() => joinBundle(statement, mine.sign(statement), mine.public)).toThrow(refused)
    expect(joinBundle(statement, mine.sign(toBeSigned(statement)), mine.public).length).toBeGreaterThan(100)
  })
})

describe('GU-10 CS-10 bundles that refer to the image', () => {
  test.each([true, false])('referrers API %s: found, verified, and nothing else counts', async (referrersApi) => {
    const { client, name, digest, reference, subject, decide } = await published({ referrersApi })
    const key = newKey()
    const by = [{ type: 'sigstoreSigned', keyData: keyData(key), signedIdentity: byRepository }]
    const attach = (bundle: Uint8Array) => attachBundle(client, name, subject, bundle, PREDICATES.sign, at)
    const sign = (what: Partial<Parameters<typeof signStatement>[0]>) =>
      signBundle(signStatement({ digest, dockerReference: reference, ...what }), key)
    await attach(sign({ digest: other }))
    await attach(sign({ dockerReference: 'r.example/another' }))
    await attach(signBundle(signStatement({ digest, dockerReference: reference }), newKey()))
    await attach(new TextEncoder().encode('{}'))
    const refused = await decide(by)
    expect(refused.findings[0]?.signatures.map(({ outcome }) => outcome.split(':')[0]).sort()).toEqual([
      'signature.malformed',
      'signature.mismatch',
      'signature.mismatch',
      'signature.unverified',
    ])
    await attach(sign({}))
    expect((await decide(by)).kind).toBe('accept')
    expect(await findSigstoreSignatures(client.reader(name), digest)).toHaveLength(5)
  })

  test('CS-06 H03 a bundle over the manifest’s own bytes counts, where names do not matter; over other bytes it does not', async () => {
    const { client, name, digest, subject, decide } = await published()
    const { bytes } = await client.reader(name).readManifest(digest, 1e6)
    const [key, stranger] = [newKey(), newKey()]
    const attach = (signed: Uint8Array, by: SigningKey, claimed = signed) =>
      attachBundle(client, name, subject, messageBundle(signed, by, claimed), PREDICATES.sign, at)
    const by = (type: string) => decide([{ type: 'sigstoreSigned', keyData: keyData(key), signedIdentity: { type } }])
    await attach(utf8('other bytes'), key)
    expect(said(await by('vouchsafeDigestOnly'))).toContain('is about another image')
    await attach(utf8('other bytes'), key, bytes) // says that it is over the manifest, and is not
    await attach(bytes, stranger)
    const refused = await by('vouchsafeDigestOnly')
    expect([refused.kind, said(refused)]).toEqual(['refuse', expect.stringContaining('signature.unverified')])
    await attach(bytes, key)
    expect((await by('vouchsafeDigestOnly')).kind).toBe('accept')
    expect(said(await by('matchRepository'))).toContain('no name')
  })

  test('H03 a statement of another kind is no signature, though key and digest are right', async () => {
    const { client, name, digest, reference, subject, decide } = await published()
    const key = newKey()
    const text = new TextDecoder()
      .decode(signStatement({ digest, dockerReference: reference }))
      .replace(PREDICATES.sign, PREDICATES.spdx)
    await attachBundle(client, name, subject, signBundle(new TextEncoder().encode(text), key), PREDICATES.sign, at)
    const by = [{ type: 'sigstoreSigned', keyData: keyData(key), signedIdentity: { type: 'vouchsafeDigestOnly' } }]
    expect(said(await decide(by))).toContain('is no signature of an image')
  })
})

describe('private keys', () => {
  test('a file of OpenSSL that begins with EC PARAMETERS is told what to do', () => {
    const file =
      '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n-----BEGIN EC PRIVATE KEY-----\n'
    expect(() => parseSigningKey(file)).toThrow(
      expect.objectContaining({ code: 'key.malformed', message: expect.stringContaining('take EC PARAMETERS out') }),
    )
  })

  test('a fresh pair opens with its passphrase only', () => {
    const { privatePem, publicPem } = generateSigningKey('open sesame')
    const key = parseSigningKey(privatePem, { passphrase: 'open sesame' })
    expect(key.public.key.export({ format: 'pem', type: 'spki' })).toBe(publicPem)
    const refused = expect.objectContaining({ code: 'key.passphrase' })
    expect(() => parseSigningKey(privatePem, { passphrase: 'open' })).toThrow(refused)
    expect(() => parseSigningKey(privatePem)).toThrow(refused)
    expect(() => parseSigningKey(publicPem)).toThrow(expect.objectContaining({ code: 'key.malformed' }))
  })

  test.skipIf(missingVectors())(
    'recorded keys of cosign and sigstore-rs open with the passphrases that are stated',
    () => {
      const keys = 'guest/sigstore-rs/keys'
      const stated: readonly (readonly [string, string | undefined, string])[] = [
        [`${keys}/ecdsa_encrypted_private.key`, '123', 'ECDSA_P256_SHA256'],
        [`${keys}/ed25519_encrypted_private.key`, '123', 'ED25519'],
        [`${keys}/rsa_encrypted_private.key`, '123', 'RSASSA_PKCS1V15_SHA256'],
        [`${keys}/cosign_generated_encrypted_empty_private.key`, '', 'ECDSA_P256_SHA256'],
        [`${keys}/ecdsa_private.key`, undefined, 'ECDSA_P256_SHA256'],
        [`${keys}/ed25519_private.key`, undefined, 'ED25519'],
        [`${keys}/rsa_private.key`, undefined, 'RSASSA_PKCS1V15_SHA256'],
        ['guest/guest-components/image-rs/test_data/signature/cosign/cosign2.key', '', 'ECDSA_P256_SHA256'],
      ]
      for (const [file, passphrase, algorithm] of stated)
        expect(parseSigningKey(readVectorText(file), passphrase === undefined ? {} : { passphrase }).algorithm).toBe(
          algorithm,
        )
      const cosign2 = 'guest/guest-components/image-rs/test_data/signature/cosign/cosign2'
      expect(
        parseSigningKey(readVectorText(`${cosign2}.key`), { passphrase: '' }).public.key.export({
          format: 'pem',
          type: 'spki',
        }),
      ).toBe(readVectorText(`${cosign2}.pub`).trimEnd() + '\n')
    },
  )
})

test('GU-10 a simple signature is read back by its own key ring, and only in its time', async () => {
  const { privateKey, publicKey } = await openpgp.generateKey({
    userIDs: [{ name: 'Owner', email: 'owner@clinic.example' }],
    format: 'armored',
    passphrase: 'word',
    date: new Date('2026-01-01T00:00:00Z'),
    keyExpirationTime: 400 * 86_400,
  })
  const what = { digest: other, dockerReference: 'r.example/a:1', annotations: { ward: 'north' } }
  const bytes = new TextEncoder().encode(privateKey)
  await expect(signSimple(what, bytes, { at })).rejects.toMatchObject({ code: 'key.passphrase' })
  await expect(signSimple(what, bytes, { at, passphrase: 'no' })).rejects.toMatchObject({ code: 'key.passphrase' })
  const signature = await signSimple(what, bytes, { at, passphrase: 'word' })
  const rings = [await parseKeyRing(new TextEncoder().encode(publicKey), 'ring')]
  const { payload, signer } = await verifySimpleSignature(signature, { rings, at })
  expect(payload).toEqual({
    kind: 'simple',
    manifestDigest: other,
    dockerReference: 'r.example/a:1',
    optional: { creator: 'vouchsafe', timestamp: at.getTime() / 1000, ward: 'north' },
  })
  expect(signer.fingerprint).toMatch(/^[0-9A-F]{40}$/)
  for (const moment of ['2026-10-31T00:00:00Z', '2027-06-01T00:00:00Z'])
    await expect(verifySimpleSignature(signature, { rings, at: new Date(moment) })).rejects.toMatchObject({
      code: 'signature.unverified',
    })
})

test('a key that has expired signs nothing, and no annotation takes the place of what the format says itself', async () => {
  const { privateKey } = await openpgp.generateKey({
    userIDs: [{ email: 'owner@clinic.example' }],
    format: 'armored',
    date: new Date('2025-01-01T00:00:00Z'),
    keyExpirationTime: 86_400,
  })
  const bytes = new TextEncoder().encode(privateKey)
  const what = { digest: other, dockerReference: 'r.example/a:1' }
  await expect(signSimple(what, bytes, { at })).rejects.toMatchObject({
    code: 'key.unsupported',
    message: expect.stringContaining('expired'),
  })
  await expect(signSimple({ ...what, annotations: { timestamp: 'now' } }, bytes, { at })).rejects.toMatchObject({
    code: 'build.input',
  })
})

test('H10 a simple signature that unpacks to more than any signature holds is refused before it is unpacked', async () => {
  const { publicKey } = await openpgp.generateKey({ userIDs: [{ email: 'owner@clinic.example' }], format: 'binary' })
  // a compressed packet (8) of the ZIP kind (1), and in it a literal packet (11) of 64 MiB
  const packet = (tag: number, body: Uint8Array) => {
    const head = Buffer.of(0xc0 | tag, 0xff, 0, 0, 0, 0)
    head.writeUInt32BE(body.length, 2)
    return Buffer.concat([head, body])
  }
  const literal = packet(11, Buffer.concat([Buffer.from('b\0\0\0\0\0'), Buffer.alloc(64 * 1024 * 1024)]))
  const message = new Uint8Array(packet(8, Buffer.concat([Buffer.of(1), deflateRawSync(literal)])))
  expect(message.length).toBeLessThan(100_000)
  const rings = [await parseKeyRing(publicKey, 'ring')]
  await expect(verifySimpleSignature({ kind: 'simple', place: 'x', message }, { rings, at })).rejects.toMatchObject({
    code: 'signature.malformed',
    message: expect.stringContaining('Maximum decompressed'),
  })
})

test('a signature that another tool put there already is found under that tool’s own manifest', async () => {
  const { server, client, name, digest, reference } = await published()
  const key = newKey('rsa')
  const signature = signCosign(cosignPayload({ digest, dockerReference: reference }), key)
  const ours = await attachCosign(client, name, digest, signature)
  const { bytes } = server.manifests.get(`${name.path}:${ours}`)!
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const document = JSON.parse(Buffer.from(bytes).toString()) as object
  const theirs = utf8(JSON.stringify({ ...document, annotations: { by: 'cosign' } }, null, 2))
  await putManifest(client.endpoint(name), { bytes: theirs, mediaType }, { tag: signatureTag(digest) })
  expect(await attachCosign(client, name, digest, signature)).toBe(digestOf(theirs))
})

test('H03 a referrer that the registry lists, and that refers to another image, does not count', async () => {
  const { server, client, name, digest, reference, subject, decide } = await published({ referrersApi: true })
  const key = newKey()
  const elsewhere = { ...subject, digest: other }
  const bundle = signBundle(signStatement({ digest, dockerReference: reference }), key)
  const stored = await attachBundle(client, name, elsewhere, bundle, PREDICATES.sign, at)
  const entry = {
    mediaType: subject.mediaType,
    digest: stored,
    size: server.manifests.get(`${name.path}:${stored}`)!.bytes.length,
  }
  server.lie = (seen, response) => {
    if (!seen.path.endsWith(`/referrers/${digest}`)) return undefined
    response.writeHead(200, { 'content-type': 'application/vnd.oci.image.index.v1+json' })
    response.end(JSON.stringify({ schemaVersion: 2, manifests: [entry] }))
    return true
  }
  const by = [{ type: 'sigstoreSigned', keyData: keyData(key), signedIdentity: byRepository }]
  expect(said(await decide(by))).toContain(`refers to ${other}`)
})

test('a referrer that is listed and gone, as registries that clean up leave it, does not hide a good one', async () => {
  const { server, client, name, digest, reference, subject, decide } = await published({ referrersApi: false })
  const [key, former] = [newKey(), newKey()]
  const bundle = (by: SigningKey) => signBundle(signStatement({ digest, dockerReference: reference }), by)
  const gone = await attachBundle(client, name, subject, bundle(former), PREDICATES.sign, at)
  server.manifests.delete(`${name.path}:${gone}`)
  const by = (who: SigningKey) => [{ type: 'sigstoreSigned', keyData: keyData(who), signedIdentity: byRepository }]
  expect(said(await decide(by(former)))).toContain('registry.not-found')
  await attachBundle(client, name, subject, bundle(key), PREDICATES.sign, at)
  expect(await decide(by(key))).toMatchObject({ kind: 'accept' })
  expect(await decide(by(former))).toMatchObject({ kind: 'refuse' })
})

/** A bundle as `cosign sign-blob` makes it, made without the product's writers. */
function messageBundle(signed: Uint8Array, key: SigningKey, claimed: Uint8Array): Uint8Array {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
  const digest = createHash('sha256').update(claimed).digest()
  return utf8(
    JSON.stringify({
      mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
      verificationMaterial: { publicKey: { hint: '' } },
      messageSignature: {
        messageDigest: { algorithm: 'SHA2_256', digest: base64(digest) },
        signature: base64(key.sign(signed)),
      },
    }),
  )
}
