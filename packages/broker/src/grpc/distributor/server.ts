import { createSecureServer } from 'node:http2'
import type { Http2ServerRequest, ServerHttp2Session } from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { connectNodeAdapter } from '@connectrpc/connect-node'
import { createContextValues } from '@connectrpc/connect'
import { VouchsafeError } from '@vouchsafe/core'
import type { Distributor } from '../../distributor/context.ts'
import type { TransportCredential } from '../../distributor/transport.ts'
import { healthService } from './health-service.ts'
import { tokenService } from './token-service.ts'
import { verifierService } from './verifier-service.ts'
import { CONNECTION } from './call.ts'

const MAX_MESSAGE_BYTES = 2 * 1024 * 1024
/** A connection on which nothing happens for so long is ended; clients open another. */
const IDLE_MS = 10 * 60_000
/** What a stranger may hold open: a client of ours has one call at a time. */
const LIMITS = {
  handshakeTimeout: 10_000,
  settings: { maxConcurrentStreams: 16, maxHeaderListSize: 32 * 1024 },
  maxSessionMemory: 8,
} as const

export interface GrpcServer {
  readonly host: string
  readonly port: number
  close(): Promise<void>
}

/** Serves the original's services over gRPC: same package, names and numbers. Nothing but gRPC is answered. */
export function listenGrpc(
  distributor: Distributor,
  transport: TransportCredential,
  at: { readonly host: string; readonly port: number },
): Promise<GrpcServer> {
  const handler = connectNodeAdapter({
    routes: (router) => {
      healthService(router)
      tokenService(router, distributor)
      verifierService(router, distributor)
    },
    maxTimeoutMs: 60_000,
    grpc: true,
    grpcWeb: false,
    connect: false,
    readMaxBytes: MAX_MESSAGE_BYTES,
    writeMaxBytes: 2 * MAX_MESSAGE_BYTES,
    contextValues: (request) => {
      const { stream } = request as Http2ServerRequest
      // HTTP/2 shows a proxy of the socket that hides what TLS knows
      const socket = stream.session === undefined ? undefined : sockets.get(stream.session)
      return createContextValues().set(CONNECTION, { socket, transport })
    },
  })
  const server = createSecureServer({ ...transport.serverOptions, ...LIMITS, allowHTTP1: false }, handler)
  const sessions = new Set<ServerHttp2Session>()
  const sockets = new WeakMap<object, TLSSocket>()
  server.on('session', (session) => {
    sessions.add(session)
    sockets.set(session, session.socket as TLSSocket)
    session.setTimeout(IDLE_MS, () => session.close())
    session.once('close', () => sessions.delete(session))
  })
  server.on('sessionError', () => undefined)
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new VouchsafeError('peer.unreachable', `cannot listen on ${at.host}:${at.port}: ${cause.message}`, { cause }),
      ),
    )
    server.listen(at.port, at.host, () => {
      const { port } = server.address() as AddressInfo
      resolve({
        host: at.host,
        port,
        close: () =>
          new Promise((closed) => {
            server.close(() => closed())
            for (const session of sessions) session.close()
            setTimeout(() => sessions.forEach((s) => s.destroy()), 2_000).unref()
          }),
      })
    })
  })
}
