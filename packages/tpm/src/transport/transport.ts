import { Turns } from './turns.ts'
import { TpmError } from '../codec/errors.ts'
import { MAX_MESSAGE_BYTES, HEADER_BYTES } from '../codec/message.ts'

/** A way to one TPM. */
export interface Transport {
  /** Where it leads, for messages: `device:/dev/tpmrm0`. */
  readonly address: string
  /**
   * Whether something between us and the TPM swaps objects (the kernel's resource manager): then there is nobody
   * else's object to meet.
   */
  readonly isManaged: boolean
  /**
   * Sends one whole command and resolves with the whole response. Calls are queued: the next is sent when the one before
   * was answered.
   *
   * @throws {TpmError} `tpm.timeout`, after which the transport is closed; `tpm.unavailable`; `tpm.integrity`.
   */
  transact(command: Uint8Array, timeoutMs: number): Promise<Uint8Array>
  /** Resolves when the connection is closed. Commands still queued fail with `tpm.unavailable`. */
  close(): Promise<void>
}

/** What a concrete transport does: one exchange, never two at once. */
export interface Channel {
  readonly address: string
  readonly isManaged: boolean
  exchange(command: Uint8Array, timeoutMs: number): Promise<Uint8Array>
  close(): Promise<void>
}

/** Puts a queue of one in front of a channel. */
export class QueuedTransport implements Transport {
  readonly #channel: Channel
  readonly #turns = new Turns()
  #closing: Promise<void> | undefined

  constructor(channel: Channel) {
    this.#channel = channel
  }

  get address(): string {
    return this.#channel.address
  }

  get isManaged(): boolean {
    return this.#channel.isManaged
  }

  transact(command: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    if (command.length < HEADER_BYTES || command.length > MAX_MESSAGE_BYTES)
      return Promise.reject(new TpmError('input.malformed', `${command.length} bytes are not a command`))
    return this.#turns.take(() => {
      if (this.#closing !== undefined) throw new TpmError('tpm.unavailable', `${this.address} is closed`)
      return this.#channel.exchange(command, timeoutMs)
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#channel.close()
    return this.#closing
  }
}
