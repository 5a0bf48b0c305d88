import { createHash, type Hash } from 'node:crypto'
import { ImageError } from '../errors.ts'
import { type ByteString, toDisplay } from '../tar/format.ts'
import type { TarEntry } from '../tar/read-tar.ts'
import { Disk } from '../unpack/disk.ts'
import type { AttributesOf } from '../unpack/special-nodes.ts'
import { join, type Metadata, type TreeNode } from '../unpack/tree.ts'

/** What an image has at one path. */
export interface FileFact {
  readonly kind: 'file' | 'directory' | 'symlink' | 'special'
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  /** SHA-256 of a file's content, a link's target, or what a special file is: `character-device 1:3`, `fifo`. */
  readonly content: string
  /** Extended attributes in hexadecimal, file capabilities among them; absent where there are none. */
  readonly attributes?: Readonly<Record<string, string>>
}

/** Kept whole for a later look: package databases and the like, and extended attributes. */
const MAX_CAPTURED_BYTES = 64 * 1024 * 1024

/** Until something describes it. */
const DIRECTORY: FileFact = { kind: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0, content: '' }

/** In place of making a node. */
export function describeNode({ kind, deviceMajor, deviceMinor }: TarEntry): string {
  return kind === 'fifo' ? kind : `${kind} ${deviceMajor}:${deviceMinor}`
}

const ZEROS = new Uint8Array(64 * 1024)

interface Writing {
  readonly hash: Hash
  readonly path: ByteString
  size: number
  readonly chunks: Uint8Array[] | undefined
}

/**
 * A disk that writes nothing: it keeps what would have been written, hashed. Unpacking onto it gives the files of an
 * image by exactly the rules of unpacking, links and whiteouts included.
 */
export class RecordingDisk extends Disk {
  readonly facts = new Map<ByteString, FileFact>()
  readonly captured = new Map<ByteString, Uint8Array>()
  readonly #capture: (path: string) => boolean
  readonly #open = new Map<number, Writing>()
  #next = 0
  #capturedBytes = 0

  /** @param capture - Files whose content is kept. */
  constructor(capture: (path: string) => boolean) {
    super('', 'squash')
    this.#capture = capture
  }

  override makeDirectory(path: ByteString): void {
    this.facts.set(path, DIRECTORY)
  }

  override createFile(path: ByteString): number {
    const chunks = this.#capture(toDisplay(path)) ? [] : undefined
    this.#open.set(++this.#next, { hash: createHash('sha256'), path, size: 0, chunks })
    return this.#next
  }

  override write(path: ByteString, file: number, chunk: Uint8Array, position: number | null): void {
    const writing = this.#writing(file, path)
    if (position !== null) this.#fillHole(writing, position - writing.size)
    this.#append(writing, chunk)
  }

  #append(writing: Writing, chunk: Uint8Array): void {
    writing.hash.update(chunk)
    writing.size += chunk.length
    if (writing.chunks === undefined) return
    this.#countCaptured(chunk.length, writing.path)
    writing.chunks.push(new Uint8Array(chunk))
  }

  #countCaptured(bytes: number, path: ByteString): void {
    this.#capturedBytes += bytes
    if (this.#capturedBytes > MAX_CAPTURED_BYTES)
      throw new ImageError('unpack.limit', `more than ${MAX_CAPTURED_BYTES} bytes to look at`, {
        entry: toDisplay(path),
      })
  }

  override finishFile(path: ByteString, file: number, metadata: Metadata, truncateTo?: number): void {
    const writing = this.#writing(file, path)
    if (truncateTo !== undefined) this.#fillHole(writing, truncateTo - writing.size)
    this.#open.delete(file)
    const { mode, uid, gid } = metadata
    this.facts.set(path, { kind: 'file', mode, uid, gid, size: writing.size, content: writing.hash.digest('hex') })
    if (writing.chunks !== undefined) this.captured.set(path, new Uint8Array(Buffer.concat(writing.chunks)))
  }

  override closeFile(_path: ByteString, file: number): void {
    this.#open.delete(file)
  }

  override symlink(path: ByteString, target: ByteString, { uid, gid }: Metadata): void {
    this.facts.set(path, { kind: 'symlink', mode: 0o777, uid, gid, size: 0, content: toDisplay(target) })
  }

  override hardlink(from: ByteString, path: ByteString): void {
    const fact = this.facts.get(from)
    const captured = this.captured.get(from)
    if (fact !== undefined) this.facts.set(path, fact)
    if (captured !== undefined && this.#capture(toDisplay(path))) this.captured.set(path, captured)
  }

  /** @param node - What `describeNode` said of it. */
  override adopt(node: string, path: ByteString, { mode, uid, gid }: Metadata): void {
    this.facts.set(path, { kind: 'special', mode, uid, gid, size: 0, content: node })
  }

  override describe(path: ByteString, { mode, uid, gid }: Metadata): void {
    this.facts.set(path, { ...this.facts.get(path), kind: 'directory', mode, uid, gid, size: 0, content: '' })
  }

  override setAttributes(files: readonly AttributesOf[]): void {
    for (const { path, attributes } of files) {
      for (const [name, value] of attributes) this.#countCaptured(name.length + value.length, path)
      const fact = this.facts.get(path) ?? DIRECTORY
      const found = [...attributes].map(
        ([name, value]) => [toDisplay(name), Buffer.from(value).toString('hex')] as const,
      )
      const all = new Map([...Object.entries(fact.attributes ?? {}), ...found])
      this.facts.set(path, { ...fact, attributes: Object.fromEntries([...all].sort(([a], [b]) => (a < b ? -1 : 1))) })
    }
  }

  override hideLower(path: ByteString, node: TreeNode): void {
    this.#drop(path, node)
  }

  override replaceLower(path: ByteString, node: TreeNode): void {
    this.#drop(path, node)
  }

  #drop(path: ByteString, node: TreeNode): void {
    if (node.kind === 'directory') for (const [name, child] of node.children) this.#drop(join(path, name), child)
    this.facts.delete(path)
    this.captured.delete(path)
  }

  #fillHole(writing: Writing, length: number): void {
    for (let left = length; left > 0; left -= ZEROS.length)
      this.#append(writing, ZEROS.subarray(0, Math.min(left, ZEROS.length)))
  }

  #writing(file: number, path: ByteString): Writing {
    const writing = this.#open.get(file)
    if (writing === undefined) throw new ImageError('unpack.filesystem', 'not open', { entry: toDisplay(path) })
    return writing
  }
}
