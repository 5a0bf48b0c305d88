import { createHash } from 'node:crypto'
import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs'
import { ImageError } from '../errors.ts'
import { type ByteString, fromText, toByteString, toFsPath } from '../tar/format.ts'
import { withAccess } from '../unpack/owner-access.ts'
import { checkTwin, type DirectoryNode, join, newDirectory, type Tree } from '../unpack/tree.ts'

/** What stands at one path of a snapshot. `link` numbers the names of one file that has several. */
export type ListingEntry = readonly [
  path: ByteString,
  kind: 'directory' | 'file' | 'symlink' | 'whiteout' | 'special',
  mode: number,
  uid: number,
  gid: number,
  mtimeNs: string,
  /** Content digest, link target, or device number. */
  content: string,
  link: number,
]

const READ_BYTES = 1024 * 1024

/**
 * Everything about a snapshot that a process in it could see, one line an entry, in the order of the bytes of its
 * paths. Made when a layer was unpacked, and made again and compared before the layer is used again.
 *
 * Extended attributes are not in it: Node cannot read them.
 */
export function listSnapshot(root: string): string {
  const lines: string[] = []
  const links = new Map<bigint, number>()
  const buffer = new Uint8Array(READ_BYTES)
  const visit = (path: ByteString): void => {
    const file = toFsPath(path === '' ? fromText(root) : `${fromText(root)}/${path}`)
    const stat = lstatSync(file, { bigint: true })
    const mode = Number(stat.mode & 0o7777n)
    const directory = stat.isDirectory()
    let link = 0
    if (!directory && stat.nlink > 1n && stat.rdev === 0n && !stat.isCharacterDevice()) {
      link = links.get(stat.ino) ?? links.size + 1
      links.set(stat.ino, link)
    }
    const [kind, content]: [ListingEntry[1], string] = directory
      ? ['directory', '']
      : stat.isFile()
        ? ['file', withAccess(file, mode, 0o400, () => hashFile(file, buffer))]
        : stat.isSymbolicLink()
          ? ['symlink', toByteString(readlinkSync(file, { encoding: 'buffer' }))]
          : stat.isCharacterDevice() && stat.rdev === 0n
            ? ['whiteout', '']
            : ['special', `${stat.mode >> 12n}:${stat.rdev}`]
    const mtime = kind === 'whiteout' ? '0' : String(stat.mtimeNs)
    const entry: ListingEntry = [path, kind, mode, Number(stat.uid), Number(stat.gid), mtime, content, link]
    lines.push(`${JSON.stringify(entry)}\n`)
    if (directory)
      withAccess(file, mode, 0o500, () => {
        for (const name of readdirSync(file, { encoding: 'buffer' }).sort(Buffer.compare))
          visit(join(path, toByteString(name)))
      })
  }
  try {
    visit('')
  } catch (cause) {
    if (cause instanceof ImageError) throw cause
    throw new ImageError('store.corrupt', `${root}: cannot be read`, { cause })
  }
  return lines.join('')
}

/** Lines of a listing whose digest was compared already. */
export function parseListing(text: string): readonly ListingEntry[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ListingEntry)
}

/** The first difference, for a message. */
export function firstDifference(recorded: string, found: string): string {
  const was = new Set(recorded.split('\n'))
  const is = new Set(found.split('\n'))
  for (const line of is) if (!was.has(line)) return `found ${line.slice(0, 200)}`
  for (const line of was) if (!is.has(line)) return `missing ${line.slice(0, 200)}`
  return 'the order differs'
}

/** Puts a stored layer on top of a tree, as unpacking it had done. */
export function replayListing(tree: Tree, entries: readonly ListingEntry[], layer: number): void {
  for (const [path, kind, mode, uid, gid, mtimeNs, content] of entries) {
    const metadata = { mode, uid, gid, mtime: toTimestamp(BigInt(mtimeNs)) }
    if (path === '') {
      Object.assign(tree.root, { metadata, describedBy: layer, touchedBy: layer })
      continue
    }
    const slash = path.lastIndexOf('/')
    const parent = directoryAt(tree, slash < 0 ? '' : path.slice(0, slash))
    const name = path.slice(slash + 1)
    if (kind === 'whiteout') {
      parent.children.delete(name)
    } else if (kind === 'directory') {
      checkTwin(parent, name, kind, path)
      const existing = parent.children.get(name)
      const node = existing?.kind === 'directory' ? existing : newDirectory(parent)
      Object.assign(node, { metadata, describedBy: layer, touchedBy: layer })
      parent.children.set(name, node)
    } else if (kind === 'symlink') {
      checkTwin(parent, name, kind, path)
      parent.children.set(name, { kind, layer, target: content })
    } else parent.children.set(name, { kind, layer })
  }
  tree.forget()
}

function directoryAt(tree: Tree, path: ByteString): DirectoryNode {
  let node: DirectoryNode = tree.root
  for (const name of path === '' ? [] : path.split('/')) {
    const next = node.children.get(name)
    if (next?.kind !== 'directory')
      throw new ImageError('store.corrupt', 'a listing names something below what is no directory')
    node = next
  }
  return node
}

function toTimestamp(ns: bigint) {
  const seconds = ns / 1_000_000_000n
  const floor = ns < 0n && ns % 1_000_000_000n !== 0n ? seconds - 1n : seconds
  return { seconds: Number(floor), nanoseconds: Number(ns - floor * 1_000_000_000n) }
}

function hashFile(file: string | Buffer, buffer: Uint8Array): string {
  const hash = createHash('sha256')
  const handle = openSync(file, 'r')
  try {
    for (let read = readSync(handle, buffer); read > 0; read = readSync(handle, buffer))
      hash.update(buffer.subarray(0, read))
  } finally {
    closeSync(handle)
  }
  return hash.digest('hex')
}
