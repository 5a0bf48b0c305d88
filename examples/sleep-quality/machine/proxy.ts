import { createServer, connect, type Server } from 'node:tls'
import type { AddressInfo } from 'node:net'
import { SERVER_NAME } from '../protocol.ts'
import type { SelfSigned } from '../self-signed.ts'

/**
 * A load balancer as many have one: it ends the TLS connections of its clients, opens its own to the server behind it, and
 * hands on every byte. USleep even lets it in. It can read all that passes, which is why UWear must notice it.
 */
export async function startProxy(behind: { readonly host: string; readonly port: number }, identity: SelfSigned) {
  const server: Server = createServer({ cert: identity.cert, key: identity.key, minVersion: 'TLSv1.3' }, (near) => {
    const far = connect({
      ...behind,
      cert: identity.cert,
      key: identity.key,
      servername: SERVER_NAME,
      rejectUnauthorized: false,
    })
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.pipe(to)
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
    }
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  return { port: (server.address() as AddressInfo).port, close: () => void server.close() }
}
