import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startSwtpm } from '../testing/swtpm.ts'
import { Tpm } from '../tpm/tpm.ts'
import { openTransport } from './open-transport.ts'
import { SwtpmControl } from './swtpm-control.ts'

/** TPM2_GetRandom of four bytes. */
const GET_RANDOM = new Uint8Array(Buffer.from('80010000000c0000017b0004', 'hex'))
const code = (wanted: string) => expect.objectContaining({ code: wanted })
const response = (rc: number) => Buffer.from(`80010000000a${rc.toString(16).padStart(8, '0')}`, 'hex')

let directory: string
let server: Server | undefined
const sockets = new Set<Socket>()
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'transport-'))
})
afterEach(() => {
  for (const socket of sockets) socket.destroy()
  server?.close()
  server = undefined
  rmSync(directory, { recursive: true, force: true })
})

/** A peer that answers each command with what `answer` says, also with nothing. */
async function hostile(answer: (command: Buffer, count: number, socket: Socket) => void): Promise<string> {
  const socketPath = path.join(directory, 's')
  let count = 0
  server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('data', (command) => answer(command, (count += 1), socket))
  })
  await new Promise<void>((resolve) => server?.listen(socketPath, resolve))
  return `swtpm:path=${socketPath}`
}

describe('a stream socket', () => {
  test('hands out whole answers however they are cut on the wire', async () => {
    const address = await hostile((_command, _count, socket) => {
      const whole = response(0)
      socket.write(whole.subarray(0, 3))
      void setTimeout(5).then(() => socket.write(whole.subarray(3, 9)))
      void setTimeout(10).then(() => socket.write(whole.subarray(9)))
    })
    const transport = await openTransport(address)
    expect(Buffer.from(await transport.transact(GET_RANDOM, 1000))).toEqual(response(0))
    await transport.close()
  })

  test('sends the next command only when the one before was answered', async () => {
    const arrivals: number[] = []
    const address = await hostile((command, count, socket) => {
      arrivals.push(command.length)
      void setTimeout(5).then(() => socket.write(response(count)))
    })
    const transport = await openTransport(address)
    const answers = await Promise.all([1, 2, 3].map(() => transport.transact(GET_RANDOM, 1000)))
    expect(arrivals).toEqual([12, 12, 12])
    expect(answers.map((answer) => answer[9])).toEqual([1, 2, 3])
    await transport.close()
  })

  test('a time-out ends the connection: a late answer must not become the next one', async () => {
    const transport = await openTransport(await hostile(() => undefined))
    await expect(transport.transact(GET_RANDOM, 30)).rejects.toThrow(code('tpm.timeout'))
    await expect(transport.transact(GET_RANDOM, 30)).rejects.toThrow(code('tpm.timeout'))
    await transport.close()
  })

  test.each([
    ['says it is longer than a response can be', 'ffffffff'],
    ['says it is shorter than its header', '00000009'],
  ])('an answer that %s is refused', async (_what, size) => {
    const answer = Buffer.from(`8001${size}00000000`, 'hex')
    const transport = await openTransport(await hostile((_command, _count, socket) => socket.write(answer)))
    await expect(transport.transact(GET_RANDOM, 1000)).rejects.toThrow(code('tpm.integrity'))
    await transport.close()
  })

  test('bytes after the answer end the connection', async () => {
    const answer = Buffer.concat([response(0), Buffer.of(1)])
    const transport = await openTransport(await hostile((_command, _count, socket) => socket.write(answer)))
    await expect(transport.transact(GET_RANDOM, 1000)).rejects.toThrow(code('tpm.integrity'))
    await transport.close()
  })

  test('a peer that hangs up is told from one that is late', async () => {
    const transport = await openTransport(await hostile((_command, _count, socket) => socket.destroy()))
    await expect(transport.transact(GET_RANDOM, 1000)).rejects.toThrow(code('tpm.unavailable'))
    await transport.close()
  })

  test('nobody listening is tpm.unavailable', async () => {
    await expect(openTransport(`swtpm:path=${directory}/nothing`)).rejects.toThrow(code('tpm.unavailable'))
  })

  test('closing fails what is still queued, and closing twice is no error', async () => {
    const transport = await openTransport(await hostile(() => undefined))
    const pending = [transport.transact(GET_RANDOM, 1000), transport.transact(GET_RANDOM, 1000)]
    const outcomes = Promise.allSettled(pending)
    await setTimeout(5)
    await transport.close()
    await transport.close()
    for (const outcome of await outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'tpm.unavailable' } })
  })

  test('what is no command is not sent', async () => {
    const transport = await openTransport(await hostile(() => undefined))
    await expect(transport.transact(new Uint8Array(9), 1000)).rejects.toThrow(code('input.malformed'))
    await transport.close()
  })
})

describe('a TPM that asks for patience', () => {
  const RETRY = 0x922
  const YIELDED = 0x908
  const TESTING = 0x90a

  test('is asked again after RETRY, YIELDED and TESTING, with the same bytes', async () => {
    const seen: string[] = []
    const answers = [RETRY, YIELDED, TESTING]
    const address = await hostile((command, count, socket) => {
      seen.push(command.toString('hex'))
      const rc = answers[count - 1]
      socket.write(rc === undefined ? Buffer.from('8001000000100000000000040a0b0c0d', 'hex') : response(rc))
    })
    const tpm = await Tpm.open(address)
    expect(await tpm.getRandom(4)).toEqual(Uint8Array.of(10, 11, 12, 13))
    expect(new Set(seen)).toEqual(new Set([Buffer.from(GET_RANDOM).toString('hex')]))
    expect(seen).toHaveLength(4)
    await tpm.close()
  })

  test('is given up after the time-out, with its own answer', async () => {
    const tpm = await Tpm.open(await hostile((_command, _count, socket) => socket.write(response(RETRY))), {
      timeoutMs: 200,
    })
    await expect(tpm.getRandom(4)).rejects.toMatchObject({ code: 'tpm.response', response: { name: 'TPM_RC_RETRY' } })
    await tpm.close()
  })
})

