import { mkdir, open, readFile, rename } from 'node:fs/promises'
import path from 'node:path'
import { VouchsafeError, fromBase64, parseStrictJson, toBase64 } from '@vouchsafe/core'
import { z } from 'zod'

/** The state of a log as this process saw it last. */
export interface KeptHead {
  readonly size: number
  readonly root: Uint8Array
}

/**
 * Keeps each log's head outside the store, so that a store that was rolled back is noticed and sealed (G14, decision
 * 16). It must lie where whoever can restore the store cannot restore it too: another disk, another machine's share.
 */
export interface HeadGuard {
  /** Null when no head of that tenant was ever kept here. */
  kept(tenant: string): Promise<KeptHead | null>
  /** Resolves once the head, or a later one, is durable. @throws {VouchsafeError} `store.unavailable` */
  keep(tenant: string, head: KeptHead): Promise<void>
  /** Keeps this head even where a later one was kept: after a restore that an operator has accepted. */
  replace(tenant: string, head: KeptHead): Promise<void>
}

const schema = z.strictObject({
  head: z.literal('v1'),
  tenant: z.string(),
  size: z.number().int().min(0),
  root: z.string(),
})

/** One small file a tenant. Heads that come while a write is under way are written together, by the next one. */
export function fileHeadGuard(directory: string): HeadGuard {
  const writers = new Map<string, Writer>()
  const writerOf = (tenant: string): Writer => {
    const writer = writers.get(tenant) ?? new Writer(directory, tenant)
    writers.set(tenant, writer)
    return writer
  }
  return {
    keep: (tenant, head) => writerOf(tenant).keep(head),
    replace(tenant, head) {
      writers.delete(tenant)
      return writerOf(tenant).keep(head)
    },
    async kept(tenant) {
      let text: string
      try {
        text = await readFile(fileOf(directory, tenant), 'utf8')
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
        throw new VouchsafeError('store.unavailable', `the kept head of ${tenant} cannot be read`, { cause })
      }
      const head = schema.parse(parseStrictJson(text, { maxBytes: 4096 }))
      if (head.tenant !== tenant)
        throw new VouchsafeError('ledger.regressed', `the kept head is of ${head.tenant}, not ${tenant}`)
      return { size: head.size, root: fromBase64(head.root) }
    },
  }
}

class Writer {
  readonly #directory: string
  readonly #tenant: string
  #newest: KeptHead | null = null
  /** The write under way, and the one that will start after it. */
  #current: Promise<void> | null = null
  #next: Promise<void> | null = null

  constructor(directory: string, tenant: string) {
    this.#directory = directory
    this.#tenant = tenant
  }

  keep(head: KeptHead): Promise<void> {
    if (this.#newest === null || head.size > this.#newest.size) this.#newest = head
    // the write under way may have taken an older head: wait for the next, which takes the newest there is by then
    this.#next ??= this.#afterCurrent()
    return this.#next
  }

  async #afterCurrent(): Promise<void> {
    try {
      await this.#current
    } catch {
      // whoever waited for that write was told; this one tries anew
    }
    const write = this.#write()
    this.#current = write
    this.#next = null
    return write
  }

  async #write(): Promise<void> {
    const head = this.#newest
    if (head === null) return
    const file = fileOf(this.#directory, this.#tenant)
    const text = JSON.stringify({ head: 'v1', tenant: this.#tenant, size: head.size, root: toBase64(head.root) })
    try {
      await writeDurably(file, text)
    } catch (cause) {
      throw new VouchsafeError('store.unavailable', `the head of ${this.#tenant}’s log cannot be kept in ${file}`, {
        cause,
      })
    }
  }
}

/** Replaces a file so that after a crash either the old or the new content is there. */
async function writeDurably(file: string, text: string): Promise<void> {
  const directory = path.dirname(file)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const fresh = `${file}.new`
  const handle = await open(fresh, 'w', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(fresh, file)
  const parent = await open(directory, 'r')
  try {
    await parent.sync()
  } finally {
    await parent.close()
  }
}

function fileOf(directory: string, tenant: string): string {
  return path.join(directory, `${encodeURIComponent(tenant)}.head`)
}
