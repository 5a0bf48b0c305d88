import { mkdirSync } from 'node:fs'
import { type FileHandle, open, readFile } from 'node:fs/promises'
import path from 'node:path'
import { VouchsafeError, fromBase64, parseStrictJson, toBase64, toHex, utf8 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { z } from 'zod'
import { FileIdentity } from './file-identity.ts'

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
  /** Null when no head of that tenant was ever kept here. @throws {VouchsafeError} `ledger.regressed` when it is damaged */
  kept(tenant: string): Promise<KeptHead | null>
  /** Resolves once the head, or a later one, is durable. @throws {VouchsafeError} `store.unavailable` */
  keep(tenant: string, head: KeptHead): Promise<void>
  /** Keeps this head even where a later one was kept: after a restore that an operator has accepted. */
  replace(tenant: string, head: KeptHead): Promise<void>
  close(): Promise<void>
}

/**
 * One small file a tenant, for one process. It has two places of 512 bytes that are written in turn, each with its own
 * check sum: a crash spoils at most the one that was being written, and the other holds the head before it.
 */
export function fileHeadGuard(directory: string): HeadGuard {
  const files = new Map<string, HeadFile>()
  const fileOf = (tenant: string): HeadFile => {
    const file = files.get(tenant) ?? new HeadFile(path.join(directory, `${encodeURIComponent(tenant)}.head`), tenant)
    files.set(tenant, file)
    return file
  }
  return {
    kept: (tenant) => fileOf(tenant).read(),
    keep: (tenant, head) => fileOf(tenant).keep(head),
    replace: (tenant, head) => fileOf(tenant).replace(head),
    async close() {
      for (const file of files.values()) await file.close()
      files.clear()
    },
  }
}

const PLACE_BYTES = 512
const schema = z.strictObject({
  head: z.literal('v1'),
  tenant: z.string(),
  /** Counts writes, so that the newer place is known. */
  write: z.number().int().min(1),
  size: z.number().int().min(0),
  root: z.string(),
})

class HeadFile {
  readonly #file: string
  readonly #tenant: string
  #handle: FileHandle | null = null
  #identity: FileIdentity | null = null
  #writes = 0
  #newest: KeptHead | null = null
  /** The write under way, and the one that starts after it. */
  #current: Promise<void> | null = null
  #next: Promise<void> | null = null

  constructor(file: string, tenant: string) {
    this.#file = file
    this.#tenant = tenant
  }

  async read(): Promise<KeptHead | null> {
    let content: Uint8Array
    try {
      content = await readFile(this.#file)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw this.#unavailable('be read', cause)
    }
    const places = [content.subarray(0, PLACE_BYTES), content.subarray(PLACE_BYTES)]
    const newest = places.map(readPlace).reduce((a, b) => ((b?.write ?? 0) > (a?.write ?? 0) ? b : a))
    if (newest === null || newest.tenant !== this.#tenant)
      throw new VouchsafeError(
        'ledger.regressed',
        `the head of ${this.#tenant}’s log that was kept in ${this.#file} is damaged`,
      )
    this.#writes = newest.write
    return { size: newest.size, root: fromBase64(newest.root) }
  }

  keep(head: KeptHead): Promise<void> {
    if (this.#newest === null || head.size > this.#newest.size) this.#newest = head
    // the write under way may hold an older head: wait for the next, which takes the newest that there is by then
    this.#next ??= this.#afterCurrent()
    return this.#next
  }

  async replace(head: KeptHead): Promise<void> {
    await this.#next
    this.#newest = head
    await this.keep(head)
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#current, this.#next])
    await this.#handle?.close()
    this.#handle = null
  }

  async #afterCurrent(): Promise<void> {
    // whoever waited for the write before was told how it ended; this one is on its own
    await Promise.allSettled([this.#current])
    this.#next = null
    this.#current = this.#write()
    return this.#current
  }

  async #write(): Promise<void> {
    if (this.#newest === null) return
    const { size, root } = this.#newest
    const write = this.#writes + 1
    const place = formatPlace({ head: 'v1', tenant: this.#tenant, write, size, root: toBase64(root) })
    try {
      if (this.#handle === null) {
        this.#handle = await openDurably(this.#file)
        this.#identity = new FileIdentity([this.#file])
      }
      await this.#handle.write(place, 0, PLACE_BYTES, (write % 2) * PLACE_BYTES)
      await this.#handle.datasync()
      this.#identity?.assertSame()
    } catch (cause) {
      throw this.#unavailable('be kept', cause)
    }
    this.#writes = write
  }

  #unavailable(what: string, cause: unknown): VouchsafeError {
    return new VouchsafeError(
      'store.unavailable',
      `the head of ${this.#tenant}’s log cannot ${what} in ${this.#file}`,
      { cause },
    )
  }
}

/** Opens or makes the file at its full size, so that later writes change its content only. */
async function openDurably(file: string): Promise<FileHandle> {
  const directory = path.dirname(file)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const handle = await open(file, 'r+').catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return await open(file, 'wx+', 0o600)
  })
  if ((await handle.stat()).size < 2 * PLACE_BYTES) {
    await handle.write(new Uint8Array(2 * PLACE_BYTES), 0, 2 * PLACE_BYTES, 0)
    await handle.sync()
    const parent = await open(directory, 'r')
    await parent.sync()
    await parent.close()
  }
  return handle
}

/** The content, a space, the SHA-256 of the content, then spaces and a newline. */
function formatPlace(content: z.infer<typeof schema>): Uint8Array {
  const text = JSON.stringify(content)
  const line = utf8(`${text} ${toHex(nodeCrypto.digest('sha256', utf8(text)))}`)
  if (line.length >= PLACE_BYTES) throw new VouchsafeError('internal', `a kept head of ${line.length} bytes`)
  const place = new Uint8Array(PLACE_BYTES).fill(0x20)
  place.set(line)
  place[PLACE_BYTES - 1] = 0x0a
  return place
}

/** Null for a place that was never written, or not to its end. */
function readPlace(place: Uint8Array): z.infer<typeof schema> | null {
  const [, text, sum] = /^(\{.*\}) ([0-9a-f]{64}) *\n$/.exec(Buffer.from(place).toString('utf8')) ?? []
  if (text === undefined || toHex(nodeCrypto.digest('sha256', utf8(text))) !== sum) return null
  return schema.parse(parseStrictJson(text, { maxBytes: PLACE_BYTES }))
}
