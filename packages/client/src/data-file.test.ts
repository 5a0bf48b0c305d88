import { Secret, utf8 } from '@vouchsafe/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { dataRecipient, decryptDataFile, encryptDataFile, generateDataKey } from './data-file.ts'

const streamOf = (bytes: Uint8Array) => new Blob([new Uint8Array(bytes)]).stream() as ReadableStream<Uint8Array>
const bytesOf = async (stream: ReadableStream<Uint8Array>) =>
  new Uint8Array(await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer())

async function encrypted(plain: Uint8Array, key: Secret): Promise<Uint8Array> {
  return bytesOf(await encryptDataFile(streamOf(plain), await dataRecipient(key)))
}
async function decrypted(file: Uint8Array, key: Secret): Promise<Uint8Array> {
  return bytesOf(await decryptDataFile(streamOf(file), key))
}

const key = await generateDataKey()
// three chunks of 64 KiB, the last of them short
const plain = Uint8Array.from({ length: 150_000 }, (_, i) => i & 0xff)

test.each([0, 1, 65_535, 65_536, 65_537, 150_000])('opens what it encrypted, %i bytes', async (length) => {
  expect(await decrypted(await encrypted(plain.subarray(0, length), key), key)).toEqual(plain.subarray(0, length))
})

test('is an age file with one X25519 recipient, so that stock age opens it', async () => {
  const lines = Buffer.from(await encrypted(plain, key))
    .toString('latin1')
    .split('\n')
  expect(lines[0]).toBe('age-encryption.org/v1')
  expect(lines[1]).toMatch(/^-> X25519 [A-Za-z0-9+/]{43}$/)
  expect(lines[3]).toMatch(/^--- /)
})

test('takes a key as the age command writes it', async () => {
  const text = Buffer.from(key.expose()).toString('latin1')
  expect(text).toMatch(/^AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}$/)
  expect(await dataRecipient(key)).toMatch(/^age1[02-9ac-hj-np-z]{58}$/)
})

describe('does not open', () => {
  test('with another key', async () => {
    const file = await encrypted(plain, key)
    await expect(decryptDataFile(streamOf(file), await generateDataKey())).rejects.toMatchObject({
      code: 'input.malformed',
    })
  })

  test('when it is cut off, wherever that is', async () => {
    const file = await encrypted(plain, key)
    for (const end of [file.length - 1, file.length - 100, file.length - 18_928 - 16, 200 + 65_552, 300, 10, 0])
      await expect(decrypted(file.subarray(0, end), key), `cut at ${end}`).rejects.toThrow()
  })

  test('when any byte of it is another', async () => {
    const short = await encrypted(utf8('id,age\n1,40\n'), key)
    await fc.assert(
      fc.asyncProperty(fc.nat(short.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const changed = short.with(at, (short[at] ?? 0) ^ flip)
        await expect(decrypted(changed, key)).rejects.toThrow()
      }),
      { numRuns: 60, seed: 7 },
    )
  })

  test('when chunks change places, or something follows', async () => {
    const file = await encrypted(plain, key)
    const body = file.length - (150_000 + 3 * 16) // header and nonce
    const chunk = 65_536 + 16
    const swapped = Buffer.concat([
      file.subarray(0, body),
      file.subarray(body + chunk, body + 2 * chunk),
      file.subarray(body, body + chunk),
      file.subarray(body + 2 * chunk),
    ])
    await expect(decrypted(swapped, key)).rejects.toThrow()
    await expect(decrypted(Buffer.concat([file, Uint8Array.of(0)]), key)).rejects.toThrow()
  })

  test.each(['', 'password', 'AGE-SECRET-KEY-1QQQ', 'age1qqqq'])('with %j, which is no data key', async (text) => {
    const file = await encrypted(plain.subarray(0, 10), key)
    await expect(decryptDataFile(streamOf(file), new Secret(utf8(text)))).rejects.toMatchObject({
      code: 'input.malformed',
      message: expect.not.stringContaining(text === '' ? 'canary' : text),
    })
  })
})
