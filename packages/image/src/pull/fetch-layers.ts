import { createReadStream } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import path from 'node:path'
import { ImageError } from '../errors.ts'
import type { ImageSource } from '../oci/chain.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Content, verifiedWhileRead } from '../oci/digest.ts'

const READ_BYTES = 1024 * 1024

/**
 * Fetches blobs side by side into files, each verified while it is written, and hands them out in order. At most
 * `parallel` are under way, and no more than `parallel` finished ones wait, so disk and memory stay bounded.
 */
export class LayerFetcher {
  readonly #source: ImageSource
  readonly #directory: string
  readonly #queue: readonly Descriptor[]
  readonly #parallel: number
  readonly #onBytes: (layer: number, bytes: number) => void
  readonly #signal: AbortSignal | undefined
  readonly #running = new Map<number, Promise<string>>()
  #started = 0
  #stopped = false

  constructor(
    queue: readonly Descriptor[],
    options: {
      readonly source: ImageSource
      readonly directory: string
      readonly parallel: number
      readonly onBytes: (layer: number, bytes: number) => void
      readonly signal: AbortSignal | undefined
    },
  ) {
    this.#queue = queue
    this.#source = options.source
    this.#directory = options.directory
    this.#parallel = options.parallel
    this.#onBytes = options.onBytes
    this.#signal = options.signal
  }

  /** Bytes of the n-th blob of the queue. Take them in order; a blob's file goes away when it was read. */
  async *take(position: number): AsyncGenerator<Uint8Array, void, undefined> {
    this.#startUpTo(position + this.#parallel)
    const running = this.#running.get(position)
    if (running === undefined) throw new ImageError('layout.missing', `layer ${position} was taken already`)
    this.#running.delete(position)
    const file = await running
    this.#startUpTo(position + 1 + this.#parallel)
    try {
      for await (const chunk of createReadStream(file, { highWaterMark: READ_BYTES })) yield chunk as Uint8Array
    } finally {
      await rm(file, { force: true })
    }
  }

  /**
   * Call when the rest is not wanted any more. Does not wait: what is under way ends with its next bytes, or with its
   * connection, and until then writes into files that have no name any more.
   */
  stop(): void {
    this.#stopped = true
  }

  #startUpTo(end: number): void {
    for (; this.#started < Math.min(end, this.#queue.length); this.#started++) {
      const position = this.#started
      const descriptor = this.#queue[position]
      if (descriptor === undefined) return
      const running = this.#fetch(position, descriptor)
      running.catch(() => undefined) // reported when it is taken
      this.#running.set(position, running)
    }
  }

  async #fetch(position: number, blob: Content): Promise<string> {
    const file = path.join(this.#directory, `blob-${position}`)
    const handle = await onDisk(blob, open(file, 'wx', 0o600))
    try {
      for await (const chunk of verifiedWhileRead(this.#source.openBlob(blob), blob, `layer ${blob.digest}`)) {
        if (this.#stopped || this.#signal?.aborted === true)
          throw new ImageError('aborted', 'fetching was ended', { cause: this.#signal?.reason })
        for (let at = 0; at < chunk.length;) at += (await onDisk(blob, handle.write(chunk, at))).bytesWritten
        this.#onBytes(position, chunk.length)
      }
      return file
    } finally {
      await handle.close()
    }
  }
}

/** One border for errors of the operating system: a full disk is no bug. */
async function onDisk<T>({ digest }: Content, action: Promise<T>): Promise<T> {
  try {
    return await action
  } catch (cause) {
    throw new ImageError(
      'unpack.filesystem',
      `layer ${digest}: the file system refused: ${(cause as NodeJS.ErrnoException).code ?? 'unknown'}`,
      { cause },
    )
  }
}
