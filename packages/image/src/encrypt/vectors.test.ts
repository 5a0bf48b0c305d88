import { X509Certificate } from 'node:crypto'
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { fromBase64, fromHex, Secret, toBase64, utf8 } from '@vouchsafe/core'
import { missingVectors, readVector, readVectorText, vectorsRoot } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { type Descriptor, parseDescriptor } from '../oci/descriptor.ts'
import { digestOf, verifiedWhileRead } from '../oci/digest.ts'
import { guestKeys, parseCocoPacket, resourceOfKid, unwrapUnderKek, wrapUnderKek } from './coco-packet.ts'
import { layerDecryptor, unwrapLayer } from './layer-decryptor.ts'
import { parsePrivateOptions, parsePublicOptions } from './options.ts'
import type { KeyHolder } from './recipients.ts'
import { jweKeys, jweRecipients } from './schemes/jwe.ts'
import { readPrivateKey, readPublicKey } from './schemes/key-file.ts'
import { pgpKeys, readPgpPrivateKeys, readPgpPublicKeys } from './schemes/pgp.ts'
import { pkcs7Keys } from './schemes/pkcs7.ts'

const GO = 'guest/generated/ocicrypt-go'
const RUST = 'guest/guest-components/ocicrypt-rs/data'
const SAMPLE_KEK = 'd99b7705b0ba7a168295b3a3367270b0dd9b371bf514ca8b9ba7f0a33711daea'

const privateKey = (name: string) => readPrivateKey(readVector(`${RUST}/${name}`), name)
const holders = {
  rsa: () => jweKeys([privateKey('private_key8.pem')]),
  ec: () => jweKeys([privateKey('private_key_ec.der')]),
  otherRsa: () => jweKeys([privateKey('certificate_key.pem')]),
  pkcs7: () =>
    pkcs7Keys([
      {
        certificate: new X509Certificate(readVector(`${RUST}/public_certificate.pem`)),
        key: privateKey('private_key8.pem').key,
      },
    ]),
  pgp: async () => pgpKeys(await readPgpPrivateKeys(readVector(`${GO}/pgp-private.asc`), 'pgp-private.asc')),
  sample: () => guestKeys(() => Promise.resolve(new Secret(fromHex(SAMPLE_KEK)))),
} satisfies Record<string, () => KeyHolder | Promise<KeyHolder>>

interface Case {
  readonly descriptor: Descriptor
  readonly ciphertext: Uint8Array
  readonly plain: Uint8Array
}

function readCase(name: string): Case {
  const { descriptor, plain_digest } = JSON.parse(readVectorText(`${GO}/${name}/descriptor.json`)) as {
    descriptor: unknown
    plain_digest: string
  }
  const parsed = parseDescriptor(descriptor, name)
  const plain = readVector(`${GO}/${parsed.mediaType.includes('gzip') ? 'layer.tar.gz' : 'layer.tar'}`)
  expect(digestOf(plain)).toBe(plain_digest)
  const folder = name === 'attack-pubopts-nonce' ? 'jwe-rsa-ec-multi' : name
  return { descriptor: parsed, ciphertext: readVector(`${GO}/${folder}/layer.enc`), plain }
}

async function open(layer: Descriptor, ciphertext: Uint8Array, keys: readonly KeyHolder[]): Promise<Buffer> {
  const opened = await layerDecryptor(keys).open(layer)
  const plain = verifiedWhileRead(
    opened.decrypt(each(ciphertext)),
    { digest: opened.plainDigest, size: opened.plainSize },
    'layer',
    'encryption.mismatch',
  )
  const parts: Uint8Array[] = []
  for await (const part of plain) parts.push(part)
  return Buffer.concat(parts)
}

async function* each(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks
}

