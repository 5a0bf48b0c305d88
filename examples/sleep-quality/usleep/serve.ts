import { X509Certificate, constants } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { channelBinding } from '@vouchsafe/client'
import { VouchsafeError, parseSchema, parseStrictJson } from '@vouchsafe/core'
import { type WebSocket, WebSocketServer } from 'ws'
import { Inbox } from '../inbox.ts'
import {
  CHANNEL,
  CLOSE,
  HANDSHAKE_MS,
  MAX_MESSAGE_BYTES,
  MESSAGE_MS,
  nightSchema,
  PATH,
  PROTOCOL,
  SERVER_NAME,
} from '../protocol.ts'
import type { SelfSigned } from '../self-signed.ts'
import { verdictOf } from './verdict.ts'

/** What is fixed in the image, and so part of what UWear approves. */
export interface Settings {
  /** For whom tokens are made. */
  readonly audience: string
  /** SHA-256 of the certificates that may connect: nobody else can feed data to USleep. */
  readonly senders: readonly string[]
}

export interface Ports {
  readonly identity: SelfSigned
  /** Asks the machine for a token about this workload. */
  readonly requestToken: (audience: string, nonce: string) => Promise<string>
  /** The operator reads it: event names and listed fields, never a token, a key or anything of a night but its verdict. */
  readonly log: (event: string, fields?: Readonly<Record<string, string | number>>) => void
  readonly bind?: typeof channelBinding
}

/** Serves until closed. @returns The port, on the loopback interface. */
export async function serve(settings: Settings, ports: Ports): Promise<{ port: number; close(): void }> {
  const { log, identity } = ports
  const webSockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
    handleProtocols: () => PROTOCOL,
  })
  const server = createServer(
    {
      cert: identity.cert,
      key: identity.key,
      minVersion: 'TLSv1.3',
      // senders are known by their fingerprint, which is compared in `refusalOf`; no authority vouches for them
      requestCert: true,
      rejectUnauthorized: false,
      secureOptions: constants.SSL_OP_NO_TICKET,
      SNICallback: (name, done) => done(name === SERVER_NAME ? null : new Error('unknown server name')),
      handshakeTimeout: HANDSHAKE_MS,
      headersTimeout: HANDSHAKE_MS,
    },
    (_request, response) => void response.writeHead(426, { connection: 'close' }).end(),
  )
  server.maxConnections = 16
  server.on('tlsClientError', () => log('connection.refused', { reason: 'tls' }))
  server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    const socket = stream as TLSSocket
    socket.on('error', () => undefined) // the other end is gone: nothing is left to tell it
    const refusal = refusalOf(request, socket, settings)
    if (refusal !== undefined) {
      log('connection.refused', { reason: refusal.reason })
      socket.end(`HTTP/1.1 ${refusal.status} Refused\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, () =>
        socket.destroy(),
      )
      return
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => void converse(webSocket, socket, settings, ports))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const close = () => {
    for (const client of webSockets.clients) client.terminate()
    server.close()
    server.closeAllConnections()
  }
  return { port: (server.address() as AddressInfo).port, close }
}

/** Why this request may not speak to us. Server name, authority and certificate must all agree (A15). */
function refusalOf(request: IncomingMessage, socket: TLSSocket, { senders }: Settings) {
  const { headers } = request
  if (socket.servername !== SERVER_NAME) return { status: 421, reason: 'server name' }
  if (headers.host !== SERVER_NAME) return { status: 421, reason: 'authority' }
  if (request.url !== PATH) return { status: 404, reason: 'path' }
  if (headers.origin !== undefined) return { status: 403, reason: 'origin' } // only browsers send it, and none has business here
  if (headers['sec-websocket-protocol'] !== PROTOCOL) return { status: 400, reason: 'protocol' }
  const sender = fingerprintOf(socket)
  if (sender === undefined || !senders.includes(sender)) return { status: 401, reason: 'sender' }
  return undefined
}

function fingerprintOf(socket: TLSSocket): string | undefined {
  const { raw } = socket.getPeerCertificate() as Partial<ReturnType<TLSSocket['getPeerCertificate']>>
  return raw === undefined ? undefined : new X509Certificate(raw).fingerprint256.replaceAll(':', '').toLowerCase()
}

/** Token out, night in, verdict out. */
async function converse(webSocket: WebSocket, socket: TLSSocket, settings: Settings, ports: Ports): Promise<void> {
  const { log, requestToken, bind = channelBinding } = ports
  const inbox = new Inbox(webSocket)
  try {
    const nonce = bind(socket, { side: 'server', ...CHANNEL })
    webSocket.send(await requestToken(settings.audience, nonce))
    log('token.sent')
    const bytes = await inbox.next('binary', 'night', MESSAGE_MS)
    const night = parseSchema(nightSchema, parseStrictJson(bytes, { maxBytes: MAX_MESSAGE_BYTES }), 'night')
    const verdict = verdictOf(night)
    webSocket.send(JSON.stringify(verdict))
    webSocket.close(CLOSE.done)
    log('verdict.sent', { verdict: verdict.verdict, asCodelab: verdict.asCodelab })
  } catch (error) {
    if (inbox.closeCode === CLOSE.refused) {
      log('token.refused') // by the sender's policy: it knows why, and need not say
      return
    }
    // the code only: messages may quote what was sent
    const code = error instanceof VouchsafeError ? error.code : 'internal'
    log('connection.failed', { code })
    webSocket.close(code.startsWith('input.') ? CLOSE.unusable : CLOSE.failed, code)
  }
}
