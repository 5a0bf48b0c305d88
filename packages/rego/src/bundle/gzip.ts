import { RegoError } from '../errors.ts'

/** Unpacks, but never more than `maxBytes`. */
export async function gunzip(bytes: Uint8Array<ArrayBuffer>, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))
  const parts: Uint8Array[] = []
  let size = 0
  try {
    for await (const part of chunks(stream)) {
      size += part.length
      if (size > maxBytes) break
      parts.push(part)
    }
  } catch (e) {
    throw RegoError.of('bundle_malformed', 'the archive is not gzip, or it is damaged', undefined, { cause: e })
  }
  if (size > maxBytes) throw RegoError.of('bundle_malformed', `the archive unpacks to more than ${maxBytes} bytes`)
  return joined(parts, size)
}

export async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream('gzip'))
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of chunks(stream)) {
    size += part.length
    parts.push(part)
  }
  return joined(parts, size)
}

async function* chunks(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

function joined(parts: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