describe.skipIf(missingVectors())('layers encrypted by ocicrypt in Go', () => {
  const GOOD: readonly (readonly [string, keyof typeof holders])[] = [
    ['jwe-rsa-single', 'rsa'],
    ['jwe-rsa-ec-multi', 'rsa'],
    ['jwe-rsa-ec-multi', 'ec'],
    ['pkcs7-rsa', 'pkcs7'],
    ['pgp-rsa', 'pgp'],
    ['keyprovider-coco-v1', 'sample'],
    ['mixed-jwe-keyprovider', 'rsa'],
    ['mixed-jwe-keyprovider', 'sample'],
  ]
  test.each(GOOD)('GU-12 %s is opened by %s, to the byte', async (name, holder) => {
    const { descriptor, ciphertext, plain } = readCase(name)
    expect(digestOf(ciphertext)).toBe(descriptor.digest)
    expect((await open(descriptor, ciphertext, [await holders[holder]()])).equals(plain)).toBe(true)
  })

  test('every recorded case is in this table', () => {
    const folders = readdirSync(path.join(vectorsRoot, GO), { withFileTypes: true }).filter((f) => f.isDirectory())
    const known = new Set([...GOOD.map(([name]) => name), 'attack-pubopts-nonce'])
    expect(folders.map(({ name }) => name).filter((name) => !known.has(name))).toEqual([])
    expect(folders).toHaveLength(known.size)
  })

  test('H11 a nonce in the public options, which Go takes, is refused', async () => {
    const { descriptor, ciphertext } = readCase('attack-pubopts-nonce')
    await expect(open(descriptor, ciphertext, [holders.rsa()])).rejects.toMatchObject({
      code: 'encryption.public-nonce',
    })
  })

  test.each(['jwe-rsa-single', 'pkcs7-rsa', 'pgp-rsa', 'keyprovider-coco-v1'] as const)(
    'H11 %s with any byte of ciphertext changed fails by its HMAC',
    async (name) => {
      const { descriptor, ciphertext } = readCase(name)
      const keys = await Promise.all(Object.values(holders).map(async (make) => make()))
      for (const at of [0, 100, ciphertext.length - 1]) {
        const changed = new Uint8Array(ciphertext)
        changed[at] = (changed[at] ?? 0) ^ 1
        await expect(open(descriptor, changed, keys)).rejects.toMatchObject({ code: 'encryption.authentication' })
      }
    },
  )

  test('a key that is not a recipient’s is told from no key of the scheme at all', async () => {
    const { descriptor } = readCase('jwe-rsa-single')
    await expect(unwrapLayer(descriptor, [holders.otherRsa()])).rejects.toMatchObject({ code: 'encryption.wrong-key' })
    await expect(unwrapLayer(descriptor, [holders.pkcs7()])).rejects.toMatchObject({ code: 'encryption.no-key' })
    await expect(unwrapLayer(descriptor, [])).rejects.toMatchObject({
      code: 'encryption.no-key',
      message: expect.stringContaining('jwe'),
    })
  })
})

describe.skipIf(missingVectors())('annotation packets of Confidential Containers', () => {
  test('GU-06 upstream’s sample packet opens with the sample key to options that Go made', () => {
    const packet = parseCocoPacket(readVector(`${RUST}/sample_kbc_annotation.json`))
    const opened = unwrapUnderKek(packet, new Secret(fromHex(SAMPLE_KEK)))
    const { sample_kbc_annotation_plaintext: wanted } = (
      JSON.parse(readVectorText('guest/inline/expectations.json')) as {
        guest_components: { sample_kbc_annotation_plaintext: { plaintext: string } }
      }
    ).guest_components
    expect(opened && Buffer.from(opened).toString()).toBe(wanted.plaintext)
    expect(parsePrivateOptions(opened ?? new Uint8Array(), 'sample').digest).toMatch(/^sha256:/)
  })

  test('GU-06 a packet of version 1 reads as version 2, and a kid with upstream’s odd prefix names its resource', () => {
    const packet = parseCocoPacket(
      readVector('guest/guest-components/confidential-data-hub/hub/src/image/test/v1.json'),
    )
    expect(packet.provider).toBe('kbs')
    expect(packet.kid).toBe('kbs:///kbs:///default/key/1')
    expect(resourceOfKid(packet.kid)).toBe('default/key/1')
  })

  test('GU-06 another key than the one that wrapped opens nothing', () => {
    const packet = parseCocoPacket(readVector(`${RUST}/sample_kbc_annotation.json`))
    expect(unwrapUnderKek(packet, new Secret(new Uint8Array(32)))).toBeUndefined()
  })
})

