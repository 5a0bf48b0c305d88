import { ERROR_CODES, type ErrorCode, VouchsafeError, parseSchema, parseStrictJson, utf8, wire } from '@vouchsafe/core'
import type { z } from 'zod'
import type { PinnedConnection, PinnedRequest } from './pinned-fetch.ts'

/** A refusal as a broker told it: its code, and the id under which the owner finds the whole story. */
export class BrokerRefusal extends VouchsafeError {
  readonly status: number
  readonly requestId: string
  /** The recorded decision's id, or null when there was nothing to decide. */
  readonly decision: string | null

  constructor(
    code: ErrorCode,
    message: string,
    detail: { status: number; requestId: string; decision: string | null },
  ) {
    super(code, message)
    this.status = detail.status
    this.requestId = detail.requestId
    this.decision = detail.decision
  }
}

/**
 * One JSON call, read by the response's schema.
 *
 * @throws {BrokerRefusal} with the broker's code when it refuses
 * @throws {VouchsafeError} `peer.unreachable`, `peer.untrusted`, `input.malformed`
 */
export async function call<T extends z.ZodType>(
  connection: PinnedConnection,
  request: Omit<PinnedRequest, 'body'> & { readonly body?: unknown },
  response: T,
): Promise<z.output<T>> {
  const { body, ...rest } = request
  return callBytes(
    connection,
    { ...rest, ...(body === undefined ? {} : { body: utf8(JSON.stringify(body)) }) },
    response,
  )
}

/** As `call`, with the exact body bytes: for requests that were signed over them. */
export async function callBytes<T extends z.ZodType>(
  connection: PinnedConnection,
  request: PinnedRequest,
  response: T,
): Promise<z.output<T>> {
  const answer = await connection.send(request)
  const json = parseStrictJson(answer.body, { maxBytes: 16 * 1024 * 1024 })
  if (answer.status >= 200 && answer.status < 300)
    return parseSchema(response, json, `answer to ${request.method} ${request.path}`)
  const refusal = parseSchema(wire.errorResponse, json, `refusal of ${request.method} ${request.path}`)
  const code = refusal.code in ERROR_CODES ? (refusal.code as ErrorCode) : 'request.forbidden'
  throw new BrokerRefusal(code, refusal.message, {
    status: answer.status,
    requestId: refusal.requestId,
    decision: refusal.decision ?? null,
  })
}
