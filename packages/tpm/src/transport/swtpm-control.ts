import { ByteReader } from '../codec/byte-reader.ts'
import { ByteWriter } from '../codec/byte-writer.ts'
import { TpmError } from '../codec/errors.ts'
import { SocketChannel } from './socket-channel.ts'
import type { SocketAddress } from './socket-channel.ts'

/** @source swtpm, include/swtpm/tpm_ioctl.h: CMD_… and the ptm_… structures, all big-endian */
const COMMAND = {
  getCapability: 1,
  init: 2,
  shutdown: 3,
  getEstablished: 4,
  setLocality: 5,
  storeVolatile: 10,
  resetEstablished: 11,
  stop: 14,
} as const

const INIT_DELETE_VOLATILE = 1
const TIMEOUT_MS = 10_000

/**
 * swtpm's control channel: power and reset, as a machine's board would do them. Only for simulators and tests; a TPM
 * device has none.
 */
export class SwtpmControl {
  readonly #socket: SocketChannel
  readonly #name: string

  private constructor(socket: SocketChannel, name: string) {
    this.#socket = socket
    this.#name = name
  }

  /** @param address - What swtpm was given as `--ctrl`. */
  static async open(address: SocketAddress): Promise<SwtpmControl> {
    const name = 'path' in address ? `swtpm control ${address.path}` : `swtpm control ${address.host}:${address.port}`
    return new SwtpmControl(await SocketChannel.open(address, name), name)
  }

  /** The commands that this swtpm knows, as a bit field. */
  async capabilities(): Promise<bigint> {
    const answer = await this.#socket.request(word(COMMAND.getCapability), () => 8, TIMEOUT_MS)
    return new ByteReader(this.#name, answer, 'big').u64('capabilities')
  }

  /**
   * Power on, or a reset of the machine: what CMD_INIT does after `stop`. TPM2_Startup must follow, unless swtpm was
   * started with `startup-clear`.
   */
  async init(options: { readonly deleteVolatileState?: boolean } = {}): Promise<void> {
    const flags = options.deleteVolatileState === true ? INIT_DELETE_VOLATILE : 0
    await this.#call('init', words(COMMAND.init, flags))
  }

  /** Stops the TPM, as taking its power away does. swtpm itself goes on. */
  async stop(): Promise<void> {
    await this.#call('stop', word(COMMAND.stop))
  }

  /** Power off and on again: registers are cleared, the reset count rises. */
  async reset(): Promise<void> {
    await this.stop()
    await this.init()
  }

  /** Ends the swtpm process, orderly. */
  async shutdown(): Promise<void> {
    await this.#call('shutdown', word(COMMAND.shutdown))
  }

  /** Writes the volatile state to disk. */
  async storeVolatile(): Promise<void> {
    await this.#call('store volatile state', word(COMMAND.storeVolatile))
  }

  /** The locality, 0 to 4, of the commands that follow. */
  async setLocality(locality: 0 | 1 | 2 | 3 | 4): Promise<void> {
    await this.#call(
      'set locality',
      new ByteWriter('big', 8).u32('command', COMMAND.setLocality).u8('locality', locality).finish(),
    )
  }

  /** Whether a measured launch (locality 4) happened since the last reset of the flag. */
  async isEstablished(): Promise<boolean> {
    const answer = await this.#socket.request(word(COMMAND.getEstablished), () => 8, TIMEOUT_MS)
    const reader = new ByteReader(this.#name, answer, 'big')
    this.#check('get established flag', reader.u32('result'))
    return reader.u8('bit') !== 0
  }

  close(): Promise<void> {
    return this.#socket.close()
  }

  async #call(what: string, request: Uint8Array): Promise<void> {
    const answer = await this.#socket.request(request, () => 4, TIMEOUT_MS)
    this.#check(what, new ByteReader(this.#name, answer, 'big').u32('result'))
  }

  #check(what: string, result: number): void {
    if (result !== 0) throw new TpmError('tpm.unavailable', `${this.#name}: ${what}: 0x${result.toString(16)}`)
  }
}

function word(value: number): Uint8Array {
  return new ByteWriter('big', 4).u32('command', value).finish()
}

function words(first: number, second: number): Uint8Array {
  return new ByteWriter('big', 8).u32('command', first).u32('argument', second).finish()
}
