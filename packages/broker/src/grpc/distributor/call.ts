import type { TLSSocket } from 'node:tls'
import { Code, ConnectError, type HandlerContext, createContextKey } from '@connectrpc/connect'
import { ERROR_CODES, type ErrorCode, VouchsafeError } from '@vouchsafe/core'
import { type KnownClient, authenticate } from '../../distributor/authenticate.ts'
import type { Distributor } from '../../distributor/context.ts'
import type { TransportCredential } from '../../distributor/transport.ts'
import { RecordedRefusal } from '../../services/refusal.ts'

interface Connection {
  readonly socket: TLSSocket | undefined
  readonly transport: TransportCredential
}

/** The connection that a call came in. */
export const CONNECTION = createContextKey<Connection | null>(null)

/** What the original answers, word for word, where its clients might look for it. */
const ORIGINAL_TEXT: Readonly<Partial<Record<ErrorCode, string>>> = {
  'token.age': 'IssuedAt Identity document timestamp too old',
  'token.expired': 'authentication required',
  'token.signature': 'authentication required',
  'token.issuer': 'authentication required',
  'token.audience': 'authentication required',
  'token.malformed': 'authentication required',
  'client.unprovisioned': 'InstanceID not Found',
}

/** Runs one call of a known client; whatever is thrown becomes a gRPC status here, and is logged here, once. */
export async function answering<T>(
  distributor: Distributor,
  method: string,
  context: HandlerContext,
  run: (client: KnownClient, at: Date) => Promise<T> | T,
): Promise<T> {
  const at = distributor.services.clock()
  try {
    return await run(await clientOf(distributor, context, at), at)
  } catch (error) {
    throw statusOf(distributor, method, error)
  }
}

async function clientOf(distributor: Distributor, context: HandlerContext, at: Date): Promise<KnownClient> {
  const authorization = context.requestHeader.get('authorization')
  if (authorization === null) throw new ConnectError('Authorization header not provided', Code.Unauthenticated)
  if (!authorization.startsWith('Bearer '))
    throw new ConnectError('Authorization Bearer token malformed', Code.Unauthenticated)
  const connection = context.values.get(CONNECTION)
  if (connection?.socket === undefined) throw new VouchsafeError('internal', 'a call without connection')
  const channel = connection.transport.channelOf(connection.socket)
  return authenticate(distributor, { document: authorization.slice('Bearer '.length), channel }, at)
}

/** A peer learns a code, and the id of the decision where one was recorded; sentences are for the owner. */
function statusOf({ services, context }: Distributor, method: string, error: unknown): ConnectError {
  const tenant = context.tenant.id
  if (error instanceof ConnectError) {
    services.log('distributor.refused', { tenant, method, code: 'token.malformed' })
    return error
  }
  if (!(error instanceof VouchsafeError) || error.code === 'internal') {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    services.log('internal.error', { tenant, method, error: text })
    return refusal('internal', Code.Internal)
  }
  if (error instanceof RecordedRefusal) return refusal(error.code, codeOf(error.code), error.decision)
  services.log('distributor.refused', { tenant, method, code: error.code })
  return refusal(error.code, codeOf(error.code))
}

function refusal(code: ErrorCode, status: Code, decision?: string): ConnectError {
  const text = ORIGINAL_TEXT[code] ?? ERROR_CODES[code]
  const headers: Record<string, string> = { 'vouchsafe-code': code }
  if (decision !== undefined) headers['vouchsafe-decision'] = decision
  return new ConnectError(`${text} [${code}]`, status, headers)
}

function codeOf(code: ErrorCode): Code {
  if (code.startsWith('token.')) return Code.Unauthenticated
  if (code.startsWith('input.')) return Code.InvalidArgument
  if (code === 'endorsement.unavailable' || code.startsWith('store.') || code.startsWith('custody.'))
    return Code.Unavailable
  return Code.PermissionDenied
}
