import { randomBytes } from 'node:crypto'
import { ERROR_CODES, VouchsafeError, httpStatus, parseSchema, parseStrictJson, toBase64Url } from '@vouchsafe/core'
import { identifyCaller } from '../services/callers.ts'
import type { Services } from '../services/context.ts'
import { RecordedRefusal } from '../services/refusal.ts'
import { matchRoute } from './match-route.ts'
import { openApi } from './openapi.ts'
import type { Call, Route } from './route.ts'
import { readBody } from './read-body.ts'
import { ROUTES } from './routes.ts'

/** Codes of ours whose message tells a caller nothing that he could not know: the rest answer with their table text. */
const SPEAKING = /^(?:input|request|agreement|enrolment|image|store|custody|clock|lease)\./

/** The broker's HTTP surface as a function of a request: parse, check the caller, call one service, translate. */
export function brokerApp(services: Services, routes: readonly Route[] = ROUTES) {
  const document = JSON.stringify(openApi(routes))
  return async (request: Request): Promise<Response> => {
    const requestId = `r-${toBase64Url(randomBytes(12))}`
    const url = new URL(request.url)
    try {
      if (url.pathname === '/v1/openapi.json' && request.method === 'GET')
        return new Response(document, { headers: { 'content-type': 'application/json' } })
      if (url.pathname === '/v1/health' && request.method === 'GET') return json(200, { status: 'up' })
      const { route, params } = matchRoute(routes, request.method, url.pathname)
      const bytes = await readBody(request, route.maxBytes)
      const context = await services.context(params['tenant'] ?? '')
      const path = url.pathname + url.search
      const authorization = request.headers.get('authorization') ?? ''
      const caller =
        route.access.kind === 'signed'
          ? await identifyCaller(
              services,
              context,
              { signature: bearer(authorization, 'Vouchsafe-Signature'), method: request.method, path, body: bytes },
              route.access.roles,
            )
          : null
      const presented =
        route.access.kind === 'presented'
          ? {
              method: request.method,
              path,
              body: bytes,
              token: bearer(authorization, 'Vouchsafe'),
              proof: request.headers.get('vouchsafe-proof') ?? '',
            }
          : null
      const body =
        route.request === null
          ? null
          : parseSchema(route.request, parseStrictJson(bytes, { maxBytes: route.maxBytes }), 'body')
      const call: Call<unknown> = {
        services,
        context,
        params,
        query: Object.fromEntries(url.searchParams),
        body,
        caller,
        presented,
      }
      return json(200, parseSchema(route.response, await route.handle(call), 'response'))
    } catch (error) {
      return refusal(error, requestId, services)
    }
  }
}

/** Everything that is thrown becomes an answer here, and is logged here, once. */
function refusal(error: unknown, requestId: string, services: Services): Response {
  if (error instanceof RecordedRefusal)
    return json(httpStatus(error.code), {
      code: error.code,
      message: error.message,
      requestId,
      decision: error.decision,
    })
  if (!(error instanceof VouchsafeError) || error.code === 'internal') {
    services.log('internal.error', {
      requestId,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    })
    return json(500, { code: 'internal', message: ERROR_CODES.internal, requestId })
  }
  // what is wrong with the broker itself is for its operator, and says so; what a stranger sent is not logged
  const detail = /^(?:store|ledger|custody|clock)\./.test(error.code) ? { detail: error.message } : {}
  services.log('request.refused', { requestId, code: error.code, ...detail })
  const message = SPEAKING.test(error.code) ? error.message : ERROR_CODES[error.code]
  return json(httpStatus(error.code), { code: error.code, message, requestId })
}

/** The credential of one scheme; absent or of another scheme it is empty, and fails where it is checked. */
function bearer(authorization: string, scheme: string): string {
  return authorization.startsWith(`${scheme} `) ? authorization.slice(scheme.length + 1) : ''
}

function json(status: number, body: unknown): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
  })
}
