import { X509Certificate } from 'node:crypto'
import https from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { TlsAuthority } from '@vouchsafe/testkit'
import { afterEach, describe, expect, test } from 'vitest'
import { PinnedConnection } from './pinned-fetch.ts'

let server: https.Server
afterEach(() => server.close())

/** A server that hangs up on a call of its choice: `nth` of its connection, counted from one. */
async function startServer(hangsUp: (connection: number, nth: number) => boolean) {
  const authority = await TlsAuthority.create('authority')
  const { certificate, key } = await authority.issue([{ type: 'ip', value: '127.0.0.1' }])
  const calls = new Map<Socket, number>()
  const seen: string[] = []
  server = https.createServer({ cert: certificate, key, minVersion: 'TLSv1.3' }, (request, response) => {
    const nth = (calls.get(request.socket) ?? 0) + 1
    calls.set(request.socket, nth)
    seen.push(`${calls.size}.${nth}`)
    if (!hangsUp(calls.size, nth)) return response.end('answer')
    return (request.socket as unknown as { _parent: Socket })._parent?.resetAndDestroy() ?? request.socket.destroy()
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  const identity = new Uint8Array(new X509Certificate(authority.certificate).raw)
  return { connection: new PinnedConnection(`https://127.0.0.1:${port}`, identity, { timeoutMs: 5_000 }), seen }
}

const call = { method: 'GET', path: '/' } as const

describe('a pinned connection', () => {
  test('asks once more when the server closed an idle connection as it was taken again', async () => {
    const { connection, seen } = await startServer((c, nth) => c === 1 && nth === 2)
    expect((await connection.send(call)).status).toBe(200)
    expect((await connection.send(call)).status).toBe(200)
    expect(seen).toEqual(['1.1', '1.2', '2.1'])
    connection.close()
  })

  test('does not ask a server again that hangs up on a new connection', async () => {
    const { connection, seen } = await startServer(() => true)
    await expect(connection.send(call)).rejects.toMatchObject({ code: 'peer.unreachable' })
    expect(seen).toEqual(['1.1'])
    connection.close()
  })
})
