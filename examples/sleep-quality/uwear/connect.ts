import { connect, type TLSSocket } from 'node:tls'
import { VouchsafeError } from '@vouchsafe/core'
import { WebSocket } from 'ws'
import { Inbox } from '../inbox.ts'
import { HANDSHAKE_MS, MAX_MESSAGE_BYTES, PATH, PROTOCOL, SERVER_NAME } from '../protocol.ts'

export interface Connection {
  /** The TLS connection under the WebSocket: what the token must be bound to. */
  readonly tls: TLSSocket
  readonly webSocket: WebSocket
  readonly inbox: Inbox
}

/**
 * Dials USleep: one TLS 1.3 connection, one WebSocket over it. Who answers is not known yet, and nothing but the upgrade
 * is said: USleep’s certificate is thrown away with its process, so the token alone tells, by being bound to this connection.
 *
 * @throws {VouchsafeError} `peer.unreachable`
 */
export async function dial(
  address: { readonly host: string; readonly port: number },
  identity: { readonly cert: string; readonly key: string },
): Promise<Connection> {
  const tls = connect({
    ...address,
    ...identity,
    servername: SERVER_NAME,
    minVersion: 'TLSv1.3',
    rejectUnauthorized: false, // see above: no authority vouches for a throw-away certificate
  })
  await first(tls, 'secureConnect', () => tls.destroy())
  const webSocket = new WebSocket(`wss://${SERVER_NAME}${PATH}`, PROTOCOL, {
    createConnection: () => tls,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
    followRedirects: false,
  })
  const inbox = new Inbox(webSocket) // before the token can arrive
  await first(webSocket, 'open', () => webSocket.terminate())
  return { tls, webSocket, inbox }
}

/** Says goodbye, and hangs up on whoever does not answer that. */
export function hangUp({ webSocket }: Connection, code: number, reason: string): void {
  webSocket.close(code, reason)
  setTimeout(() => webSocket.terminate(), 1_000).unref()
}

/** Waits for an event, an error, or five seconds. */
function first(source: TLSSocket | WebSocket, event: 'secureConnect' | 'open', giveUp: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error) => {
      clearTimeout(timer)
      reject(new VouchsafeError('peer.unreachable', `${event}: ${cause.message}`, { cause }))
      giveUp()
    }
    const timer = setTimeout(() => fail(new Error(`no answer in ${HANDSHAKE_MS} ms`)), HANDSHAKE_MS)
    source.on('error', fail)
    source.once(event, () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
