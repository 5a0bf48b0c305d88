import { createServer, type ServerHttp2Session } from 'node:http2'
import { type AddressInfo, isIP } from 'node:net'
import { Code, ConnectError } from '@connectrpc/connect'
import { connectNodeAdapter } from '@connectrpc/connect-node'
import { ImageError, type ImageErrorCode } from '../../errors.ts'
import { MAX_PACKET_BYTES } from '../read-json.ts'
import { KeyProviderService } from './gen/keyprovider_pb.js'
import { parseProviderRequest } from './messages.ts'

export interface KeyProviderServer {
  readonly host: string
  readonly port: number
  close(): Promise<void>
}

/**
 * Serves the key provider protocol over gRPC, on loopback alone: clients of the protocol know neither TLS nor names, so
 * whoever can connect is answered.
 *
 * @param answer - Answers one request, as `answerKeyProvider` does.
 * @param onRefused - Told of each refusal; the peer learns a code.
 * @throws {ImageError} `encryption.provider` when the address is not loopback or taken.
 */
export async function serveKeyProvider(
  at: { readonly host: string; readonly port: number },
  answer: (request: Uint8Array) => Promise<Uint8Array>,
  onRefused: (error: unknown) => void,
): Promise<KeyProviderServer> {
  if (isIP(at.host) === 0 || !/^(?:127\.|::1$)/.test(at.host))
    throw new ImageError('encryption.provider', `${at.host}: key providers listen on a loopback address only`)
  const call = (kind: 'wrap' | 'unwrap') => async (input: { readonly KeyProviderKeyWrapProtocolInput: Uint8Array }) => {
    const request = input.KeyProviderKeyWrapProtocolInput
    try {
      if (parseProviderRequest(request).kind !== kind)
        throw new ImageError('encryption.malformed', `a request to ${kind} whose op says otherwise`)
      return { KeyProviderKeyWrapProtocolOutput: await answer(request) }
    } catch (error) {
      onRefused(error)
      throw toStatus(error)
    }
  }
  const handler = connectNodeAdapter({
    routes: (router) => void router.service(KeyProviderService, { wrapKey: call('wrap'), unWrapKey: call('unwrap') }),
    grpc: true,
    grpcWeb: false,
    connect: false,
    readMaxBytes: MAX_PACKET_BYTES,
    maxTimeoutMs: 60_000,
  })
  const server = createServer({ settings: { maxConcurrentStreams: 16 }, maxSessionMemory: 8 }, handler)
  const sessions = new Set<ServerHttp2Session>()
  server.on('session', (session) => {
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
  })
  server.on('sessionError', () => undefined)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new ImageError('encryption.provider', `cannot listen on ${at.host}:${at.port}: ${cause.message}`, { cause }),
      ),
    )
    server.listen(at.port, at.host, resolve)
  })
  return {
    host: at.host,
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed())
        for (const session of sessions) session.destroy()
      }),
  }
}

const STATUS: Partial<Record<ImageErrorCode, Code>> = {
  'encryption.malformed': Code.InvalidArgument,
  'encryption.recipient': Code.InvalidArgument,
  'encryption.no-key': Code.NotFound,
  'encryption.wrong-key': Code.PermissionDenied,
  'encryption.provider': Code.Unavailable,
}

function toStatus(error: unknown): ConnectError {
  if (error instanceof ImageError)
    return new ConnectError(`refused [${error.code}]`, STATUS[error.code] ?? Code.Internal)
  return new ConnectError('internal error', Code.Internal)
}
