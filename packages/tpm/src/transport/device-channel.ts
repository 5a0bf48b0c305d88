import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { TpmError } from '../codec/errors.ts'
import { MAX_MESSAGE_BYTES } from '../codec/message.ts'
import type { Channel } from './transport.ts'

/** Where a Linux kernel shows its TPM: first behind its resource manager, then bare. */
export const DEVICE_PATHS = ['/dev/tpmrm0', '/dev/tpm0'] as const

/** A TPM character device: one write is one command, one read is its whole response. */
export async function openDeviceChannel(path: string): Promise<Channel> {
  const name = `device:${path}`
  const file = await open(path, 'r+').catch((cause: NodeJS.ErrnoException) => {
    throw new TpmError('tpm.unavailable', `${name}: ${cause.message}${hintFor(cause.code)}`, { cause })
  })
  return new DeviceChannel(name, file, /tpmrm\d+$/.test(path))
}

class DeviceChannel implements Channel {
  readonly address: string
  readonly isManaged: boolean
  readonly #file: FileHandle
  readonly #buffer = new Uint8Array(MAX_MESSAGE_BYTES)
  #broken: TpmError | undefined

  constructor(address: string, file: FileHandle, isManaged: boolean) {
    this.address = address
    this.#file = file
    this.isManaged = isManaged
  }

  async exchange(command: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    if (this.#broken !== undefined) throw this.#broken
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        // The read stays in the kernel until the TPM answers; nothing may be sent before, so the device is given up.
        this.#broken = new TpmError('tpm.timeout', `${this.address}: no answer within ${timeoutMs} ms`)
        reject(this.#broken)
      }, timeoutMs)
    })
    try {
      return await Promise.race([this.#writeAndRead(command), late])
    } finally {
      clearTimeout(timer)
    }
  }

  async #writeAndRead(command: Uint8Array): Promise<Uint8Array> {
    try {
      const { bytesWritten } = await this.#file.write(command)
      if (bytesWritten !== command.length)
        throw new TpmError('tpm.unavailable', `${this.address}: took ${bytesWritten} of ${command.length} bytes`)
      const { bytesRead } = await this.#file.read(this.#buffer, 0, this.#buffer.length, null)
      return this.#buffer.slice(0, bytesRead)
    } catch (cause) {
      if (cause instanceof TpmError) throw cause
      throw new TpmError('tpm.unavailable', `${this.address}: ${(cause as Error).message}`, { cause })
    }
  }

  async close(): Promise<void> {
    this.#broken ??= new TpmError('tpm.unavailable', `${this.address} is closed`)
    await this.#file.close()
  }
}

function hintFor(code: string | undefined): string {
  if (code === 'EBUSY') return '; only one process may open it: use /dev/tpmrm0'
  if (code === 'EACCES') return '; add this user to the group that owns it, usually `tss`'
  if (code === 'ENOENT') return '; this machine shows no TPM'
  return ''
}