describe.skipIf(missingVectors())('further material of the vectors', () => {
  test('GU-06 the packet of upstream’s documentation reads, and the sample key does not open it', () => {
    const { readme_annotation: example } = (
      JSON.parse(readVectorText('guest/inline/expectations.json')) as {
        guest_components: { readme_annotation: Record<string, unknown> }
      }
    ).guest_components
    const { pubopts, note: _, ...packet } = example
    const parsed = parseCocoPacket(utf8(JSON.stringify(packet)))
    expect(resourceOfKid(parsed.kid)).toBe('default/key/key_id1')
    expect(unwrapUnderKek(parsed, new Secret(fromHex(SAMPLE_KEK)))).toBeUndefined()
    expect(parsePublicOptions(toBase64(utf8(JSON.stringify(pubopts))), 'pubopts').hmac).toHaveLength(32)
  })

  test('GU-14 every key of the offline key files has 32 bytes and wraps', () => {
    const text = readVectorText('guest/guest-components/image-rs/test_data/offline-fs-kbc/aa-offline_fs_kbc-keys.json')
    const keys = Object.entries(JSON.parse(text) as Record<string, string>)
    expect(keys.length).toBeGreaterThan(0)
    for (const [resource, key] of keys) {
      const kek = new Secret(fromBase64(key))
      const packet = parseCocoPacket(wrapUnderKek(utf8('{}'), kek, { resource }))
      expect(unwrapUnderKek(packet, kek), resource).toEqual(utf8('{}'))
    }
  })

  test('GU-12 the key pair for encrypted images wraps and opens', async () => {
    const read = (name: string) => readVector(`guest/guest-components/image-rs/test_data/${name}_key_for_tests.pem`)
    const [packet] = await jweRecipients([readPublicKey(read('public'), 'public')]).wrap(utf8('{}'))
    expect(await jweKeys([readPrivateKey(read('private'), 'private')]).unwrap(packet!)).toEqual(utf8('{}'))
  })
})

describe.skipIf(missingVectors())('keys of the vectors', () => {
  test.each([
    ['private_key.pem', 'rsa'],
    ['private_key.der', 'rsa'],
    ['private_key8.pem', 'rsa'],
    ['private_key8.der', 'rsa'],
    ['RSA_private.jwk', 'rsa'],
    ['private_key_ec.der', 'ec'],
  ])('GU-12 %s reads as a private key', (name, kind) => {
    expect(privateKey(name).key.asymmetricKeyType).toBe(kind)
  })

  test.each([
    ['public_key.pem', 'rsa'],
    ['public_certificate.pem', 'rsa'],
    ['RSA_public.jwk', 'rsa'],
    ['public_key_ec.der', 'ec'],
  ])('GU-12 %s reads as a public key', (name, kind) => {
    expect(readPublicKey(readVector(`${RUST}/${name}`), name).key.asymmetricKeyType).toBe(kind)
  })

  test('GU-12 a public ring reads, and what is no key is refused', async () => {
    expect(await readPgpPublicKeys(readVector(`${GO}/pgp-pubring.gpg`), 'ring')).toHaveLength(1)
    await expect(readPgpPublicKeys(utf8('no ring'), 'ring')).rejects.toMatchObject({ code: 'encryption.recipient' })
    expect(() => readPublicKey(readVector(`${RUST}/private_csr.csr`), 'csr')).toThrow(
      expect.objectContaining({ code: 'encryption.recipient' }),
    )
    expect(() => readPublicKey(readVector(`${RUST}/private_key8.pem`), 'private')).toThrow(
      expect.objectContaining({ code: 'encryption.recipient' }),
    )
  })
})
