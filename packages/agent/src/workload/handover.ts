import { closeSync, constants, fchownSync, fstatSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { utf8 } from '@vouchsafe/core'
import type { ImageUser } from './image-user.ts'
import type { ProcessName } from './own-process.ts'

const MEMORY = '/dev/shm'

/** The descriptor at which a workload finds its manifest. */
export const MANIFEST_FD = 3

/**
 * A file in memory without a name: it was opened and unlinked at once, so that no path leads to it and nothing remains of
 * it when the last descriptor closes (decision 23). Swap is the host's matter.
 */
export class MemoryFile {
  /** For the workload: read-only, with an offset of its own. */
  readonly readFd: number
  readonly #writeFd: number

  /** @param owner - Names the file for the instant in which it has a name; see `removeLeftovers`. */
  constructor(owner: ProcessName, user: ImageUser) {
    const name = `${MEMORY}/${owner}-${randomBytes(8).toString('hex')}`
    this.#writeFd = openSync(
      name,
      constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o600,
    )
    try {
      this.readFd = openSync(name, constants.O_RDONLY | constants.O_NOFOLLOW)
    } finally {
      unlinkSync(name)
    }
    if (process.getuid?.() === 0) fchownSync(this.#writeFd, user.uid, user.gid)
  }

  /** For the workload: the same file, writable. */
  get writeFd(): number {
    return this.#writeFd
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) at += writeSync(this.#writeFd, bytes, at)
  }

  size(): number {
    return fstatSync(this.#writeFd).size
  }

  /** Its first bytes, at most as many as given. */
  read(maxBytes: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(maxBytes, this.size()))
    for (let at = 0; at < bytes.length;) {
      const read = readSync(this.readFd, bytes, at, bytes.length - at, at)
      if (read === 0) return bytes.subarray(0, at)
      at += read
    }
    return bytes
  }

  close(): void {
    closeSync(this.readFd)
    closeSync(this.#writeFd)
  }
}

/** One thing that a workload is given: what it is called, what it is, and where it lies. */
export interface Handed {
  /** `owner/resource/path`. */
  readonly name: string
  readonly kind: 'secret' | 'data'
  readonly file: MemoryFile
}

/**
 * The descriptors that the workload finds, from number 3 on: the manifest at descriptor 3, then every secret and data file, then the file for its
 * result. The manifest is JSON, `{"version":1,"inputs":{name:{"fd","kind"}},"result":{"fd"}}`; see docs/spec/workload.md.
 */
export function layOut(inputs: readonly Handed[], result: MemoryFile, newFile: () => MemoryFile): readonly number[] {
  const first = MANIFEST_FD + 1
  const entries = inputs.map(({ name, kind }, i) => [name, { fd: first + i, kind }] as const)
  const manifest = newFile()
  manifest.write(
    utf8(JSON.stringify({ version: 1, inputs: Object.fromEntries(entries), result: { fd: first + inputs.length } })),
  )
  return [manifest.readFd, ...inputs.map(({ file }) => file.readFd), result.writeFd]
}
