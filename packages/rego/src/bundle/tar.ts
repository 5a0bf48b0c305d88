import { RegoError } from '../errors.ts'

export type TarEntry = { readonly name: string; readonly bytes: Uint8Array }

export type TarLimits = {
  /** All contents together. */
  readonly maxBytes: number
  readonly maxFiles: number
}

const BLOCK = 512
const REGULAR = new Set(['0', '\0', ''])
const DIRECTORY = '5'
const PAX = 'x'
const PAX_GLOBAL = 'g'
const LONG_NAME = 'L'

function malformed(message: string): RegoError {
  return RegoError.of('bundle_malformed', message)
}

/**
 * Reads the regular files of a tar archive. Links, devices and everything else that is no file or directory is refused, as are
 * names that leave the archive and names given twice.
 */
export function readTar(archive: Uint8Array, limits: TarLimits): TarEntry[] {
  const entries = new Map<string, TarEntry>()
  let total = 0
  let longName: string | undefined
  for (let at = 0; at + BLOCK <= archive.length;) {
    const header = archive.subarray(at, at + BLOCK)
    if (header.every((b) => b === 0)) break
    checkHeader(header)
    const size = octal(header, 124, 12, 'size')
    const type = text(header, 156, 1)
    const from = at + BLOCK
    const end = from + size
    if (end > archive.length) throw malformed('the archive ends inside a file')
    at = from + Math.ceil(size / BLOCK) * BLOCK
    const contents = archive.subarray(from, end)
    if (type === PAX) longName = paxPath(contents) ?? longName
    else if (type === LONG_NAME) longName = text(contents, 0, contents.length)
    else if (type === PAX_GLOBAL) continue
    else {
      const name = cleanName(longName ?? ustarName(header))
      longName = undefined
      if (type === DIRECTORY || name === '') continue
      if (!REGULAR.has(type)) throw malformed(`${name}: links and special files have no place in a bundle`)
      total += size
      if (total > limits.maxBytes) throw malformed(`the files hold more than ${limits.maxBytes} bytes`)
      if (entries.size >= limits.maxFiles) throw malformed(`there are more than ${limits.maxFiles} files`)
      if (entries.has(name)) throw malformed(`${name} is there twice`)
      entries.set(name, { name, bytes: contents.slice() })
    }
  }
  return [...entries.values()]
}

function text(bytes: Uint8Array, at: number, length: number): string {
  const field = bytes.subarray(at, at + length)
  const end = field.indexOf(0)
  return decodeText(end < 0 ? field : field.subarray(0, end))
}

/** UTF-8 as it has to be. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw malformed('a name or text is not UTF-8')
  }
}

function octal(header: Uint8Array, at: number, length: number, what: string): number {
  const field = text(header, at, length).trim()
  if (!/^[0-7]{1,11}$/.test(field)) throw malformed(`a header's ${what} is not a number`)
  return Number.parseInt(field, 8)
}

function checkHeader(header: Uint8Array): void {
  const stored = octal(header, 148, 8, 'checksum')
  let sum = 0
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 32 : (header[i] as number)
  if (sum !== stored) throw malformed('a header has another checksum than it says')
}

function ustarName(header: Uint8Array): string {
  const name = text(header, 0, 100)
  const prefix = text(header, 257, 5) === 'ustar' ? text(header, 345, 155) : ''
  return prefix === '' ? name : `${prefix}/${name}`
}

function paxPath(contents: Uint8Array): string | undefined {
  const record = /(?:^|\n)\d+ path=([^\n]*)\n/.exec(decodeText(contents))
  return record?.[1]
}

/** A name relative to the archive's root. */
function cleanName(name: string): string {
  const steps = name.split('/').filter((s) => s !== '' && s !== '.')
  if (steps.includes('..') || name.includes('\\')) throw malformed(`${name}: the name leaves the archive`)
  return steps.join('/')
}

/** A tar archive of regular files, the same bytes for the same files. */
export function writeTar(entries: readonly TarEntry[]): Uint8Array<ArrayBuffer> {
  const sorted = [...entries].sort((a, b) => (a.name < b.name ? -1 : 1))
  const size = sorted.reduce((n, e) => n + BLOCK + Math.ceil(e.bytes.length / BLOCK) * BLOCK, 2 * BLOCK)
  const out = new Uint8Array(size)
  let at = 0
  for (const { name, bytes } of sorted) {
    out.set(header(name, bytes.length), at)
    out.set(bytes, at + BLOCK)
    at += BLOCK + Math.ceil(bytes.length / BLOCK) * BLOCK
  }
  return out
}

function header(name: string, size: number): Uint8Array {
  const encoded = new TextEncoder().encode(name)
  if (encoded.length > 100) throw malformed(`${name}: names of more than 100 bytes are not written`)
  const out = new Uint8Array(BLOCK)
  const put = (at: number, s: string): void => out.set(new TextEncoder().encode(s), at)
  out.set(encoded, 0)
  put(100, '0000644\0')
  put(108, '0000000\0')
  put(116, '0000000\0')
  put(124, `${size.toString(8).padStart(11, '0')}\0`)
  put(136, '00000000000\0')
  put(148, '        ')
  put(156, '0')
  put(257, 'ustar\0')
  put(263, '00')
  const sum = out.reduce((n, b) => n + b, 0)
  put(148, `${sum.toString(8).padStart(6, '0')}\0 `)
  return out
}
