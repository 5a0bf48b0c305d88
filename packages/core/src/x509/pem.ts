import { VouchsafeError } from '../base/errors.ts'

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/g

/**
 * The blocks of a PEM text with one label, in order, decoded. Anything but white space between them is refused, and so is
 * a block of another label: a chain that holds a key is not a chain.
 *
 * @throws {VouchsafeError} `endorsement.malformed`
 * @source RFC 7468
 */
export function parsePem(text: string, label: 'CERTIFICATE' | 'X509 CRL'): readonly Uint8Array[] {
  return splitPem(text, label).map(decodePemBlock)
}

/** The blocks of a PEM text, still in base64: for callers who know most of them already. As `parsePem` otherwise. */
export function splitPem(text: string, label: 'CERTIFICATE' | 'X509 CRL'): readonly string[] {
  const blocks: string[] = []
  let at = 0
  for (const match of text.matchAll(BLOCK)) {
    if (text.slice(at, match.index).trim() !== '') throw malformed(`text before block ${blocks.length + 1}`)
    if (match[1] !== label) throw malformed(`block of ${match[1]}, wanted ${label}`)
    if (blocks.length === 32) throw malformed('over 32 blocks')
    blocks.push(match[2] ?? '')
    at = match.index + match[0].length
  }
  if (text.slice(at).trim() !== '') throw malformed(`text after block ${blocks.length}`)
  if (blocks.length === 0) throw malformed(`no block of ${label}`)
  return blocks
}

/**
 * Strict base64, canonical to its last character. By the platform's own decoder: certificates come with every quote, and
 * a decoder in JavaScript would cost more than reading them does.
 *
 * @throws {VouchsafeError} `endorsement.malformed`
 */
export function decodePemBlock(block: string): Uint8Array {
  const text = block.replace(/[\r\n\t ]/g, '')
  let binary: string
  try {
    binary = atob(text)
  } catch (cause) {
    throw new VouchsafeError('endorsement.malformed', 'PEM: a block is not base64', { cause })
  }
  if (btoa(binary) !== text) throw malformed('a block is not base64 in its one canonical form')
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i)
  return bytes
}

function malformed(why: string): VouchsafeError {
  return new VouchsafeError('endorsement.malformed', `PEM: ${why}`)
}
