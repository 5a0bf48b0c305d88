import { VouchsafeError } from '@vouchsafe/core'
import type { WebSocket } from 'ws'

type Message = { readonly kind: 'text' | 'binary'; readonly bytes: Uint8Array }

/** The messages of one WebSocket, in order, each awaited by name. Make it before the first message can arrive. */
export class Inbox {
  /** How the other end hung up, once it has. */
  closeCode: number | undefined
  readonly #messages: Message[] = []
  #closed: string | undefined
  #wake: () => void = () => undefined

  constructor(socket: WebSocket) {
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      this.#messages.push({ kind: isBinary ? 'binary' : 'text', bytes: new Uint8Array(data) })
      this.#wake()
    })
    socket.on('close', (code, reason) => {
      this.closeCode = code
      this.#closed = `closed with ${code} ${reason.toString()}`.trimEnd()
      this.#wake()
    })
    socket.on('error', () => undefined) // always followed by `close`, which is told
  }

  /** @throws {VouchsafeError} `peer.unreachable` when the connection ends or time runs out, `input.malformed` for a message of the other kind. */
  async next(kind: Message['kind'], what: string, timeoutMs: number): Promise<Uint8Array> {
    if (this.#messages.length === 0 && this.#closed === undefined) await this.#change(timeoutMs)
    const message = this.#messages.shift()
    if (message === undefined)
      throw new VouchsafeError('peer.unreachable', `no ${what}: ${this.#closed ?? `nothing came in ${timeoutMs} ms`}`)
    if (message.kind !== kind)
      throw new VouchsafeError('input.malformed', `${what}: a ${message.kind} message, wanted ${kind}`)
    return message.bytes
  }

  #change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
