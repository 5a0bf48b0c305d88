import { link, lstat, mkdtemp, open, readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { ImageError } from '../errors.ts'
import { syncDirectory } from '../layout/layout.ts'
import { padding, tarEnd, tarHeader } from '../tar/write-tar.ts'
import { readRange } from './read-range.ts'

const READ_BYTES = 1024 * 1024

/**
 * Packs an image layout into one file, the same bytes for the same layout: entries sorted, owned by 0:0, of 1970.
 *
 * @param directory - A finished layout. What is not part of one is left out.
 * @param file - Appears when it is complete and on disk, and only where nothing is yet.
 * @param signal - Ends the writing, of which nothing is left: `aborted`.
 * @throws {ImageError} `archive.exists`; `layout.malformed` where a part of the layout is no regular file, or changes.
 */
export async function writeArchive(directory: string, file: string, signal?: AbortSignal): Promise<void> {
  await assertAbsent(file)
  // beside the file, so that it gets its name in one step
  const staging = await mkdtemp(path.join(path.dirname(path.resolve(file)), '.vouchsafe-archive-'))
  try {
    const temporary = path.join(staging, 'archive')
    const handle = await open(temporary, 'wx', 0o644)
    try {
      for await (const bytes of pack(directory)) {
        if (signal?.aborted === true) throw new ImageError('aborted', 'told to stop')
        await handle.writeFile(bytes)
      }
      await handle.sync()
    } finally {
      await handle.close()
    }
    await link(temporary, file).catch((cause: NodeJS.ErrnoException) => {
      throw cause.code === 'EEXIST' ? exists(file) : cause
    })
    await syncDirectory(path.dirname(path.resolve(file)))
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}

/** @throws {ImageError} `archive.exists` where there is something already, a link that leads nowhere too. */
export async function assertAbsent(file: string): Promise<void> {
  const found = await lstat(file).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined
    throw cause
  })
  if (found !== undefined) throw exists(file)
}

function exists(file: string): ImageError {
  return new ImageError('archive.exists', `${file} is there already, and an archive is written whole`)
}

async function* pack(directory: string): AsyncGenerator<Uint8Array> {
  const names = ['oci-layout', 'index.json', 'blobs']
  for (const algorithm of (await readdir(path.join(directory, 'blobs'))).sort()) {
    names.push(`blobs/${algorithm}`)
    const blobs = (await readdir(path.join(directory, 'blobs', algorithm))).sort()
    names.push(...blobs.map((blob) => `blobs/${algorithm}/${blob}`))
  }
  for (const name of names) {
    const file = path.join(directory, name)
    const stat = await lstat(file)
    const kind = stat.isDirectory() ? 'directory' : 'file'
    // a link would put a file from elsewhere into the archive
    if (kind === 'file' && !stat.isFile()) throw new ImageError('layout.malformed', `${file}: not a regular file`)
    const size = kind === 'file' ? stat.size : 0
    const mode = kind === 'file' ? 0o644 : 0o755
    yield tarHeader({ kind, path: name, mode, uid: 0, gid: 0, mtimeSeconds: 0, size })
    if (kind === 'directory') continue
    let left = size
    for await (const bytes of readRange(file, { start: 0, end: size - 1 }, new Uint8Array(READ_BYTES))) {
      left -= bytes.length
      yield bytes
    }
    if (left > 0) throw new ImageError('layout.malformed', `${file}: shorter than it was, by ${left} bytes`)
    yield padding(size)
  }
  yield tarEnd()
}
