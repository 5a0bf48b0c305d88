import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import zlib from 'node:zlib'
import { Secret, toBase64, utf8 } from '@vouchsafe/core'
import { makeCertificate } from '@vouchsafe/testkit'
import * as openpgp from 'openpgp'
import { describe, expect, test } from 'vitest'
import { blobPath, ImageLayout } from '../layout/layout.ts'
import { LayoutWriter } from '../layout/write-layout.ts'
import { resolveImage } from '../oci/chain.ts'
import { type Descriptor, descriptorJson } from '../oci/descriptor.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { MEDIA } from '../oci/media-types.ts'
import { rawTar } from '../testing/archive.ts'
import { inSameMemory, type RawLayer, scratchSpace, writeRawImage } from '../testing/image.ts'
import { file } from '../testing/unpack.ts'
import { unpackImage } from '../unpack/unpack-image.ts'
import { guestKeys, guestRecipient } from './coco-packet.ts'
import { decryptImage } from './decrypt-image.ts'
import { encryptImage } from './encrypt-image.ts'
import { layerDecryptor } from './layer-decryptor.ts'
import type { KeyHolder, Recipients } from './recipients.ts'
import { rehearseDecryption } from './rehearse.ts'
import { jweKeys, jweRecipients } from './schemes/jwe.ts'
import { pgpKeys, pgpRecipients } from './schemes/pgp.ts'
import { pkcs7Keys, pkcs7Recipients } from './schemes/pkcs7.ts'

const fresh = scratchSpace('encrypt')
const platform = { os: 'linux', architecture: 'amd64' }
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const kek = new Secret(randomBytes(32))
const jwe = () => [jweRecipients([{ key: ec.publicKey }])]
const ecKey = () => [jweKeys([{ key: ec.privateKey }])]

/** Three layers: plain tar, gzip, zstd; names tell which. */
function threeLayers(): readonly RawLayer[] {
  const tar = (name: string) => rawTar([file(name, `content of ${name}`)])
  return [
    { tar: tar('plain') },
    { tar: tar('gzip'), blob: zlib.gzipSync(tar('gzip')), mediaType: MEDIA.layerGzip },
    { tar: tar('zstd'), blob: zlib.zstdCompressSync(tar('zstd')), mediaType: MEDIA.layerZstd },
  ]
}

async function original(layers = threeLayers()) {
  const directory = fresh()
  const { digest } = writeRawImage(directory, layers)
  return { source: await ImageLayout.open(directory), digest, directory }
}

async function encrypted(recipients: readonly Recipients[], more: { layers?: readonly number[] } = {}) {
  const { source, digest } = await original()
  const directory = fresh()
  const made = await encryptImage(
    { source, digest, recipients, name: 'v1', ...more },
    await LayoutWriter.open(directory),
  )
  return { directory, source: await ImageLayout.open(directory), plainDigest: digest, plainSource: source, ...made }
}

function unpack(source: ImageLayout, digest: Digest, holders: readonly KeyHolder[], more: object = {}) {
  const target = fresh()
  return unpackImage(source, digest, target, { decryptor: layerDecryptor(holders), ...more }).then(() => target)
}

