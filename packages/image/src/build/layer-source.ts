import { constants, lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs'
import { open } from 'node:fs/promises'
import { ImageError } from '../errors.ts'
import { type ByteString, fromText, toByteString, toDisplay, toFsPath } from '../tar/format.ts'
import { padding, tarEnd, tarHeader, type WriteEntry } from '../tar/write-tar.ts'

/**
 * What one layer is made of. Owner is 0:0 and every time the build's one time, always. From a directory, modes become
 * 0755 (directories, and files their owner may execute) or 0644: a checkout's umask must not reach the digest.
 * Extended attributes (file capabilities among them), set-user-id bits, holes and shared inodes are left behind: equal bytes
 * give equal layers. Directories on the way to a path get no entry of their own, so a base image's `/tmp` keeps its mode.
 */
export type LayerSource =
  | {
      readonly kind: 'directory'
      readonly directory: string
      /** Where its content goes in the image; `/` unless told. */
      readonly at?: string
      /** Called with each path relative to `directory`; false leaves it out, a directory with all below it. */
      readonly include?: (path: string) => boolean
    }
  | { readonly kind: 'files'; readonly files: readonly LayerFile[] }

/** One entry. `path` is where it is in the image, with or without its leading slash; `mode` at most 07777. */
export type LayerFile =
  | { readonly kind: 'file'; readonly path: string; readonly bytes: Uint8Array; readonly mode?: number }
  | { readonly kind: 'copy'; readonly path: string; readonly from: string; readonly mode?: number }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string }
  | { readonly kind: 'directory'; readonly path: string; readonly mode?: number }

interface Planned {
  readonly header: Omit<WriteEntry, 'mtimeSeconds' | 'uid' | 'gid'>
  readonly content?: Uint8Array | { readonly file: string | Buffer }
}

const READ_BYTES = 1024 * 1024

/**
 * The layer as an uncompressed tar: entries sorted by the bytes of their path.
 *
 * @throws {ImageError} `build.input`, naming the entry.
 */
export async function* layerTar(source: LayerSource, mtimeSeconds: number): AsyncGenerator<Uint8Array> {
  const planned = source.kind === 'directory' ? walk(source) : source.files.map(planFile)
  planned.sort((a, b) => (a.header.path < b.header.path ? -1 : a.header.path > b.header.path ? 1 : 0))
  assertTree(planned)
  for (const { header, content } of planned) {
    yield tarHeader({ ...header, uid: 0, gid: 0, mtimeSeconds })
    if (content === undefined) continue
    if (content instanceof Uint8Array) yield content
    else yield* readExactly(content.file, header)
    yield padding(header.size)
  }
  yield tarEnd()
}

/** Each path once, and nothing below what is no directory: no reader would unpack that. */
function assertTree(sorted: readonly Planned[]): void {
  const leaves = new Set(sorted.filter(({ header }) => header.kind !== 'directory').map(({ header }) => header.path))
  sorted.forEach(({ header: { path } }, i) => {
    if (path === sorted[i - 1]?.header.path) throw refused(path, 'given twice')
    for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1))
      if (leaves.has(path.slice(0, slash)))
        throw refused(path, `lies below ${toDisplay(path.slice(0, slash))}, which is no directory`)
  })
}

function walk(source: Extract<LayerSource, { kind: 'directory' }>): Planned[] {
  const at = source.at === undefined || source.at === '/' ? '' : layerPath(source.at)
  const root = fromText(source.directory)
  const out: Planned[] = []
  const visit = (relative: ByteString): void => {
    const directory = relative === '' ? root : `${root}/${relative}`
    for (const name of found(directory, () => readdirSync(toFsPath(directory), { encoding: 'buffer' }))) {
      const below = relative === '' ? toByteString(name) : `${relative}/${toByteString(name)}`
      if (source.include?.(toDisplay(below)) === false) continue
      if (toByteString(name).startsWith('.wh.')) throw refused(below, 'a name that begins with .wh. would delete')
      const planned = planFound(`${root}/${below}`, at === '' ? below : `${at}/${below}`)
      out.push(planned)
      if (planned.header.kind === 'directory') visit(below)
    }
  }
  visit('')
  return out
}

function planFound(place: ByteString, path: ByteString): Planned {
  const file = toFsPath(place)
  const stat = found(path, () => lstatSync(file))
  if (stat.isDirectory()) return { header: { kind: 'directory', path, mode: 0o755, size: 0 } }
  if (stat.isSymbolicLink()) {
    const linkTarget = toByteString(found(path, () => readlinkSync(file, { encoding: 'buffer' })))
    return { header: { kind: 'symlink', path, mode: 0o777, size: 0, linkTarget } }
  }
  if (!stat.isFile()) throw refused(path, 'neither file, directory nor symbolic link')
  return {
    header: { kind: 'file', path, mode: plainMode(stat), size: stat.size },
    content: { file },
  }
}

function plainMode({ mode }: Stats): number {
  return (mode & 0o100) === 0 ? 0o644 : 0o755
}

function planFile(file: LayerFile): Planned {
  const path = layerPath(file.path)
  const mode = 'mode' in file ? file.mode : undefined
  if (mode !== undefined && (mode & ~0o7777) !== 0) throw refused(path, 'the mode has bits beyond 07777')
  switch (file.kind) {
    case 'file':
      return { header: { kind: 'file', path, mode: mode ?? 0o644, size: file.bytes.length }, content: file.bytes }
    case 'copy': {
      const stat = found(path, () => lstatSync(file.from))
      if (!stat.isFile()) throw refused(path, `${file.from} is not a regular file`)
      return {
        header: { kind: 'file', path, mode: mode ?? plainMode(stat), size: stat.size },
        content: { file: file.from },
      }
    }
    case 'symlink':
      if (file.target === '') throw refused(path, 'a symbolic link to nowhere')
      return { header: { kind: 'symlink', path, mode: 0o777, size: 0, linkTarget: fromText(file.target) } }
    case 'directory':
      return { header: { kind: 'directory', path, mode: mode ?? 0o755, size: 0 } }
  }
}

/** `/a/b` or `a/b` to `a/b`. */
function layerPath(text: string): ByteString {
  const written = fromText(text)
  const parts = written.replace(/^\//, '').replace(/\/$/, '').split('/')
  for (const part of parts) {
    if (part === '' || part === '.' || part === '..') throw refused(written, 'not a plain path below the root')
    if (part.startsWith('.wh.')) throw refused(written, 'a name that begins with .wh. would delete')
  }
  return parts.join('/')
}

async function* readExactly(file: string | Buffer, header: Planned['header']): AsyncGenerator<Uint8Array> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW).catch((cause: Error) => {
    throw refused(header.path, cause.message, cause)
  })
  try {
    let left = header.size
    for (;;) {
      const buffer = new Uint8Array(Math.min(READ_BYTES, left + 1))
      const { bytesRead } = await handle.read(buffer, 0, buffer.length)
      if (bytesRead > left || (bytesRead === 0 && left > 0))
        throw refused(header.path, 'changed its size while it was read')
      if (bytesRead === 0) return
      left -= bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await handle.close()
  }
}

/** What this machine's files are; the reason names them where they cannot be read. */
function found<T>(path: ByteString, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw refused(path, (cause as Error).message, cause)
  }
}

function refused(path: ByteString, why: string, cause?: unknown): ImageError {
  return new ImageError('build.input', why, { entry: toDisplay(path), ...(cause === undefined ? {} : { cause }) })
}
