import { ImageError } from '../errors.ts'
import { BLOCK, type ByteString, FIELD, headerChecksum, toByteString } from './format.ts'

/** One header block, before extended headers are applied. */
export interface RawHeader {
  readonly name: ByteString
  readonly linkname: ByteString
  readonly typeflag: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Bytes that follow in the archive. */
  readonly size: number
  readonly mtimeSeconds: number
  readonly deviceMajor: number
  readonly deviceMinor: number
  readonly dialect: 'v7' | 'ustar' | 'star' | 'gnu'
}

export function isZeroBlock(block: Uint8Array): boolean {
  for (let i = 0; i < BLOCK; i++) if (block[i] !== 0) return false
  return true
}

/**
 * @throws {ImageError} `tar.malformed`: checksum, a number that is no number, a NUL inside a field's text.
 * @source POSIX.1-2017 pax, ustar Interchange Format; GNU tar manual, Basic Tar Format; star(5)
 */
export function parseHeader(block: Uint8Array): RawHeader {
  const stored = number(block, FIELD.checksum, 'checksum')
  if (stored !== headerChecksum(block) && stored !== headerChecksum(block, true))
    throw new ImageError('tar.malformed', `header checksum is ${stored}, counted ${headerChecksum(block)}`)
  const dialect = dialectOf(block)
  const name = text(block, FIELD.name)
  const prefix =
    dialect === 'ustar' ? text(block, FIELD.prefix) : dialect === 'star' ? text(block, [FIELD.prefix[0], 131]) : ''
  const devices = dialect !== 'v7'
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    linkname: text(block, FIELD.linkname),
    typeflag: String.fromCharCode(block[FIELD.typeflag[0]] ?? 0),
    mode: number(block, FIELD.mode, 'mode') & 0o7777,
    uid: natural(block, FIELD.uid, 'uid'),
    gid: natural(block, FIELD.gid, 'gid'),
    size: natural(block, FIELD.size, 'size'),
    mtimeSeconds: number(block, FIELD.mtime, 'mtime'),
    deviceMajor: devices ? natural(block, FIELD.devmajor, 'devmajor') : 0,
    deviceMinor: devices ? natural(block, FIELD.devminor, 'devminor') : 0,
    dialect,
  }
}

function dialectOf(block: Uint8Array): RawHeader['dialect'] {
  const magic = toByteString(block.subarray(257, 265))
  if (magic === 'ustar  \0') return 'gnu'
  if (magic.startsWith('ustar\0')) return toByteString(block.subarray(508, 512)) === 'tar\0' ? 'star' : 'ustar'
  return 'v7'
}

/** Up to the first NUL, or the whole field. */
function text(block: Uint8Array, [at, length]: readonly [number, number]): ByteString {
  const field = block.subarray(at, at + length)
  const end = field.indexOf(0)
  return toByteString(end < 0 ? field : field.subarray(0, end))
}

/** Octal text, or GNU's base 256: the first bit set, then a two's complement integer, big-endian. */
export function number(block: Uint8Array, field: readonly [number, number], what: string): number {
  const [at, length] = field
  const first = block[at] ?? 0
  if ((first & 0x80) !== 0) {
    const negative = (first & 0x40) !== 0
    let value = BigInt(first & 0x3f)
    for (let i = at + 1; i < at + length; i++) value = (value << 8n) | BigInt(block[i] ?? 0)
    if (negative) value -= 1n << BigInt(length * 8 - 2)
    const small = Number(value)
    if (!Number.isSafeInteger(small)) throw new ImageError('tar.malformed', `${what} is beyond 2^53`)
    return small
  }
  return octal(block, at, at + length, what)
}

/** Digits with spaces and NULs around them; nothing at all is 0. */
function octal(block: Uint8Array, start: number, end: number, what: string): number {
  let at = start
  while (at < end && isBlank(block[at])) at++
  let value = 0
  for (let byte = block[at]; at < end && byte !== undefined && byte >= 0x30 && byte <= 0x37; byte = block[++at])
    value = value * 8 + (byte - 0x30)
  while (at < end && isBlank(block[at])) at++
  if (at < end) throw new ImageError('tar.malformed', `${what} is not an octal number`)
  return value
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0
}

export function natural(block: Uint8Array, field: readonly [number, number], what: string): number {
  const value = number(block, field, what)
  if (value < 0) throw new ImageError('tar.malformed', `${what} is negative`)
  return value
}
