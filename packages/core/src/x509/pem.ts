import { fromBase64 } from '../base/encoding.ts'
import { VouchsafeError } from '../base/errors.ts'

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/g

/**
 * The blocks of a PEM text with one label, in order. Anything but white space between them is refused, and so is a
 * block of another label: a chain that holds a key is not a chain.
 *
 * @throws {VouchsafeError} `endorsement.malformed`
 * @source RFC 7468
 */
export function parsePem(text: string, label: 'CERTIFICATE' | 'X509 CRL'): readonly Uint8Array[] {
  const blocks: Uint8Array[] = []
  let at = 0
  for (const match of text.matchAll(BLOCK)) {
    if (text.slice(at, match.index).trim() !== '') throw malformed(`text before block ${blocks.length + 1}`)
    if (match[1] !== label) throw malformed(`block of ${match[1]}, wanted ${label}`)
    if (blocks.length === 32) throw malformed('over 32 blocks')
    try {
      blocks.push(fromBase64((match[2] ?? '').replace(/[\r\n\t ]/g, ''), 'PEM'))
    } catch (cause) {
      throw new VouchsafeError('endorsement.malformed', `PEM: block ${blocks.length + 1} is not base64`, { cause })
    }
    at = match.index + match[0].length
  }
  if (text.slice(at).trim() !== '') throw malformed(`text after block ${blocks.length}`)
  if (blocks.length === 0) throw malformed(`no block of ${label}`)
  return blocks
}

function malformed(why: string): VouchsafeError {
  return new VouchsafeError('endorsement.malformed', `PEM: ${why}`)
}
