import { ImageError } from '../errors.ts'

/**
 * A small body, whole.
 *
 * @throws {ImageError} `document.too-large` as soon as it grows beyond `maxBytes`.
 */
export async function readAll(body: AsyncIterable<Uint8Array>, maxBytes: number, what: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > maxBytes) throw new ImageError('document.too-large', `${what}: more than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}
