import { ByteReader } from '../codec/byte-reader.ts'
import { ByteWriter } from '../codec/byte-writer.ts'
import { TpmError } from '../codec/errors.ts'
import { MAX_MESSAGE_BYTES } from '../codec/message.ts'
import { SocketChannel } from './socket-channel.ts'
import type { Channel } from './transport.ts'

/** What the reference simulator is told on its two ports. @source TCG reference code, Simulator: TpmTcpProtocol.h */
const SIGNAL = { powerOn: 1, powerOff: 2, sendCommand: 8, nvOn: 11, sessionEnd: 20 } as const
const PLATFORM_TIMEOUT_MS = 5_000

/** Options of the reference simulator's TCP protocol. */
export interface SimulatorOptions {
  readonly host: string
  /** The command port; the platform port is the next one. */
  readonly port: number
  /** Switch power and NV on when connecting. Default true: a simulator just started has both off. */
  readonly powerOn?: boolean
}

/** The reference implementation's simulator over TCP ("mssim"): framed commands, and a second port for the platform. */
export async function openSimulatorChannel(options: SimulatorOptions): Promise<Channel> {
  const { host, port } = options
  const name = `mssim:host=${host},port=${port}`
  if (options.powerOn ?? true) await signalPlatform(host, port + 1, [SIGNAL.powerOn, SIGNAL.nvOn])
  const socket = await SocketChannel.open({ host, port }, name)
  return {
    address: name,
    isManaged: false,
    async exchange(command, timeoutMs) {
      const request = new ByteWriter('big', command.length + 9)
        .u32('signal', SIGNAL.sendCommand)
        .u8('locality', 0)
        .sized32('command', command)
        .finish()
      const answer = await socket.request(request, framedLength, timeoutMs)
      const reader = new ByteReader(name, answer, 'big')
      const response = reader.sized32('response', MAX_MESSAGE_BYTES)
      const acknowledgement = reader.u32('acknowledgement')
      if (acknowledgement !== 0) throw new TpmError('tpm.unavailable', `${name}: refused with ${acknowledgement}`)
      return response
    },
    async close() {
      socket.send(word(SIGNAL.sessionEnd))
      await socket.close()
    },
  }
}

/** A 32-bit length, so many bytes, and four bytes of acknowledgement. */
function framedLength(received: Uint8Array): number | undefined {
  if (received.length < 4) return undefined
  const size = new DataView(received.buffer, received.byteOffset, received.byteLength).getUint32(0)
  if (size > MAX_MESSAGE_BYTES) throw new TpmError('tpm.integrity', `a response of ${size} bytes is none`)
  return size + 8
}

async function signalPlatform(host: string, port: number, signals: readonly number[]): Promise<void> {
  const name = `mssim platform ${host}:${port}`
  const socket = await SocketChannel.open({ host, port }, name)
  try {
    for (const signal of signals) {
      const answer = await socket.request(word(signal), () => 4, PLATFORM_TIMEOUT_MS)
      const result = new ByteReader(name, answer, 'big').u32('result')
      if (result !== 0) throw new TpmError('tpm.unavailable', `${name}: signal ${signal} refused with ${result}`)
    }
    socket.send(word(SIGNAL.sessionEnd))
  } finally {
    await socket.close()
  }
}

function word(value: number): Uint8Array {
  return new ByteWriter('big', 4).u32('signal', value).finish()
}
