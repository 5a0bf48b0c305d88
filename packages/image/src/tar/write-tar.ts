import { ImageError } from '../errors.ts'
import { BLOCK, type ByteString, type EntryKind, FIELD, headerChecksum, toDisplay } from './format.ts'

/** What goes into one header. Times are whole seconds since 1970; names are byte strings. */
export interface WriteEntry {
  readonly kind: Extract<EntryKind, 'file' | 'directory' | 'symlink'>
  /** Relative, without `.` or `..`; a directory's gets its trailing slash here. */
  readonly path: ByteString
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly mtimeSeconds: number
  /** Bytes of content; 0 unless a file. */
  readonly size: number
  readonly linkTarget?: ByteString
}

const TYPEFLAG = { file: '0', directory: '5', symlink: '2' } as const

/**
 * The header blocks of an entry: one ustar block, preceded by a pax extended header only where a field does not fit.
 * There is exactly one way to write any entry, so equal entries give equal bytes.
 *
 * @source POSIX.1-2017 pax, Extended Header
 */
export function tarHeader(entry: WriteEntry): Uint8Array {
  const name = entry.kind === 'directory' ? `${entry.path}/` : entry.path
  const link = entry.linkTarget ?? ''
  if (name.includes('\0') || link.includes('\0'))
    throw new ImageError('build.input', 'a name holds a NUL byte', { entry: toDisplay(entry.path) })
  const records: string[] = []
  if (!fits(name, FIELD.name[1])) records.push(paxRecord('path', name))
  if (!fits(link, FIELD.linkname[1])) records.push(paxRecord('linkpath', link))
  if (entry.size > 0o77777777777) records.push(paxRecord('size', String(entry.size)))
  if (entry.mtimeSeconds < 0 || entry.mtimeSeconds > 0o77777777777)
    records.push(paxRecord('mtime', String(entry.mtimeSeconds)))
  if (entry.uid > 0o7777777) records.push(paxRecord('uid', String(entry.uid)))
  if (entry.gid > 0o7777777) records.push(paxRecord('gid', String(entry.gid)))
  const block = ustarBlock(entry, name, link, TYPEFLAG[entry.kind])
  if (records.length === 0) return block
  const body = Buffer.from(records.join(''), 'latin1')
  const extended = { ...entry, size: body.length, mode: 0o644, uid: 0, gid: 0, mtimeSeconds: 0 }
  return Buffer.concat([ustarBlock(extended, 'PaxHeaders.0/entry', '', 'x'), body, padding(body.length), block])
}

/** Zeros up to the next block boundary. */
export function padding(size: number): Uint8Array {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK)
}

/** The two zero blocks that end an archive. */
export function tarEnd(): Uint8Array {
  return new Uint8Array(2 * BLOCK)
}

function fits(text: ByteString, length: number): boolean {
  return text.length <= length && /^[\x20-\x7e]*$/.test(text)
}

/** `<length> <key>=<value>\n`, where the length counts itself. */
function paxRecord(key: string, value: ByteString): ByteString {
  const rest = ` ${key}=${value}\n`
  let length = rest.length + 1
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length
  return `${length}${rest}`
}

function ustarBlock(entry: WriteEntry, name: ByteString, link: ByteString, typeflag: string): Uint8Array {
  const block = Buffer.alloc(BLOCK)
  const put = (field: readonly [number, number], text: string) =>
    block.write(text.slice(0, field[1]), field[0], 'latin1')
  const octal = (field: readonly [number, number], value: number, max: number) =>
    put(field, `${(value < 0 || value > max ? 0 : value).toString(8).padStart(field[1] - 1, '0')}\0`)
  put(FIELD.name, fits(name, 100) ? name : asciiStem(name))
  octal(FIELD.mode, entry.mode, 0o7777777)
  octal(FIELD.uid, entry.uid, 0o7777777)
  octal(FIELD.gid, entry.gid, 0o7777777)
  octal(FIELD.size, entry.size, 0o77777777777)
  octal(FIELD.mtime, entry.mtimeSeconds, 0o77777777777)
  put(FIELD.typeflag, typeflag)
  put(FIELD.linkname, fits(link, 100) ? link : asciiStem(link))
  put(FIELD.magic, 'ustar\0')
  put(FIELD.version, '00')
  octal(FIELD.devmajor, 0, 0)
  octal(FIELD.devminor, 0, 0)
  put(FIELD.checksum, `${headerChecksum(block).toString(8).padStart(6, '0')}\0 `)
  return block
}

/** What a reader without pax support would see; the extended header overrides it. */
function asciiStem(name: ByteString): string {
  return name.replace(/[^\x20-\x7e]/g, '_').slice(0, 100)
}