describe('an encrypted image', () => {
  const made = makeCertificate({ subject: 'owner', keyKind: 'RSA-2048' })
  const certificate = new X509Certificate(made.der)
  const schemes = async (): Promise<Record<string, { to: Recipients; by: KeyHolder }>> => {
    const pgp = await openpgp.generateKey({
      userIDs: [{ email: 'owner@example.org' }],
      type: 'ecc',
      curve: 'curve25519Legacy',
      format: 'object',
    })
    return {
      'JWE with RSA': { to: jweRecipients([{ key: rsa.publicKey }]), by: jweKeys([{ key: rsa.privateKey }]) },
      'JWE with EC': { to: jweRecipients([{ key: ec.publicKey }]), by: jweKeys([{ key: ec.privateKey }]) },
      'PKCS#7': { to: pkcs7Recipients([certificate]), by: pkcs7Keys([{ certificate, key: made.key.privateKey }]) },
      PGP: { to: pgpRecipients([pgp.publicKey]), by: pgpKeys([pgp.privateKey]) },
      'a guest by A256GCM': {
        to: guestRecipient(kek, { resource: 'images/app/key' }),
        by: guestKeys(() => Promise.resolve(kek)),
      },
      'a guest by A256CTR': {
        to: guestRecipient(kek, { resource: 'images/app/key', wrapType: 'A256CTR' }),
        by: guestKeys(() => Promise.resolve(kek)),
      },
    }
  }

  test('GU-11 GU-12 GU-13 is opened by each recipient of each scheme alone, in all forms of compression', async () => {
    const all = await schemes()
    const { source, digest, layers } = await encrypted(Object.values(all).map(({ to }) => to))
    expect(layers.map(({ outcome }) => outcome)).toEqual(['encrypted', 'encrypted', 'encrypted'])
    for (const [name, { by }] of Object.entries(all)) {
      const target = await unpack(source, digest, [by], { requireEncrypted: true })
      for (const entry of ['plain', 'gzip', 'zstd'])
        expect(readFileSync(path.join(target, entry), 'utf8'), name).toBe(`content of ${entry}`)
    }
  })

  test('keeps names, configuration and sizes, and shows nothing of the layers', async () => {
    const { source, digest, plainSource, plainDigest, directory } = await encrypted(jwe())
    const [before, after] = [
      await resolveImage(plainSource, plainDigest, { platform }),
      await resolveImage(source, digest, { platform }),
    ]
    expect(after.configDigest).toBe(before.configDigest)
    expect(after.layers.map(({ descriptor }) => descriptor.size)).toEqual(
      before.layers.map(({ descriptor }) => descriptor.size),
    )
    expect(after.layers.map(({ descriptor }) => descriptor.mediaType)).toEqual([
      'application/vnd.oci.image.layer.v1.tar+encrypted',
      'application/vnd.oci.image.layer.v1.tar+gzip+encrypted',
      'application/vnd.oci.image.layer.v1.tar+zstd+encrypted',
    ])
    const blobs = path.join(directory, 'blobs/sha256')
    for (const blob of readdirSync(blobs))
      expect(readFileSync(path.join(blobs, blob)).includes('content of'), blob).toBe(false)
  })

  test('GU-11 decrypts to the image that it was', async () => {
    const { source, digest, plainDigest, plainSource } = await encrypted(jwe())
    const out = fresh()
    const back = await decryptImage({ source, digest, holders: ecKey() }, await LayoutWriter.open(out))
    const [was, is] = [
      await resolveImage(plainSource, plainDigest, { platform }),
      await resolveImage(await ImageLayout.open(out), back.digest, { platform }),
    ]
    expect(is.layers).toEqual(was.layers)
    expect(is.configDigest).toBe(was.configDigest)
  })

  test('comes about, and is read, from memory that the next bytes take', async () => {
    const { source, digest } = await original()
    const directory = fresh()
    const transient: string[] = []
    const from = (inner: ImageLayout) => inSameMemory(inner, (blob) => transient.push(blob))
    const sealed = await encryptImage(
      { source: from(source), digest, recipients: jwe() },
      await LayoutWriter.open(directory),
    )
    const stored = await ImageLayout.open(directory)
    const decrypted = await decryptImage(
      { source: from(stored), digest: sealed.digest, holders: ecKey() },
      await LayoutWriter.open(fresh()),
    )
    expect(decrypted.layers.map(({ after }) => after)).toEqual(sealed.layers.map(({ before }) => before))
    const target = fresh()
    await unpackImage(from(stored), sealed.digest, target, { decryptor: layerDecryptor(ecKey()) })
    for (const entry of ['plain', 'gzip', 'zstd'])
      expect(readFileSync(path.join(target, entry), 'utf8')).toBe(`content of ${entry}`)
    const [plain, encrypted] = [sealed.layers.map(({ before }) => before), sealed.layers.map(({ after }) => after)]
    expect(transient).toEqual([...plain, ...encrypted, ...encrypted])
  })

  test('GU-13 GU-36 may have chosen layers encrypted and the others plain', async () => {
    const { source, digest, layers } = await encrypted(jwe(), { layers: [-1, 0] })
    expect(layers.map(({ outcome }) => outcome)).toEqual(['encrypted', 'plain', 'encrypted'])
    await unpack(source, digest, ecKey())
    await expect(unpack(source, digest, ecKey(), { requireEncrypted: true })).rejects.toMatchObject({
      code: 'encryption.required',
    })
  })

  test('H11 GU-13 a chosen layer that stands at another position too is plain at none', async () => {
    const [a, b] = threeLayers() as [RawLayer, RawLayer]
    const { source, digest } = await original([a, b, a])
    const directory = fresh()
    const made = await encryptImage(
      { source, digest, recipients: jwe(), layers: [-1] },
      await LayoutWriter.open(directory),
    )
    const { layers } = await resolveImage(await ImageLayout.open(directory), made.digest, { platform })
    expect(layers.map(({ form }) => form.encrypted)).toEqual([true, false, true])
  })

  test('GU-13 with layers for others stays openable: those are kept, told as encrypted, and rehearsed', async () => {
    const first = await encrypted(jwe(), { layers: [1] })
    const { source, digest } = first
    const guests = [guestRecipient(kek, { resource: 'a/b/key' })]
    const directory = fresh()
    const writer = await LayoutWriter.open(directory)
    await expect(encryptImage({ source, digest, recipients: guests, layers: [0] }, writer)).rejects.toMatchObject({
      code: 'encryption.no-key',
    })
    const made = await encryptImage({ source, digest, recipients: guests, layers: [0], holders: ecKey() }, writer)
    expect(made.layers.map(({ outcome }) => outcome)).toEqual(['encrypted', 'kept', 'plain'])
    expect(await rehearseDecryption(await ImageLayout.open(directory), made.digest, made.decryptor)).toMatchObject([
      { layers: 3, encryptedLayers: 2 },
    ])
  })

  test('GU-13 opens by the right key, though another one makes noise of a packet without a tag', async () => {
    const made = await encrypted([guestRecipient(kek, { resource: 'a/b/key' })])
    const noise: KeyHolder = {
      scheme: 'provider.attestation-agent',
      unwrap: () => Promise.resolve(utf8('{ noise')),
    }
    const right = guestKeys(() => Promise.resolve(kek))
    expect(existsSync(await unpack(made.source, made.digest, [noise, right]))).toBe(true)
    await expect(unpack(made.source, made.digest, [noise])).rejects.toMatchObject({ code: 'encryption.malformed' })
  })

  test('GU-13 gets further recipients without the first ones losing theirs', async () => {
    const first = await encrypted(jwe())
    const out = fresh()
    const more = await encryptImage(
      {
        source: first.source,
        digest: first.digest,
        recipients: [jweRecipients([{ key: rsa.publicKey }]), guestRecipient(kek, { resource: 'a/b/c' })],
        holders: ecKey(),
      },
      await LayoutWriter.open(out),
    )
    expect(more.layers.map(({ outcome, before, after }) => [outcome, before === after])).toEqual(
      [0, 1, 2].map(() => ['extended', true]),
    )
    const source = await ImageLayout.open(out)
    for (const holder of [...ecKey(), jweKeys([{ key: rsa.privateKey }]), guestKeys(() => Promise.resolve(kek))])
      await unpack(source, more.digest, [holder])
  })

  test('is not made for nobody, nor of layers that are not there', async () => {
    const refused = { code: 'encryption.recipient' }
    await expect(encrypted([])).rejects.toMatchObject(refused)
    await expect(encrypted(jwe(), { layers: [3] })).rejects.toMatchObject(refused)
    await expect(encrypted(jwe(), { layers: [] })).rejects.toMatchObject(refused)
    const small = generateKeyPairSync('rsa', { modulusLength: 1024 })
    expect(() => jweRecipients([{ key: small.publicKey }])).toThrow(expect.objectContaining(refused))
    expect(() => jweRecipients([{ key: generateKeyPairSync('ed25519').publicKey }])).toThrow(
      expect.objectContaining(refused),
    )
    expect(() => jweRecipients([{ key: ec.publicKey, algorithm: 'RSA-OAEP' }])).toThrow(
      expect.objectContaining(refused),
    )
    const elsewhere = generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
    expect(() => jweRecipients([{ key: elsewhere.publicKey }])).toThrow(
      expect.objectContaining({ ...refused, message: expect.stringContaining('secp256k1') }),
    )
  })
})

