import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { type CollateralEntry, encodeEntry, MAX_ENTRY_BYTES, parseEntry } from './entry.ts'
import type { CollateralStore } from './store.ts'

/**
 * One file an entry, in a folder of its own. Files are written beside and renamed, so a crash leaves the old one or the
 * new one. A file that cannot be read as an entry, or is of another key than its name says, counts as absent.
 */
export class DiskCollateralStore implements CollateralStore {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  async get(key: string): Promise<CollateralEntry | undefined> {
    const entry = await this.#read(this.#file(key))
    return entry?.key === key ? entry : undefined
  }

  async put(entry: CollateralEntry): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    const file = this.#file(entry.key)
    const fresh = `${file}.${randomBytes(6).toString('hex')}.tmp`
    try {
      await writeFile(fresh, encodeEntry(entry), { mode: 0o600, flag: 'wx' })
      await rename(fresh, file)
    } catch (error) {
      await rm(fresh, { force: true })
      throw error
    }
  }

  async delete(key: string): Promise<void> {
    await rm(this.#file(key), { force: true })
  }

  async keys(): Promise<readonly string[]> {
    const names = await readdir(this.#folder).catch(absent([]))
    const entries = await Promise.all(
      names.filter((name) => name.endsWith('.json')).map((name) => this.#read(path.join(this.#folder, name))),
    )
    return entries.flatMap((entry) => (entry === undefined ? [] : [entry.key])).toSorted()
  }

  #file(key: string): string {
    return path.join(this.#folder, `${createHash('sha256').update(key).digest('hex')}.json`)
  }

  async #read(file: string): Promise<CollateralEntry | undefined> {
    const found = await stat(file).catch(absent(undefined))
    if (found === undefined || !found.isFile() || found.size > 2 * MAX_ENTRY_BYTES) return undefined
    const bytes = await readFile(file).catch(absent(undefined))
    if (bytes === undefined) return undefined
    try {
      return parseEntry(bytes)
    } catch {
      return undefined // damaged or tampered with: the keeper fetches anew
    }
  }
}

/** Not being there is an answer; every other trouble with the disk is not. */
function absent<T>(value: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === 'ENOENT') return value
    throw error
  }
}
