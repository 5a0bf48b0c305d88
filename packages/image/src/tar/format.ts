/** Offsets and constants of the tar header block. @source POSIX.1-2017 pax, ustar Interchange Format; GNU tar manual, Basic Tar Format */
export const BLOCK = 512

export const FIELD = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  typeflag: [156, 1],
  linkname: [157, 100],
  magic: [257, 6],
  version: [263, 2],
  uname: [265, 32],
  gname: [297, 32],
  devmajor: [329, 8],
  devminor: [337, 8],
  prefix: [345, 155],
} as const satisfies Record<string, readonly [number, number]>

export type EntryKind = 'file' | 'hardlink' | 'symlink' | 'character-device' | 'block-device' | 'directory' | 'fifo'

/** The sum over the header with its checksum field read as spaces; `signed` as some old writers counted. */
export function headerChecksum(block: Uint8Array, signed = false): number {
  const [at, length] = FIELD.checksum
  let sum = 0x20 * length
  for (let i = 0; i < BLOCK; i++) {
    const byte = block[i] ?? 0
    sum += signed && byte > 127 ? byte - 256 : byte
  }
  for (let i = at; i < at + length; i++) {
    const byte = block[i] ?? 0
    sum -= signed && byte > 127 ? byte - 256 : byte
  }
  return sum
}

/**
 * Names in archives are bytes. Here they are strings with one character per byte (latin1), so that no decoding can
 * make two names equal or one name different; `toFsPath` gives the bytes back to the file system.
 */
export type ByteString = string

export function toByteString(bytes: Uint8Array): ByteString {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

const ASCII = /^[\x00-\x7f]*$/

/** For `node:fs`: a string where that is the same, else the very bytes. */
export function toFsPath(name: ByteString): string | Buffer {
  return ASCII.test(name) ? name : Buffer.from(name, 'latin1')
}

export function fromText(text: string): ByteString {
  return ASCII.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
}

/** For people: UTF-8 where it is that, else bytes as `\xNN`. */
export function toDisplay(name: ByteString): string {
  if (ASCII.test(name)) return name
  const bytes = Buffer.from(name, 'latin1')
  const text = bytes.toString('utf8')
  if (Buffer.from(text, 'utf8').equals(bytes)) return text
  return name.replace(/[\x80-\xff]/g, (c) => `\\x${c.charCodeAt(0).toString(16)}`)
}
