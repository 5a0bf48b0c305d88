import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { ImageError } from '../errors.ts'
import { GitObjects, isObjectId } from './git-objects.ts'

/** What lies in a directory that was checked out, by ids that its every byte was held against. */
export interface CheckedOut {
  readonly commit: string
  readonly tree: string
  /** Commits without parents that it comes from. */
  readonly roots: readonly string[]
  readonly files: number
}

interface Entry {
  readonly mode: string
  readonly path: Buffer
  readonly id: string
}

const MAX_FILES = 1_000_000
const MAX_DEPTH = 256

/**
 * Writes the tree of a commit into a new directory, byte for byte as it is stored: from commit to tree to file each step
 * is held against its id, so neither the work tree nor the repository's settings have a say.
 *
 * @param commit - The whole id: a branch or tag may be another commit tomorrow.
 * @param target - Must not exist.
 * @throws {ImageError} `source.unavailable`, `source.mismatch`, `source.unsupported` for submodules and for names that lead elsewhere.
 */
export function checkOut(repository: string, commit: string, target: string): CheckedOut {
  if (!isObjectId(commit))
    throw new ImageError('source.unsupported', `${JSON.stringify(commit.slice(0, 80))} is not the whole id of a commit`)
  const objects = new GitObjects(repository)
  const [content = new Uint8Array()] = objects.read('commit', [commit])
  const [, tree] = /^tree ([0-9a-f]+)\n/.exec(Buffer.from(content).toString('latin1')) ?? []
  if (tree === undefined || tree.length !== commit.length)
    throw new ImageError('source.mismatch', `commit ${commit}: names no tree`)
  mkdirSync(target, { mode: 0o700 })
  const files: Entry[] = []
  let directories: Entry[] = [{ mode: '40000', path: Buffer.from(target), id: tree }]
  for (let depth = 0; directories.length > 0; depth++) {
    if (depth > MAX_DEPTH)
      throw new ImageError('source.unsupported', `commit ${commit}: over ${MAX_DEPTH} directories deep`)
    const below: Entry[] = []
    const contents = objects.read(
      'tree',
      directories.map(({ id }) => id),
    )
    for (const [i, bytes] of [...contents].entries()) {
      const { path = Buffer.alloc(0) } = directories[i] ?? {}
      for (const entry of readTree(bytes, path, commit.length / 2)) {
        if (entry.mode !== '40000') files.push(entry)
        else {
          make(entry, () => mkdirSync(entry.path, { mode: 0o755 }))
          below.push(entry)
        }
      }
      if (files.length > MAX_FILES)
        throw new ImageError('source.unsupported', `commit ${commit}: over ${MAX_FILES} files`)
    }
    directories = below
  }
  let next = 0
  for (const bytes of objects.read(
    'blob',
    files.map(({ id }) => id),
  ))
    write(files[next++], bytes)
  return { commit, tree, roots: objects.roots(commit), files: files.length }
}

/** A tree is a list of `mode name NUL id`, the id in bytes. */
function* readTree(bytes: Uint8Array, parent: Buffer, idBytes: number): Generator<Entry> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = 0; at < buffer.length;) {
    const space = buffer.indexOf(0x20, at)
    const nul = buffer.indexOf(0, at)
    if (space < 0 || nul < space || nul + 1 + idBytes > buffer.length)
      throw new ImageError('source.mismatch', `${parent.toString()}: a tree that cannot be read`)
    const mode = buffer.toString('latin1', at, space)
    const name = buffer.subarray(space + 1, nul)
    at = nul + 1 + idBytes
    const path = Buffer.concat([parent, Buffer.from('/'), name])
    assertTaken(mode, name, path)
    yield { mode, path, id: buffer.toString('hex', nul + 1, at) }
  }
}

function assertTaken(mode: string, name: Buffer, path: Buffer): void {
  const text = name.toString('latin1')
  if (['', '.', '..'].includes(text) || text.includes('/') || text.toLowerCase() === '.git')
    throw new ImageError('source.unsupported', `${path.toString()}: a name that leads elsewhere`)
  if (!['40000', '100644', '100755', '120000'].includes(mode))
    throw new ImageError(
      'source.unsupported',
      `${path.toString()}: ${mode === '160000' ? 'a submodule: bring its files into the commit' : `mode ${mode}`}`,
    )
}

function write(entry: Entry | undefined, bytes: Uint8Array): void {
  if (entry === undefined) return
  make(entry, () => {
    if (entry.mode === '120000') {
      if (bytes.length === 0 || bytes.includes(0))
        throw new ImageError('source.unsupported', `${entry.path.toString()}: a link to what is no path`)
      return symlinkSync(Buffer.from(bytes), entry.path)
    }
    const mode = entry.mode === '100755' ? 0o755 : 0o644
    writeFileSync(entry.path, bytes, { flag: 'wx', mode })
    chmodSync(entry.path, mode) // whatever the umask says
  })
}

/** Nothing is written over, and nothing through a link: a name that is taken is a tree that lies. */
function make(entry: Entry, action: () => void): void {
  try {
    action()
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause
    throw new ImageError(
      'source.unsupported',
      `${entry.path.toString()}: a name twice, or one that this disk takes for another`,
    )
  }
}
