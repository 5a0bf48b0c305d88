import { createHash, createHmac } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'

/** A thread takes as long to start as hashing some ten megabytes: below this it does not pay. */
const WORTH_A_THREAD = 64 * 1024 * 1024
/**
 * As many hashes as one encrypted layer needs, also where there are fewer processors: a caller who hashes too leaves the
 * others without bytes. Each thread holds about 11 MiB.
 */
const MAX_THREADS = 3
const SLOT_BYTES = 512 * 1024
const SLOTS = 2
/** All it holds is one hash: the engine's own defaults are made for programs. */
const THREAD_LIMITS = { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 }

let threads = 0

/** A hash over a stream. Close it in any case. */
export interface HashLane extends Disposable {
  /** When what this returns has settled, the bytes are the caller's again, to change or to hand on. */
  update(bytes: Uint8Array): Promise<void> | undefined
  digest(): Promise<Uint8Array>
}

export interface HashLaneOptions {
  /** How much is expected to come. Decides about the thread, and about nothing else. */
  readonly expectedBytes: number
  /** Makes it an HMAC. */
  readonly key?: Uint8Array
}

/**
 * A hash that runs beside its caller, where much is expected and processors are there: a large encrypted layer is hashed
 * three times over, which takes longer than everything else that happens to it. Otherwise it runs in place.
 */
export function startHash(algorithm: 'sha256' | 'sha512', options: HashLaneOptions): HashLane {
  const { expectedBytes, key } = options
  const pays = expectedBytes >= WORTH_A_THREAD && availableParallelism() > 1
  if (pays && threads < MAX_THREADS) return new ThreadLane(algorithm, key)
  const hash = key === undefined ? createHash(algorithm) : createHmac(algorithm, key)
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => Promise.resolve(new Uint8Array(hash.digest())),
    [Symbol.dispose]: () => undefined,
  }
}

interface Filled {
  readonly slot: number
  readonly length: number
}

type Answer = { readonly free: number } | { readonly digest: Uint8Array }

/** Bytes travel through a ring of shared memory: filled here, hashed there, and then free again. */
class ThreadLane implements HashLane {
  readonly #ring = new SharedArrayBuffer(SLOTS * SLOT_BYTES)
  readonly #worker: Worker
  readonly #free = Array.from({ length: SLOTS }, (_, slot) => slot)
  #filling: { readonly slot: number; length: number } | undefined
  #waiting = Promise.withResolvers<void>()
  readonly #digest = Promise.withResolvers<Uint8Array>()
  #failure: Error | undefined
  #closed = false

  constructor(algorithm: string, key: Uint8Array | undefined) {
    threads++
    const workerData: Job = { ring: this.#ring, slotBytes: SLOT_BYTES, algorithm, key }
    // by its text: beside a program that was bundled into one file there is no module to start
    this.#worker = new Worker(`(${hashInThread.toString()})()`, {
      eval: true,
      workerData,
      execArgv: [],
      env: {},
      resourceLimits: THREAD_LIMITS,
    })
    this.#digest.promise.catch(() => undefined) // whoever asks for the digest hears of it
    this.#worker.on('message', (answer: Answer) => {
      if ('digest' in answer) this.#digest.resolve(answer.digest)
      else this.#free.push(answer.free)
      this.#wake()
    })
    this.#worker.on('error', (error) => this.#fail(error as Error))
    this.#worker.on('exit', () => this.#fail(new Error('the hashing thread ended before its answer')))
  }

  async update(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      this.#filling ??= { slot: await this.#takeFree(), length: 0 }
      const { slot, length } = this.#filling
      const part = bytes.subarray(at, at + SLOT_BYTES - length)
      new Uint8Array(this.#ring, slot * SLOT_BYTES + length).set(part)
      at += part.length
      this.#filling.length += part.length
      if (this.#filling.length === SLOT_BYTES) this.#send()
    }
  }

  async digest(): Promise<Uint8Array> {
    this.#send()
    this.#worker.postMessage('digest')
    return this.#digest.promise
  }

  [Symbol.dispose](): void {
    if (this.#closed) return
    this.#closed = true
    threads--
    void this.#worker.terminate()
  }

  #send(): void {
    if (this.#filling !== undefined) this.#worker.postMessage(this.#filling satisfies Filled)
    this.#filling = undefined
  }

  async #takeFree(): Promise<number> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure
      const slot = this.#free.pop()
      if (slot !== undefined) return slot
      await this.#waiting.promise
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error
    this.#digest.reject(this.#failure)
    this.#wake()
  }

  #wake(): void {
    this.#waiting.resolve()
    this.#waiting = Promise.withResolvers<void>()
  }
}

interface Job {
  readonly ring: SharedArrayBuffer
  readonly slotBytes: number
  readonly algorithm: string
  readonly key: Uint8Array | undefined
}

/** Runs in the thread, from its text alone: it can name nothing of this module. */
function hashInThread(): void {
  const { createHash, createHmac } = process.getBuiltinModule('node:crypto')
  const { parentPort, workerData } = process.getBuiltinModule('node:worker_threads')
  const { ring, slotBytes, algorithm, key } = workerData as Job
  const hash = key === undefined ? createHash(algorithm) : createHmac(algorithm, key)
  parentPort?.on('message', (message: Filled | 'digest') => {
    if (message === 'digest') {
      parentPort.postMessage({ digest: new Uint8Array(hash.digest()) })
    } else {
      hash.update(new Uint8Array(ring, message.slot * slotBytes, message.length))
      parentPort.postMessage({ free: message.slot })
    }
  })
}
