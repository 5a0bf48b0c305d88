import { constants } from 'node:crypto'
import { type Server, createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { VouchsafeError } from '@vouchsafe/core'

export interface Listening {
  readonly host: string
  readonly port: number
  close(): Promise<void>
}

/**
 * Serves an app over TLS 1.3. Sessions are not resumed: a ticket of one server name must never speak for another
 * (decision 29), and release requests must not be replayed as early data (A14).
 */
export function listen(
  app: (request: Request) => Promise<Response>,
  at: { readonly host: string; readonly port: number },
  tls: { readonly cert: string; readonly key: string },
): Promise<Listening> {
  const listener = getRequestListener(app, { overrideGlobalObjects: false })
  const server = createServer(
    {
      ...tls,
      minVersion: 'TLSv1.3',
      secureOptions: constants.SSL_OP_NO_TICKET,
      ca: [],
      maxHeaderSize: 80 * 1024,
      requestTimeout: 30_000,
      headersTimeout: 10_000,
    },
    (incoming, outgoing) => void listener(incoming, outgoing),
  )
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new VouchsafeError('peer.unreachable', `cannot listen on ${at.host}:${at.port}: ${cause.message}`, { cause }),
      ),
    )
    server.listen(at.port, at.host, () => {
      const { port } = server.address() as AddressInfo
      resolve({ host: at.host, port, close: () => close(server) })
    })
  })
}

/** Stops taking connections, lets running requests end, then ends idle ones. */
function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeIdleConnections()
    setTimeout(() => server.closeAllConnections(), 5_000).unref()
  })
}
