import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { lstatSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { ImageError } from '../errors.ts'
import { blobPath } from '../layout/layout.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { MEDIA } from '../oci/media-types.ts'
import { rawTar } from '../testing/archive.ts'
import type { RawLayer } from '../testing/image.ts'
import { fresh, image, openStore, request } from '../testing/pull.ts'
import { file } from '../testing/unpack.ts'
import type { LayerDecryptor } from '../unpack/open-layer.ts'
import { HARDENED } from '../unpack/profile.ts'
import { unpackImage } from '../unpack/unpack-image.ts'
import { pullToDirectory, pullToStore } from './pull-image.ts'

describe('encrypted layers', () => {
  /** A stand-in for a key holder: AES-256-CTR with a MAC that is checked at the end, as ocicrypt does it. */
  function encrypted(tar: Buffer, key = randomBytes(32)): RawLayer & { key: Buffer } {
    const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
    return {
      tar,
      blob: Buffer.concat([cipher.update(tar), cipher.final()]),
      mediaType: `${MEDIA.layer}+encrypted`,
      key,
    }
  }
  const holder = (
    keys: ReadonlyMap<Digest, { key: Buffer; plain: Buffer }>,
    opened: Digest[] = [],
  ): LayerDecryptor => ({
    async open(layer) {
      const held = keys.get(layer.digest)
      if (held === undefined) throw new ImageError('encryption.no-key', `no key for ${layer.digest}`)
      opened.push(layer.digest)
      return {
        plainDigest: digestOf(held.plain),
        plainSize: layer.size,
        keyThumbprint: createHash('sha256').update(held.key).digest('hex'),
        async *decrypt(ciphertext) {
          const decipher = createDecipheriv('aes-256-ctr', held.key, Buffer.alloc(16))
          for await (const chunk of ciphertext) yield decipher.update(chunk)
        },
      }
    },
  })
  async function secret() {
    const tar = rawTar([file('secret', 'plain text')])
    const layer = encrypted(tar)
    const made = await image([layer])
    return { ...made, keys: new Map([[made.layerDigests[0]!, { key: layer.key, plain: tar }]]), tar }
  }

  test('are decrypted on the way to disk', async () => {
    const { source, digest, keys } = await secret()
    const target = fresh()
    await pullToDirectory(target, request(source, digest, { decryptor: holder(keys) }))
    expect(readFileSync(path.join(target, 'secret'), 'utf8')).toBe('plain text')
    const { lowerDirs } = await pullToStore(openStore(), HARDENED, request(source, digest, { decryptor: holder(keys) }))
    expect(readFileSync(path.join(lowerDirs[0]!, 'secret'), 'utf8')).toBe('plain text')
  })

  test('H11 whose plain bytes are not those promised are not published', async () => {
    const { source, digest, keys, layerDigests } = await secret()
    const wrong = new Map([[layerDigests[0]!, { ...keys.get(layerDigests[0]!)!, key: randomBytes(32) }]])
    const target = fresh()
    await expect(pullToDirectory(target, request(source, digest, { decryptor: holder(wrong) }))).rejects.toMatchObject({
      code: 'encryption.mismatch',
      message: expect.stringContaining('decrypted'),
    })
    expect(lstatSync(target, { throwIfNoEntry: false })).toBeUndefined()
  })

  test('H11 a ciphertext changed on the way is found before the plain bytes count', async () => {
    const { source, digest, keys, directory, layerDigests } = await secret()
    const blob = blobPath(directory, layerDigests[0]!)
    writeFileSync(blob, readFileSync(blob).fill(0, 600, 601))
    await expect(pullToDirectory(fresh(), request(source, digest, { decryptor: holder(keys) }))).rejects.toMatchObject({
      code: 'digest.mismatch',
    })
  })

  test('H11 a plain layer is refused where all must be encrypted', async () => {
    const { source, digest } = await image([[file('plain')]])
    await expect(
      pullToStore(openStore(), HARDENED, request(source, digest, { requireEncrypted: true })),
    ).rejects.toMatchObject({ code: 'encryption.required' })
    await expect(unpackImage(source, digest, fresh(), { requireEncrypted: true })).rejects.toMatchObject({
      code: 'encryption.required',
    })
  })

  test('GU-16 the key is asked for again when the layer is stored, and who has none gets nothing', async () => {
    const { source, digest, keys } = await secret()
    const store = openStore()
    const opened: Digest[] = []
    await pullToStore(store, HARDENED, request(source, digest, { decryptor: holder(keys, opened) }))
    const again = await pullToStore(store, HARDENED, request(source, digest, { decryptor: holder(keys, opened) }))
    expect(again.reusedLayers).toBe(1)
    expect(opened).toHaveLength(2)
    await expect(
      pullToStore(store, HARDENED, request(source, digest, { decryptor: holder(new Map()) })),
    ).rejects.toMatchObject({ code: 'encryption.no-key' })
    await expect(pullToStore(store, HARDENED, request(source, digest))).rejects.toMatchObject({
      code: 'encryption.no-key',
    })
  })

  test('GU-16 an image that only names the diffID of a stored secret layer is not served its files', async () => {
    const { source, digest, keys, tar } = await secret()
    const store = openStore()
    await pullToStore(store, HARDENED, request(source, digest, { decryptor: holder(keys) }))
    const diffId = digestOf(tar)
    const plainThief = await image([{ tar: rawTar([file('x')]), diffId }])
    await expect(pullToStore(store, HARDENED, request(plainThief.source, plainThief.digest))).rejects.toMatchObject({
      code: 'digest.mismatch',
    })
    // encrypted under a key of the thief's own, with the secret's digest promised
    const own = encrypted(rawTar([file('x')]))
    const thief = await image([{ ...own, diffId }])
    const ownKeys = new Map([[thief.layerDigests[0]!, { key: own.key, plain: tar }]])
    await expect(
      pullToStore(store, HARDENED, request(thief.source, thief.digest, { decryptor: holder(ownKeys) })),
    ).rejects.toMatchObject({ code: 'encryption.mismatch' })
  })
})
