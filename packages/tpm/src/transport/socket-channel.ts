import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { TpmError } from '../codec/errors.ts'

/** Where a stream socket leads. */
export type SocketAddress = { readonly path: string } | { readonly host: string; readonly port: number }

/** Tells how long the next message on the stream is, or undefined while too little has arrived to know. */
export type MessageLength = (received: Uint8Array) => number | undefined

const CONNECT_TIMEOUT_MS = 5_000
const NOTHING = new Uint8Array()

interface Waiting {
  readonly resolve: (message: Uint8Array) => void
  readonly reject: (error: TpmError) => void
  readonly lengthOf: MessageLength
}

/**
 * Request and response over a stream socket: whole messages out, whole messages in, one at a time. A time-out or an
 * answer that nobody asked for closes the socket, since a late answer would be taken for the next one.
 */
export class SocketChannel {
  readonly #socket: Socket
  readonly #name: string
  #received: Uint8Array = NOTHING
  #failure: TpmError | undefined
  #waiting: Waiting | undefined
  #timer: NodeJS.Timeout | undefined
  #timerMs = 0

  private constructor(socket: Socket, name: string) {
    this.#socket = socket
    this.#name = name
    socket.on('data', (chunk: Uint8Array) => this.#onData(chunk))
    socket.on('error', (cause) => this.#fail(new TpmError('tpm.unavailable', `${name}: ${cause.message}`, { cause })))
    socket.on('close', () => this.#fail(new TpmError('tpm.unavailable', `${name}: the connection was closed`)))
  }

  /** @throws {TpmError} `tpm.unavailable` */
  static open(address: SocketAddress, name: string): Promise<SocketChannel> {
    return new Promise((resolve, reject) => {
      const socket = connect(address)
      const refuse = (why: string, cause?: Error) => {
        socket.destroy()
        reject(new TpmError('tpm.unavailable', `${name}: ${why}`, cause === undefined ? {} : { cause }))
      }
      socket.setNoDelay(true)
      socket.setTimeout(CONNECT_TIMEOUT_MS, () => refuse('no connection in time'))
      socket.once('error', (cause) => refuse(cause.message, cause))
      socket.once('connect', () => {
        socket.removeAllListeners()
        socket.setTimeout(0)
        resolve(new SocketChannel(socket, name))
      })
    })
  }

  /** Sends `request` and resolves with the next message, as long as `lengthOf` says. Never call it while one is open. */
  request(request: Uint8Array, lengthOf: MessageLength, timeoutMs: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) throw this.#failure
      if (this.#waiting !== undefined) throw new TpmError('internal', `${this.#name}: a second request in flight`)
      this.#waiting = { resolve, reject, lengthOf }
      this.#startTimer(timeoutMs)
      this.#socket.write(request)
    })
  }

  /** Sends without expecting an answer. */
  send(request: Uint8Array): void {
    if (this.#failure === undefined) this.#socket.write(request)
  }

  close(): Promise<void> {
    this.#fail(new TpmError('tpm.unavailable', `${this.#name} is closed`))
    clearTimeout(this.#timer)
    if (this.#socket.closed) return Promise.resolve()
    return new Promise((resolve) => {
      this.#socket.once('close', () => resolve())
      this.#socket.destroySoon()
    })
  }

  #onData(chunk: Uint8Array): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    const waiting = this.#waiting
    if (waiting === undefined) {
      this.#break(new TpmError('tpm.integrity', `${this.#name}: ${chunk.length} bytes that nobody asked for`))
      return
    }
    let length: number | undefined
    try {
      length = waiting.lengthOf(this.#received)
    } catch (error) {
      this.#break(error instanceof TpmError ? error : new TpmError('internal', String(error), { cause: error }))
      return
    }
    if (length === undefined || this.#received.length < length) return
    if (this.#received.length > length) {
      const surplus = this.#received.length - length
      this.#break(new TpmError('tpm.integrity', `${this.#name}: ${surplus} bytes after the answer`))
      return
    }
    // Node reads each chunk into memory of its own, so this is ours; but never a Buffer, whose slice() aliases
    const { buffer, byteOffset } = this.#received
    const message = new Uint8Array(buffer, byteOffset, length)
    this.#received = NOTHING
    this.#waiting = undefined
    waiting.resolve(message)
  }

  /** One timer for all requests, started anew with each; between them it finds nobody waiting. The socket keeps us alive. */
  #startTimer(timeoutMs: number): void {
    if (this.#timer !== undefined && this.#timerMs === timeoutMs) {
      this.#timer.refresh()
      return
    }
    clearTimeout(this.#timer)
    this.#timerMs = timeoutMs
    this.#timer = setTimeout(() => {
      if (this.#waiting !== undefined) this.#break(this.#late(timeoutMs))
    }, timeoutMs)
    this.#timer.unref()
  }

  #late(timeoutMs: number): TpmError {
    return new TpmError(
      'tpm.timeout',
      `${this.#name}: no answer within ${timeoutMs} ms; a simulator serves one connection at a time, ` +
        'so another process may hold it',
    )
  }

  /** Ends the connection because of `error`. */
  #break(error: TpmError): void {
    this.#fail(error)
    clearTimeout(this.#timer)
    this.#socket.destroy()
  }

  #fail(error: TpmError): void {
    this.#failure ??= error
    const waiting = this.#waiting
    if (waiting === undefined) return
    this.#waiting = undefined
    waiting.reject(error)
  }
}
