import { expect, test } from 'vitest'
import fc from 'fast-check'
import { ImageError } from '../errors.ts'
import { assertContent, digestOf, parseDigest, verifiedWhileRead } from './digest.ts'

const hex64 = 'a'.repeat(64)

test.each([
  ['has upper-case hexadecimal', `sha256:${'A'.repeat(64)}`, 'digest.malformed'],
  ['is a digit short', `sha256:${'a'.repeat(63)}`, 'digest.malformed'],
  ['is a digit long', `sha256:${'a'.repeat(65)}`, 'digest.malformed'],
  ['has a length of another algorithm', `sha512:${hex64}`, 'digest.malformed'],
  ['climbs out of the blobs folder', 'sha256:../../../etc/passwd', 'digest.malformed'],
  ['has a line break at its end', `sha256:${hex64}\n`, 'digest.malformed'],
  ['has no algorithm', hex64, 'digest.malformed'],
  ['has an empty algorithm', `:${hex64}`, 'digest.malformed'],
  ['is not a string', 7, 'digest.malformed'],
  ['names an object member as algorithm', `constructor:${hex64}`, 'digest.unsupported'],
  ['names a weak algorithm', `md5:${'a'.repeat(32)}`, 'digest.unsupported'],
])('H06 refuses a digest that %s', (_why, text, code) => {
  expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code }))
})

test('reads sha256 and sha512 digests', () => {
  const bytes = new TextEncoder().encode('vouchsafe')
  for (const algorithm of ['sha256', 'sha512'] as const) {
    const digest = digestOf(bytes, algorithm)
    expect(parseDigest(digest)).toBe(digest)
    expect(() => assertContent(bytes, { digest, size: bytes.length }, 'blob')).not.toThrow()
  }
})

test('H06 content with one byte changed or another size is refused', () => {
  const bytes = new TextEncoder().encode('vouchsafe')
  const expected = { digest: digestOf(bytes), size: bytes.length }
  expect(() => assertContent(bytes.with(0, 0), expected, 'blob')).toThrow(
    expect.objectContaining({ code: 'digest.mismatch', message: expect.stringContaining('content is') }),
  )
  expect(() => assertContent(bytes, { ...expected, size: 8 }, 'blob')).toThrow(
    expect.objectContaining({ code: 'digest.mismatch', message: expect.stringContaining('the descriptor says 8') }),
  )
})

async function drain(parts: readonly Uint8Array[], expected: Parameters<typeof verifiedWhileRead>[1]) {
  async function* source() {
    yield* parts
  }
  let bytes = 0
  for await (const chunk of verifiedWhileRead(source(), expected, 'blob')) bytes += chunk.length
  return bytes
}

test('H06 a stream is refused when it is longer, shorter or other than promised', async () => {
  const bytes = new TextEncoder().encode('some layer bytes')
  const expected = { digest: digestOf(bytes), size: bytes.length }
  expect(await drain([bytes.subarray(0, 3), bytes.subarray(3)], expected)).toBe(bytes.length)
  await expect(drain([bytes, bytes], expected)).rejects.toMatchObject({
    code: 'digest.mismatch',
    message: expect.stringMatching(/longer/),
  })
  await expect(drain([bytes.subarray(1)], expected)).rejects.toMatchObject({
    code: 'digest.mismatch',
    message: expect.stringMatching(/15 bytes/),
  })
  await expect(drain([bytes.with(2, 0)], expected)).rejects.toMatchObject({
    code: 'digest.mismatch',
    message: expect.stringMatching(/content is/),
  })
})

test('any text either parses to itself or fails with our error', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^sha(256|512):[0-9a-fA-F]{60,130}$/)), (text) => {
      try {
        expect(parseDigest(text)).toBe(text)
      } catch (error) {
        expect(error).toBeInstanceOf(ImageError)
      }
    }),
    { seed: 1, numRuns: 500 },
  )
})
