import { readFileSync } from 'node:fs'
import { createClient } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import { ImageError } from '../../errors.ts'
import { MAX_PACKET_BYTES } from '../read-json.ts'
import { KeyProviderService } from './gen/keyprovider_pb.js'
import type { ProviderPort } from './holders.ts'
import type { ProviderTls } from './provider-config.ts'

const TIMEOUT_MS = 30_000

/**
 * A key provider behind gRPC.
 *
 * @param address - `host:port`. Without TLS only loopback is spoken to: the layer's key goes over this connection.
 * @throws {ImageError} `encryption.provider`.
 */
export function grpcProvider(address: string, tls?: ProviderTls): ProviderPort {
  const [, host = '', port = ''] = /^(?:\w+:\/\/\/?)?(.+):(\d{1,5})$/.exec(address) ?? []
  if (host === '') throw new ImageError('encryption.provider', `${address}: not host:port`)
  if (tls === undefined && !/^(?:127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(host))
    throw new ImageError('encryption.provider', `${address}: without TLS only this machine is asked for keys`)
  const transport = createGrpcTransport({
    baseUrl: `${tls === undefined ? 'http' : 'https'}://${host}:${port}`,
    defaultTimeoutMs: TIMEOUT_MS,
    readMaxBytes: 8 * MAX_PACKET_BYTES,
    idleConnectionTimeoutMs: 1000,
    ...(tls === undefined ? {} : { nodeOptions: tlsOptions(tls) }),
  })
  const client = createClient(KeyProviderService, transport)
  return {
    async ask(operation, request) {
      const input = { KeyProviderKeyWrapProtocolInput: request }
      try {
        const answer = operation === 'wrap' ? await client.wrapKey(input) : await client.unWrapKey(input)
        return answer.KeyProviderKeyWrapProtocolOutput
      } catch (cause) {
        throw new ImageError('encryption.provider', `key provider ${address}: ${(cause as Error).message}`, { cause })
      }
    },
  }
}

function tlsOptions({ rootCaFile, certFile, keyFile, serverName }: ProviderTls) {
  return {
    minVersion: 'TLSv1.2' as const,
    rejectUnauthorized: true,
    ...(rootCaFile === undefined ? {} : { ca: readFileSync(rootCaFile) }),
    ...(certFile === undefined ? {} : { cert: readFileSync(certFile) }),
    ...(keyFile === undefined ? {} : { key: readFileSync(keyFile) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  }
}
