import { createHash, type Hash } from 'node:crypto'
import type { Brand } from '@vouchsafe/core/base'
import { ImageError } from '../errors.ts'
import { type HashLane, startHash } from '../stream/hash-lane.ts'

/** `sha256:` or `sha512:` and lower-case hexadecimal of exactly that hash's length. Safe in a path and in a URL. */
export type Digest = Brand<string, 'Digest'>

const HEX_LENGTH = { sha256: 64, sha512: 128 } as const
export type DigestAlgorithm = keyof typeof HEX_LENGTH

/**
 * The only way from a string to a `Digest` (H06).
 *
 * @throws {ImageError} `digest.malformed`; `digest.unsupported` for a well-formed digest of another algorithm.
 * @source OCI image specification, descriptor: digests
 */
export function parseDigest(text: unknown, what = 'digest'): Digest {
  if (typeof text !== 'string') throw new ImageError('digest.malformed', `${what}: not a string`)
  const parts = /^([a-z0-9]+(?:[+._-][a-z0-9]+)*):([A-Za-z0-9=_-]+)$/.exec(text)
  const shown = JSON.stringify(text.slice(0, 160))
  if (parts === null) throw new ImageError('digest.malformed', `${what}: ${shown} is not algorithm:hex`)
  const [, algorithm = '', encoded = ''] = parts
  if (!Object.hasOwn(HEX_LENGTH, algorithm))
    throw new ImageError('digest.unsupported', `${what}: algorithm ${algorithm}; sha256 and sha512 are known`)
  const length = HEX_LENGTH[algorithm as DigestAlgorithm]
  if (encoded.length !== length || !/^[0-9a-f]+$/.test(encoded))
    throw new ImageError('digest.malformed', `${what}: ${shown} lacks ${length} lower-case hexadecimal digits`)
  return text as Digest
}

export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.slice(0, 6) as DigestAlgorithm
}

/** Lower case: 64 digits, or 128 of SHA-512. */
export function digestHex(digest: Digest): string {
  return digest.slice(7)
}

/** Of bytes at hand; of a stream, see `verifiedWhileRead`. */
export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` as Digest
}

/** A digest in the making. `size` counts what was hashed. */
export class Digester {
  readonly #hash: Hash
  readonly #algorithm: DigestAlgorithm
  size = 0

  constructor(algorithm: DigestAlgorithm = 'sha256') {
    this.#hash = createHash(algorithm)
    this.#algorithm = algorithm
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes)
    this.size += bytes.length
  }

  digest(): Digest {
    return `${this.#algorithm}:${this.#hash.digest('hex')}` as Digest
  }
}

/** The same over a long stream, beside its caller where that pays. Dispose of it in any case. */
export class StreamDigester implements Disposable {
  readonly #lane: HashLane
  readonly #algorithm: DigestAlgorithm
  size = 0

  /** @param expectedBytes - About how much will come; 0 where nobody knows. */
  constructor(algorithm: DigestAlgorithm, expectedBytes: number) {
    this.#lane = startHash(algorithm, { expectedBytes })
    this.#algorithm = algorithm
  }

  /** When it has settled, the bytes may be changed and handed on. */
  update(bytes: Uint8Array): Promise<void> | undefined {
    this.size += bytes.length
    return this.#lane.update(bytes)
  }

  async digest(): Promise<Digest> {
    return `${this.#algorithm}:${Buffer.from(await this.#lane.digest()).toString('hex')}` as Digest
  }

  [Symbol.dispose](): void {
    this.#lane[Symbol.dispose]()
  }
}

/** What a descriptor promises: exactly these bytes. `size` counts them. */
export type Content = { readonly digest: Digest; readonly size: number }

/** @throws {ImageError} `digest.mismatch` unless `bytes` are exactly the content that was promised. */
export function assertContent(bytes: Uint8Array, expected: Content, what: string): void {
  if (bytes.length !== expected.size)
    throw new ImageError('digest.mismatch', `${what}: ${bytes.length} bytes, the descriptor says ${expected.size}`)
  const actual = digestOf(bytes, digestAlgorithm(expected.digest))
  if (actual !== expected.digest)
    throw new ImageError('digest.mismatch', `${what}: content is ${actual}, wanted ${expected.digest}`)
}

/**
 * Passes a stream through and compares size and digest at its end. What comes out before the end is NOT verified:
 * whoever consumes it must stage, and publish only when the stream has ended without an error. A stream that grows
 * beyond the promised size is cut off at once.
 *
 * @param code - What a difference is called, where the promise is not a descriptor's.
 * @throws {ImageError} `digest.mismatch`, or `code`, from the iterator.
 */
export async function* verifiedWhileRead(
  source: AsyncIterable<Uint8Array>,
  expected: Content,
  what: string,
  code: 'digest.mismatch' | 'encryption.mismatch' = 'digest.mismatch',
): AsyncGenerator<Uint8Array, void, undefined> {
  using digester = new StreamDigester(digestAlgorithm(expected.digest), expected.size)
  for await (const chunk of source) {
    await digester.update(chunk)
    if (digester.size > expected.size)
      throw new ImageError(code, `${what}: longer than the ${expected.size} bytes its descriptor says`)
    yield chunk
  }
  if (digester.size !== expected.size)
    throw new ImageError(code, `${what}: ${digester.size} bytes, the descriptor says ${expected.size}`)
  const actual = await digester.digest()
  if (actual !== expected.digest) throw new ImageError(code, `${what}: content is ${actual}, wanted ${expected.digest}`)
}
