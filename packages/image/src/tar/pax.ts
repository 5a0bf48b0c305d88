import { ImageError } from '../errors.ts'
import { type ByteString, toByteString, toDisplay } from './format.ts'

export interface Timestamp {
  readonly seconds: number
  readonly nanoseconds: number
}

/** What an extended header says about the next entry. Keys that this reader has no use for are left out. */
export interface PaxFields {
  path?: ByteString
  linkpath?: ByteString
  size?: number
  uid?: number
  gid?: number
  mtime?: Timestamp
  readonly xattrs: Map<ByteString, Uint8Array>
  /** `GNU.sparse.*` in order; `offset` and `numbytes` repeat in format 0.0. */
  readonly sparse: (readonly [key: string, value: ByteString])[]
}

const XATTR = 'SCHILY.xattr.'
const SPARSE = 'GNU.sparse.'
const REPEATS = new Set(['offset', 'numbytes'])

/**
 * Reads the records of an extended header, `<length> <key>=<value>\n` each.
 *
 * @throws {ImageError} `tar.malformed`: also for a key given twice, since readers differ on which one counts.
 * @source POSIX.1-2017 pax, Extended Header; GNU tar manual, Sparse Formats; star(5) for SCHILY.xattr
 */
export function parsePax(body: Uint8Array): PaxFields {
  const fields: PaxFields = { xattrs: new Map(), sparse: [] }
  const seen = new Set<string>()
  for (const [key, value] of records(body)) {
    if (key.startsWith(SPARSE)) {
      const name = key.slice(SPARSE.length)
      if (seen.has(key) && !REPEATS.has(name)) throw malformed(`extended header gives ${key} twice`)
      fields.sparse.push([name, toByteString(value)])
    } else {
      if (seen.has(key)) throw malformed(`extended header gives ${toDisplay(key)} twice`)
      readField(fields, key, value)
    }
    seen.add(key)
  }
  return fields
}

/**
 * Global headers would change every later entry, and readers differ on whether they do: only a comment, as
 * `git archive` writes it, is allowed.
 */
export function checkGlobalPax(body: Uint8Array): void {
  for (const [key] of records(body))
    if (key !== 'comment') throw malformed(`global extended header sets ${toDisplay(key)}`)
}

function readField(fields: PaxFields, key: ByteString, value: Uint8Array): void {
  if (key.startsWith(XATTR)) {
    const name = key.slice(XATTR.length)
    if (name === '' || name.includes('\0')) throw malformed('extended attribute without a name')
    fields.xattrs.set(name, new Uint8Array(value))
    return
  }
  const text = toByteString(value)
  // an empty value takes the override back: the header block counts
  if (text === '') return
  switch (key) {
    case 'path':
    case 'linkpath':
      if (text.includes('\0')) throw malformed(`${key} holds a NUL byte`)
      fields[key] = text
      return
    case 'size':
    case 'uid':
    case 'gid':
      fields[key] = decimal(text, key)
      return
    case 'mtime':
      fields.mtime = timestamp(text)
      return
    default: // atime, ctime, uname, gname, comment, vendor keys: without meaning for an image layer
  }
}

function* records(body: Uint8Array): Generator<[ByteString, Uint8Array]> {
  for (let at = 0; at < body.length;) {
    const space = body.indexOf(0x20, at)
    const digits = space < 0 ? '' : toByteString(body.subarray(at, Math.min(space, at + 10)))
    if (!/^[1-9][0-9]{0,8}$/.test(digits) || space !== at + digits.length)
      throw malformed('extended header record without a length')
    const end = at + Number(digits)
    if (end > body.length || body[end - 1] !== 0x0a)
      throw malformed('extended header record does not end where it says')
    const equals = body.indexOf(0x3d, space)
    if (equals < 0 || equals >= end || equals === space + 1) throw malformed('extended header record without a key')
    const key = toByteString(body.subarray(space + 1, equals))
    if (key.includes('\0')) throw malformed('extended header key holds a NUL byte')
    yield [key, body.subarray(equals + 1, end - 1)]
    at = end
  }
}

export function decimal(text: string, what: string): number {
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value)) throw malformed(`${what} is not a number: ${JSON.stringify(text.slice(0, 40))}`)
  return value
}

function timestamp(text: string): Timestamp {
  const match = /^(-?)([0-9]{1,12})(?:\.([0-9]*))?$/.exec(text)
  if (match === null) throw malformed(`mtime is not a time: ${JSON.stringify(text.slice(0, 40))}`)
  const seconds = Number(match[2])
  const nanoseconds = Number((match[3] ?? '').slice(0, 9).padEnd(9, '0'))
  if (match[1] === '') return { seconds, nanoseconds }
  return nanoseconds === 0
    ? { seconds: -seconds, nanoseconds }
    : { seconds: -seconds - 1, nanoseconds: 1e9 - nanoseconds }
}

function malformed(message: string): ImageError {
  return new ImageError('tar.malformed', message)
}
