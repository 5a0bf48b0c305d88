import { X509Certificate, createHash } from 'node:crypto'
import { isIP } from 'node:net'
import { type Client, Code, ConnectError, type Interceptor, createClient } from '@connectrpc/connect'
import { Http2SessionManager, createGrpcTransport } from '@connectrpc/connect-node'
import { ERROR_CODES, type ErrorCode, VouchsafeError } from '@vouchsafe/core'
import { Health } from './gen/health_pb.js'
import { TokenService, Verifier } from './gen/tokenservice_pb.js'

const TIMEOUT_MS = 30_000

/** Where a distributor is, and what proves that it is the right one. */
export interface DistributorAddress {
  readonly host: string
  readonly port: number
  /** PEM of the authorities that count; the system's are never asked. */
  readonly authority: string
  /** The name that its certificate must have. Default: the host. */
  readonly serverName?: string
  /** PEM, for distributors that want a certificate. */
  readonly identity?: { readonly certificate: string; readonly key: string }
}

/** A refusal, with the id by which the owner finds it. */
export class DistributorRefusal extends VouchsafeError {
  readonly decision: string | null

  constructor(code: ErrorCode, message: string, decision: string | null, options?: ErrorOptions) {
    super(code, message, options)
    this.decision = decision
  }
}

/** One connection to a distributor. Every call carries an identity document of its own. */
export class DistributorConnection {
  readonly token: Client<typeof TokenService>
  readonly verifier: Client<typeof Verifier>
  readonly health: Client<typeof Health>
  /** SHA-256 of our certificate, as quotes commit to it; empty without one. */
  readonly certificate: string
  readonly #sessions: Http2SessionManager

  /** @param document - A fresh identity document for the distributor's audience. */
  constructor(address: DistributorAddress, document: () => Promise<string>) {
    const { host, port, authority, identity } = address
    const baseUrl = `https://${host.includes(':') ? `[${host}]` : host}:${port}`
    const name = address.serverName ?? (isIP(host) === 0 ? host : undefined)
    const tls = {
      ca: authority,
      minVersion: 'TLSv1.3' as const,
      rejectUnauthorized: true,
      // an address is no server name: the certificate is held against it all the same
      ...(name !== undefined && { servername: name }),
      ...(identity !== undefined && { cert: identity.certificate, key: identity.key }),
    }
    this.certificate =
      identity === undefined
        ? ''
        : createHash('sha256').update(new X509Certificate(identity.certificate).raw).digest('hex')
    this.#sessions = new Http2SessionManager(baseUrl, { pingTimeoutMs: 10_000 }, tls)
    const common = { baseUrl, sessionManager: this.#sessions, defaultTimeoutMs: TIMEOUT_MS }
    const withDocument: Interceptor = (next) => async (request) => {
      request.header.set('authorization', `Bearer ${await document()}`)
      return next(request)
    }
    const transport = createGrpcTransport({ ...common, interceptors: [withDocument] })
    this.token = translating(createClient(TokenService, transport))
    this.verifier = translating(createClient(Verifier, transport))
    this.health = translating(createClient(Health, createGrpcTransport(common)))
  }

  close(): void {
    this.#sessions.abort()
  }
}

/** gRPC statuses become our coded errors, once, and outside of the library, which would wrap them again. */
function translating<T extends object>(client: T): T {
  return new Proxy(client, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      return (...args: readonly unknown[]): unknown => {
        const answer: unknown = Reflect.apply(member, target, args)
        if (!(answer instanceof Promise)) return answer
        return answer.catch((cause: unknown) => {
          throw translate(cause)
        })
      }
    },
  })
}

function translate(cause: unknown): unknown {
  if (!(cause instanceof ConnectError)) return cause
  if (cause.cause instanceof VouchsafeError) return cause.cause
  const code = cause.metadata.get('vouchsafe-code')
  const decision = cause.metadata.get('vouchsafe-decision')
  if (code !== null && code in ERROR_CODES)
    return new DistributorRefusal(code as ErrorCode, cause.rawMessage, decision, { cause })
  if (/certificate|self.signed|altname|ERR_TLS|ERR_SSL/i.test(`${cause.rawMessage} ${causeText(cause.cause)}`))
    return new VouchsafeError(
      'peer.untrusted',
      `the distributor’s certificate, or ours, was refused: ${cause.rawMessage}`,
      {
        cause,
      },
    )
  if (cause.code === Code.Unavailable || cause.code === Code.DeadlineExceeded || cause.code === Code.Aborted)
    return new VouchsafeError('peer.unreachable', `the distributor did not answer: ${cause.rawMessage}`, { cause })
  return new VouchsafeError('request.forbidden', `the distributor refused: ${cause.rawMessage}`, { cause })
}

function causeText(cause: unknown): string {
  return cause instanceof Error ? `${cause.message} ${'code' in cause ? String(cause.code) : ''}` : ''
}
