import { VouchsafeError } from '@vouchsafe/core'

/** Reads a body no further than its limit, whatever its headers say (J02). @throws {VouchsafeError} `input.too-large` */
export async function readBody(request: Request, maxBytes: number): Promise<Uint8Array> {
  const declared = Number(request.headers.get('content-length') ?? '0')
  if (declared > maxBytes) throw tooLarge(maxBytes)
  if (request.body === null) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request.body) {
    size += chunk.length
    if (size > maxBytes) throw tooLarge(maxBytes)
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

function tooLarge(maxBytes: number): VouchsafeError {
  return new VouchsafeError('input.too-large', `the body is larger than ${maxBytes} bytes, the most for this route`)
}