describe('answers that do not fit their command', () => {
  test.each([
    ['a response with a session to a command without', '80020000000a00000000'],
    ['a response cut inside its parameters', '80010000000d00000000000401'],
    ['a response with a byte left over', '8001000000110000000000040a0b0c0dff'],
    ['more random bytes than asked for', '8001000000110000000000050a0b0c0d0e'],
  ])('%s is tpm.integrity', async (_what, hex) => {
    const tpm = await Tpm.open(await hostile((_c, _n, socket) => socket.write(Buffer.from(hex, 'hex'))))
    await expect(tpm.getRandom(4)).rejects.toThrow(code('tpm.integrity'))
    await tpm.close()
  })

  test('an answer of a TPM 1.2 says so', async () => {
    const answer = Buffer.from('00c40000000a0000001e', 'hex')
    const tpm = await Tpm.open(await hostile((_c, _n, socket) => socket.write(answer)))
    await expect(tpm.getRandom(4)).rejects.toThrow(/TPM 1\.2/)
    await tpm.close()
  })
})

describe('addresses', () => {
  test.each([
    'tcp:1.2.3.4',
    'swtpm:port=0',
    'swtpm:port=x',
    'swtpm:path=a,path=b',
    'swtpm:nothing',
    'mssim:path=a',
    '',
  ])('%j is refused', async (address) => {
    await expect(openTransport(address)).rejects.toThrow(code('input.malformed'))
  })

  test('a device that is not there says what to look for', async () => {
    await expect(openTransport('device:/dev/tpm-not-here')).rejects.toThrow(/shows no TPM/)
  })
})

describe('a device file', () => {
  test('is one write and one read per command', async () => {
    // a plain file in place of the device: the write fills its first twelve bytes, the read gives what stands after them
    const file = path.join(directory, 'tpm')
    writeFileSync(file, Buffer.concat([Buffer.alloc(GET_RANDOM.length), response(0x101)]))
    const transport = await openTransport(`device:${file}`)
    expect(transport.isManaged).toBe(false)
    expect(Buffer.from(await transport.transact(GET_RANDOM, 1000))).toEqual(response(0x101))
    await transport.close()
    await expect(transport.transact(GET_RANDOM, 1000)).rejects.toThrow(code('tpm.unavailable'))
  })

  test('that ends early is no answer', async () => {
    const file = path.join(directory, 'tpm')
    writeFileSync(file, Buffer.alloc(GET_RANDOM.length))
    const tpm = await Tpm.open(`device:${file}`)
    await expect(tpm.getRandom(4)).rejects.toThrow(code('tpm.integrity'))
    await tpm.close()
  })
})

describe('swtpm', () => {
  test('B10 a reset over its control channel clears the registers and raises the reset count', async () => {
    const swtpm = await startSwtpm()
    const tpm = await Tpm.open(swtpm.address)
    const control = await SwtpmControl.open({ path: swtpm.controlPath })
    try {
      expect(await control.capabilities()).toBeGreaterThan(0n)
      await tpm.pcrEvent(7, Uint8Array.of(1))
      const before = await tpm.readClock()
      expect((await tpm.pcrRead('sha256', [7])).values.get(7)).not.toEqual(new Uint8Array(32))
      await control.reset()
      await expect(tpm.readClock()).rejects.toMatchObject({ response: { name: 'TPM_RC_INITIALIZE' } })
      await tpm.startup()
      await tpm.startup() // a started TPM stays as it is
      expect((await tpm.pcrRead('sha256', [7])).values.get(7)).toEqual(new Uint8Array(32))
      expect((await tpm.readClock()).clockInfo.resetCount).toBe(before.clockInfo.resetCount + 1)
    } finally {
      await control.close()
      await tpm.close()
      await swtpm.stop()
    }
  })

  test('resets PCR 20 at locality 2 only, and ends on request', async () => {
    const swtpm = await startSwtpm()
    const tpm = await Tpm.open(swtpm.address)
    const control = await SwtpmControl.open({ path: swtpm.controlPath })
    try {
      await expect(tpm.pcrReset(20)).rejects.toMatchObject({ response: { name: 'TPM_RC_LOCALITY' } })
      await control.setLocality(2)
      await tpm.pcrReset(20)
      expect(await control.isEstablished()).toBe(false)
      await control.storeVolatile()
      await control.shutdown()
      await expect(tpm.readClock()).rejects.toThrow(code('tpm.unavailable'))
    } finally {
      await control.close()
      await tpm.close()
      await swtpm.stop()
    }
  })

  test('a second connection that gets no answer is told why', async () => {
    const swtpm = await startSwtpm()
    const first = await Tpm.open(swtpm.address)
    await first.getRandom(1)
    const second = await Tpm.open(swtpm.address, { timeoutMs: 50 })
    await expect(second.getRandom(1)).rejects.toThrow(/another process may hold it/)
    await Promise.all([first.close(), second.close()])
    await swtpm.stop()
  })

  test('answers over TCP as over a unix socket', async () => {
    const swtpm = await startSwtpm({ tcp: true })
    await using tpm = await Tpm.open(swtpm.address)
    expect(swtpm.address).toMatch(/port=\d+/)
    expect((await tpm.identity()).manufacturer).toBe('IBM')
    await tpm.close()
    await swtpm.stop()
  })
})