describe('H11 an encrypted image that was tampered with', () => {
  /** The image again, with another manifest: whoever keeps the registry can do all of this. */
  async function tampered(change: (layers: Descriptor[], blobs: Uint8Array[]) => void) {
    const image = await encrypted(jwe())
    const { manifest } = await resolveImage(image.source, image.digest, { platform })
    const layers = manifest.layers.map((layer) => ({ ...layer, annotations: new Map(layer.annotations) }))
    const blobs = layers.map(({ digest }) => new Uint8Array(readFileSync(blobPath(image.directory, digest))))
    change(layers, blobs)
    const writer = await LayoutWriter.open(image.directory)
    const contents: Descriptor[] = []
    for (const [i, layer] of layers.entries())
      contents.push({ ...layer, ...(await writer.putBytes(blobs[i] ?? new Uint8Array())) })
    const document = {
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      config: descriptorJson(manifest.config),
      layers: contents.map(descriptorJson),
    }
    const bytes = utf8(JSON.stringify(document))
    const content = await writer.putBytes(bytes)
    return { source: await ImageLayout.open(image.directory), digest: content.digest, directory: image.directory }
  }
  const annotation = (name: string) => `org.opencontainers.image.enc.${name}`
  const swap = (layers: Descriptor[], name: string) => {
    const [a, b] = [layers[0]?.annotations as Map<string, string>, layers[1]?.annotations as Map<string, string>]
    const [one, two] = [a.get(annotation(name)) ?? '', b.get(annotation(name)) ?? '']
    a.set(annotation(name), two)
    b.set(annotation(name), one)
  }
  const publicOptions = (layers: Descriptor[], value: object) =>
    (layers[0]!.annotations as Map<string, string>).set(annotation('pubopts'), toBase64(utf8(JSON.stringify(value))))
  const good = { cipher: 'AES_256_CTR_HMAC_SHA256', hmac: toBase64(randomBytes(32)), cipheroptions: {} }

  const ATTACKS: readonly (readonly [string, string, (layers: Descriptor[], blobs: Uint8Array[]) => void])[] = [
    ['a flipped byte', 'encryption.authentication', (_, blobs) => void (blobs[0]![5]! ^= 1)],
    ['a flipped last byte', 'encryption.authentication', (_, blobs) => void (blobs[0]![blobs[0]!.length - 1]! ^= 1)],
    ['its end cut off', 'encryption.authentication', (_, blobs) => void (blobs[0] = blobs[0]!.subarray(0, -1))],
    ['nothing but its start', 'encryption.authentication', (_, blobs) => void (blobs[0] = new Uint8Array())],
    [
      'plain bytes under the encrypted name',
      'encryption.authentication',
      (_, blobs) => void (blobs[0] = new Uint8Array(rawTar([file('evil')]))),
    ],
    ['public options of another layer', 'encryption.authentication', (layers) => swap(layers, 'pubopts')],
    ['keys of another layer', 'encryption.authentication', (layers) => swap(layers, 'keys.jwe')],
    [
      'all annotations of another layer',
      'encryption.authentication',
      (layers) => {
        swap(layers, 'keys.jwe')
        swap(layers, 'pubopts')
      },
    ],
    ['another HMAC', 'encryption.authentication', (layers) => void publicOptions(layers, good)],
    ['no HMAC', 'encryption.malformed', (layers) => void publicOptions(layers, { ...good, hmac: undefined })],
    ['a short HMAC', 'encryption.malformed', (layers) => void publicOptions(layers, { ...good, hmac: 'AAAA' })],
    [
      'a nonce of the attacker',
      'encryption.public-nonce',
      (layers) => void publicOptions(layers, { ...good, cipheroptions: { nonce: toBase64(randomBytes(16)) } }),
    ],
    ['another cipher', 'encryption.cipher', (layers) => void publicOptions(layers, { ...good, cipher: 'NULL' })],
    ['no cipher', 'encryption.cipher', (layers) => void publicOptions(layers, { ...good, cipher: undefined })],
    [
      'no public options',
      'encryption.downgrade',
      (layers) => void (layers[0]!.annotations as Map<string, string>).delete(annotation('pubopts')),
    ],
    [
      'no recipients',
      'encryption.downgrade',
      (layers) => void (layers[0]!.annotations as Map<string, string>).delete(annotation('keys.jwe')),
    ],
    [
      'a plain media type',
      'encryption.downgrade',
      (layers) => void (layers[0] = { ...layers[0]!, mediaType: MEDIA.layer }),
    ],
    [
      'a garbled packet',
      'encryption.malformed',
      (layers) => void (layers[0]!.annotations as Map<string, string>).set(annotation('keys.jwe'), 'e30='),
    ],
    [
      'a packet that is not base64',
      'encryption.malformed',
      (layers) => void (layers[0]!.annotations as Map<string, string>).set(annotation('keys.jwe'), '{}'),
    ],
  ]
  test.each(ATTACKS)('%s is refused with %s, and nothing of it stays', async (_what, code, change) => {
    const { source, digest } = await tampered(change)
    const target = fresh()
    await expect(unpackImage(source, digest, target, { decryptor: layerDecryptor(ecKey()) })).rejects.toMatchObject({
      code,
    })
    expect(existsSync(target)).toBe(false)
    expect(readdirSync(path.dirname(target)).filter((name) => name.includes('staging'))).toEqual([])
  })

  test.each(ATTACKS)('%s is refused with %s in a layout, which gets no plain blob', async (_what, code, change) => {
    const { source, digest } = await tampered(change)
    const out = fresh()
    const { manifest } = await resolveImage(source, digest, { platform })
    await expect(
      decryptImage({ source, digest, holders: ecKey() }, await LayoutWriter.open(out)),
    ).rejects.toMatchObject({ code })
    const written = readdirSync(path.join(out, 'blobs/sha256'))
    expect(written).toEqual([manifest.config.digest.slice(7)].filter((hex) => written.includes(hex)))
    expect(readdirSync(path.join(out, '.staging'), { recursive: true })).toEqual([])
  })

  test('a layer that ends before its size is told as cut, whoever hashed it', async () => {
    const { source, digest } = await encrypted(jwe())
    const [layer] = (await resolveImage(source, digest, { platform })).layers
    const opened = await layerDecryptor(ecKey()).open(layer!.descriptor)
    async function* half() {
      for await (const chunk of source.openBlob(layer!.descriptor)) yield chunk.subarray(0, chunk.length / 2)
    }
    const read = async () => {
      for await (const _ of opened.decrypt(half()));
    }
    await expect(read()).rejects.toMatchObject({ code: 'encryption.truncated' })
  })

  test('two layers in each other’s place decrypt, and are refused by the configuration', async () => {
    const { source, digest } = await tampered((layers, blobs) => {
      layers.push(layers.shift()!)
      blobs.push(blobs.shift()!)
    })
    await expect(unpack(source, digest, ecKey())).rejects.toMatchObject({ code: 'digest.mismatch' })
  })

  /** Options that promise what they are told to, by the digest of the plain blob. */
  const promising = (other: (plain: string) => string): Recipients => ({
    scheme: 'jwe',
    wrap: (options) => {
      const told = JSON.parse(Buffer.from(options).toString()) as { digest: string }
      return jwe()[0]!.wrap(utf8(JSON.stringify({ ...told, digest: other(told.digest) })))
    },
  })

  const archives = new Map(
    threeLayers().map(({ blob, tar }) => [digestOf(blob ?? tar) as string, digestOf(tar) as string]),
  )

  test('GU-12 GU-13 layers that were compressed on the way, as podman and skopeo do, promise their archives, and are read', async () => {
    const { source, digest, plainDigest } = await encrypted([promising((blob) => archives.get(blob) ?? '')])
    expect(await unpack(source, digest, ecKey())).toBeDefined()
    const made = await decryptImage({ source, digest, holders: ecKey() }, await LayoutWriter.open(fresh()))
    expect(made.digest).toBe(plainDigest)
  })

  test('H11 a compressed layer whose promise is neither its blob nor its archive', async () => {
    const other = digestOf(utf8('something else'))
    const { source, digest } = await encrypted([promising((blob) => (archives.get(blob) === blob ? blob : other))])
    const mismatch = { code: 'encryption.mismatch' }
    await expect(unpack(source, digest, ecKey())).rejects.toMatchObject(mismatch)
    await expect(
      decryptImage({ source, digest, holders: ecKey() }, await LayoutWriter.open(fresh())),
    ).rejects.toMatchObject(mismatch)
  })

  test('other plain bytes than the private options promise, by a recipient who re-encrypted', async () => {
    const { source, digest } = await encrypted([promising(() => digestOf(utf8('something else')))])
    await expect(unpack(source, digest, ecKey())).rejects.toMatchObject({ code: 'encryption.mismatch' })
    await expect(
      decryptImage({ source, digest, holders: ecKey() }, await LayoutWriter.open(fresh())),
    ).rejects.toMatchObject({ code: 'encryption.mismatch' })
  })

  test('a key that is nobody’s', async () => {
    const { source, digest } = await encrypted(jwe())
    await expect(unpack(source, digest, [jweKeys([{ key: stranger.privateKey }])])).rejects.toMatchObject({
      code: 'encryption.wrong-key',
    })
    await expect(unpack(source, digest, [])).rejects.toMatchObject({ code: 'encryption.no-key' })
    // which keys would do, and for what those are that were given
    const guest = guestKeys(() => Promise.resolve(kek))
    await expect(unpack(source, digest, [guest])).rejects.toMatchObject({
      code: 'encryption.no-key',
      message: expect.stringMatching(/recipients by jwe, and the keys that were given are for provider/),
    })
  })
})
