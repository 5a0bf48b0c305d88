import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import path from 'node:path'
import { ImageError } from '../errors.ts'
import { type ByteString, toDisplay } from '../tar/format.ts'
import type { TarEntry } from '../tar/read-tar.ts'

/**
 * What Node has no call for: device nodes, FIFOs and extended attributes are made by the system's own `mknod`,
 * `mkfifo` and `setfattr`. Nodes are made under a name of ours in a private directory and linked into place, so no
 * name out of an image ever is an argument.
 */
export class SpecialNodes {
  readonly #scratch: string

  /** @param scratch - A private directory on the file system of the root, outside it. */
  constructor(scratch: string) {
    this.#scratch = scratch
  }

  /** A device 0:0, which overlayfs reads as "what was here is gone". */
  makeWhiteout(): string {
    const file = path.join(this.#scratch, randomBytes(8).toString('hex'))
    run('mknod', ['-m', '000', file, 'c', '0', '0'], 'whiteout')
    return file
  }

  /** @returns Where the node was made. */
  make(entry: TarEntry): string {
    const file = path.join(this.#scratch, randomBytes(8).toString('hex'))
    if (entry.kind === 'fifo') run('mkfifo', ['-m', '600', file], toDisplay(entry.path))
    else
      run(
        'mknod',
        [
          '-m',
          '600',
          file,
          entry.kind === 'block-device' ? 'b' : 'c',
          String(entry.deviceMajor),
          String(entry.deviceMinor),
        ],
        toDisplay(entry.path),
      )
    return file
  }
}

export interface AttributesOf {
  /** Real path below the root: no part of it is a link. */
  readonly path: ByteString
  readonly attributes: ReadonlyMap<ByteString, Uint8Array>
}

/**
 * Sets extended attributes with one `setfattr --restore` for all files.
 *
 * @throws {ImageError} `unpack.xattr` when the tool is absent or the file system refuses one of them.
 */
export function setAttributes(root: string, files: readonly AttributesOf[]): void {
  if (files.length === 0) return
  const dump: string[] = []
  for (const file of files) {
    dump.push(`# file: ${quote(file.path === '' ? '.' : file.path)}\n`)
    for (const [name, value] of file.attributes) dump.push(`${quote(name)}=0x${Buffer.from(value).toString('hex')}\n`)
    dump.push('\n')
  }
  const done = spawnSync('setfattr', ['-h', '--restore=-'], {
    cwd: root,
    input: Buffer.from(dump.join(''), 'latin1'),
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' },
    maxBuffer: 1024 * 1024,
  })
  if (done.error !== undefined)
    throw new ImageError('unpack.xattr', 'setfattr could not be run; it comes with the package "attr"', {
      cause: done.error,
    })
  if (done.status !== 0 || done.stderr.length > 0)
    throw new ImageError('unpack.xattr', `setfattr: ${done.stderr.toString('utf8').slice(0, 300).trim()}`)
}

/**
 * The extended attributes below a directory, by path, read with one `getfattr`.
 *
 * @throws {ImageError} `unpack.xattr` when the tool is absent or cannot read one of them.
 */
export function readAttributes(root: string): ReadonlyMap<ByteString, AttributesOf['attributes']> {
  const done = spawnSync('getfattr', ['-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '.'], {
    cwd: root,
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' },
    maxBuffer: 256 * 1024 * 1024,
  })
  if (done.error !== undefined || done.status !== 0)
    throw new ImageError('unpack.xattr', 'getfattr could not be run; it comes with the package "attr"', {
      cause: done.error,
    })
  const found = new Map<ByteString, Map<ByteString, Uint8Array>>()
  let current = new Map<ByteString, Uint8Array>()
  for (const line of done.stdout.toString('latin1').split('\n')) {
    const [, file] = /^# file: (.*)$/.exec(line) ?? []
    if (file !== undefined) found.set(unquote(file).replace(/^\.$|^\.\//, ''), (current = new Map()))
    const [, name, hex = ''] = /^([^#=]+)(?:=(?:0x([0-9a-f]*))?)?$/.exec(line) ?? []
    if (name !== undefined) current.set(unquote(name), new Uint8Array(Buffer.from(hex, 'hex')))
  }
  return found
}

/** As getfattr writes a path or a name: control characters and the backslash as octal. */
function quote(text: ByteString): string {
  return text.replace(/[\x00-\x20\x7f-\xff\\=]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`)
}

function unquote(text: string): ByteString {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}

function run(command: string, args: readonly string[], entry: string): void {
  const done = spawnSync(command, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' },
  })
  if (done.error !== undefined || done.status !== 0)
    throw new ImageError(
      'unpack.filesystem',
      `${command}: ${done.error?.message ?? done.stderr.toString('utf8').slice(0, 200).trim()}`,
      { entry },
    )
}
