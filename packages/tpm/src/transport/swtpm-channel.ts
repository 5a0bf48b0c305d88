import { HEADER_BYTES, MAX_MESSAGE_BYTES } from '../codec/message.ts'
import { TpmError } from '../codec/errors.ts'
import { SocketChannel } from './socket-channel.ts'
import type { SocketAddress } from './socket-channel.ts'
import type { Channel } from './transport.ts'

/** The length of a TPM message at the start of `received`: its own size field, at offset 2. */
export function tpmMessageLength(received: Uint8Array): number | undefined {
  if (received.length < HEADER_BYTES) return undefined
  const [, , a = 0, b = 0, c = 0, d = 0] = received
  const size = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
  if (size < HEADER_BYTES || size > MAX_MESSAGE_BYTES)
    throw new TpmError('tpm.integrity', `a response of ${size} bytes is none`)
  return size
}

/** TPM commands as they are on a stream socket, without further framing: swtpm's data port. */
export async function openSwtpmChannel(address: SocketAddress, name: string): Promise<Channel> {
  const socket = await SocketChannel.open(address, name)
  return {
    address: name,
    isManaged: false,
    exchange: (command, timeoutMs) => socket.request(command, tpmMessageLength, timeoutMs),
    close: () => socket.close(),
  }
}
