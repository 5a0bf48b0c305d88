import zlib from 'node:zlib'
import type { Compression } from '../oci/media-types.ts'
import { pipeThrough } from '../stream/pipe-through.ts'

const CHUNK = 1024 * 1024

/**
 * Compresses with fixed parameters, in fixed portions: how the input happens to be cut must not reach the output
 * (zstd's output depends on it: measured). The gzip header has no time and no operating system.
 *
 * The bytes still depend on the compressor that this Node carries. Only `none` gives a digest that any Node of any
 * year gives; see `buildImage`.
 */
export function compress(tar: AsyncIterable<Uint8Array>, compression: Compression): AsyncIterable<Uint8Array> {
  switch (compression) {
    case 'none':
      return tar
    case 'gzip':
      return anonymousGzip(
        pipeThrough(portions(tar), zlib.createGzip({ level: 9, memLevel: 8, windowBits: 15, chunkSize: 65536 })),
      )
    case 'zstd':
      return pipeThrough(
        portions(tar),
        zlib.createZstdCompress({
          chunkSize: 65536,
          params: {
            [zlib.constants.ZSTD_c_compressionLevel]: 9,
            [zlib.constants.ZSTD_c_checksumFlag]: 1,
            [zlib.constants.ZSTD_c_windowLog]: 23,
          },
        }),
      )
  }
}

async function* portions(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let portion = new Uint8Array(CHUNK)
  let filled = 0
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length;) {
      const taken = Math.min(CHUNK - filled, chunk.length - at)
      portion.set(chunk.subarray(at, at + taken), filled)
      filled += taken
      at += taken
      if (filled < CHUNK) continue
      yield portion
      portion = new Uint8Array(CHUNK)
      filled = 0
    }
  }
  if (filled > 0) yield portion.subarray(0, filled)
}

/** Sets the OS byte of the one gzip header to 255, unknown. @source RFC 1952 section 2.3 */
async function* anonymousGzip(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let at = 0
  for await (const chunk of source) {
    if (at <= 9 && at + chunk.length > 9) {
      const copy = new Uint8Array(chunk)
      copy[9 - at] = 0xff
      yield copy
    } else yield chunk
    at += chunk.length
  }
}
