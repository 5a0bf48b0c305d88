import { utf8 } from '../base/encoding.ts'
import { VouchsafeError } from '../base/errors.ts'
import { latin1 } from './der.ts'

/**
 * The blocks of a PEM text with one label, in order, decoded. Anything but white space between them is refused, and so is
 * a block of another label: a chain that holds a key is not a chain.
 *
 * @throws {VouchsafeError} `endorsement.malformed`
 * @source RFC 7468
 */
export function parsePem(text: string, label: 'CERTIFICATE' | 'X509 CRL'): readonly Uint8Array[] {
  return splitPem(utf8(text), label).map(decodePemBlock)
}

const MAX_BLOCKS = 32
const DASH = 0x2d
const BEGIN = utf8('-----BEGIN ')
const LINES = {
  CERTIFICATE: { first: utf8('-----BEGIN CERTIFICATE-----'), last: utf8('-----END CERTIFICATE-----') },
  'X509 CRL': { first: utf8('-----BEGIN X509 CRL-----'), last: utf8('-----END X509 CRL-----') },
} as const

/**
 * The blocks of a PEM text, still in base64: for callers who know most of them already. Views of `text`. As `parsePem`
 * otherwise.
 */
export function splitPem(text: Uint8Array, label: 'CERTIFICATE' | 'X509 CRL'): readonly Uint8Array[] {
  const { first, last } = LINES[label]
  const blocks: Uint8Array[] = []
  for (let at = 0; ;) {
    const begin = skipSpace(text, at)
    if (begin === text.length) break
    if (!startsAt(text, begin, BEGIN))
      throw malformed(`text ${text.indexOf(DASH, begin) === -1 ? 'after' : 'before'} block ${blocks.length + 1}`)
    if (!startsAt(text, begin, first)) {
      const found = latin1(text.subarray(begin + BEGIN.length, begin + BEGIN.length + 40))
      throw malformed(`block of ${/^[A-Z0-9 ]*/.exec(found)?.[0]}, wanted ${label}`)
    }
    if (blocks.length === MAX_BLOCKS) throw malformed(`over ${MAX_BLOCKS} blocks`)
    // base64 has no dash
    const end = text.indexOf(DASH, begin + first.length)
    if (end === -1 || !startsAt(text, end, last)) throw malformed(`block ${blocks.length + 1} does not end`)
    blocks.push(text.subarray(begin + first.length, end))
    at = end + last.length
  }
  if (blocks.length === 0) throw malformed(`no block of ${label}`)
  return blocks
}

function skipSpace(text: Uint8Array, from: number): number {
  let at = from
  for (let byte = text[at]; byte === 0x20 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d); byte = text[at]) at++
  return at
}

function startsAt(text: Uint8Array, at: number, wanted: Uint8Array): boolean {
  for (let i = 0; i < wanted.length; i++) if (text[at + i] !== wanted[i]) return false
  return true
}

/**
 * Strict base64, canonical to its last character, in lines of any length. From bytes to bytes: a new certificate comes with
 * every new platform, and the runtime's own decoder takes three passes and two texts between them.
 *
 * @throws {VouchsafeError} `endorsement.malformed`
 */
export function decodePemBlock(block: Uint8Array): Uint8Array {
  let digits = 0
  let padding = 0
  let held = 0
  let at = 0
  const bytes = new Uint8Array((block.length * 3) >> 2)
  for (let i = 0; i < block.length; i++) {
    const value = valueAt(block, i)
    if ((digits & 3) === 0 && padding === 0 && i + 3 < block.length) {
      // four digits at a time, which is all but the ends of lines
      const second = valueAt(block, i + 1)
      const third = valueAt(block, i + 2)
      const fourth = valueAt(block, i + 3)
      if ((value | second | third | fourth) < 64) {
        bytes[at++] = (value << 2) | (second >> 4)
        bytes[at++] = (second << 4) | (third >> 2)
        bytes[at++] = (third << 6) | fourth
        digits += 4
        i += 3
        continue
      }
    }
    if (value < 64 && padding === 0) {
      held = (held << 6) | value
      if ((++digits & 3) !== 0) continue
      bytes[at++] = held >> 16
      bytes[at++] = held >> 8
      bytes[at++] = held
      held = 0
    } else if (value === PADDING) padding++
    else if (value !== SPACE) throw malformed('a block is not base64')
  }
  const rest = digits & 3
  if (padding !== (rest === 0 ? 0 : 4 - rest) || rest === 1) throw malformed('a block is not base64')
  // bits that the last digit has and the bytes do not
  const spare = rest === 2 ? 4 : 2
  if (rest !== 0 && (held & ((1 << spare) - 1)) !== 0)
    throw malformed('a block is not base64 in its one canonical form')
  if (rest !== 0) held >>= spare
  if (rest === 3) bytes[at++] = held >> 8
  if (rest !== 0) bytes[at++] = held
  return bytes.subarray(0, at)
}

function valueAt(block: Uint8Array, at: number): number {
  return VALUES[block[at] ?? 0] ?? OTHER
}

/** What is no digit has the next bit, by which it is told even among digits. */
const [SPACE, PADDING, OTHER] = [64, 65, 66]
const VALUES = Uint8Array.from({ length: 256 }, (_, code) => {
  const character = String.fromCharCode(code)
  if ('\r\n\t '.includes(character)) return SPACE
  if (character === '=') return PADDING
  const value = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'.indexOf(character)
  return value === -1 ? OTHER : value
})

function malformed(why: string): VouchsafeError {
  return new VouchsafeError('endorsement.malformed', `PEM: ${why}`)
}
