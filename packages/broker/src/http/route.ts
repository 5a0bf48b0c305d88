import type { z } from 'zod'
import type { Role } from '../store/rows.ts'
import type { Caller, Services, TenantContext } from '../services/context.ts'
import type { PresentedRequest } from '../services/release.ts'

/** Who may call a route. `guest` routes carry their own evidence, token or signature in what they send. */
export type Access =
  | { readonly kind: 'open' }
  | { readonly kind: 'guest' }
  | { readonly kind: 'presented' }
  | { readonly kind: 'signed'; readonly roles: readonly Role[] }

/** What a handler gets, after path, body and caller were checked. */
export interface Call<Body> {
  readonly services: Services
  readonly context: TenantContext
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, string>>
  readonly body: Body
  readonly caller: Caller | null
  readonly presented: PresentedRequest | null
}

/** One route: a line of the API. The same table makes the router, the OpenAPI document and the tests of who may call what. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** `:name` is one segment; `:path*` at the end is a resource path. */
  readonly path: string
  readonly summary: string
  readonly access: Access
  readonly maxBytes: number
  readonly request: z.ZodType | null
  readonly response: z.ZodType
  readonly handle: (call: Call<unknown>) => Promise<unknown>
}

/** Types the body of a route by its schema. */
export function route<Request extends z.ZodType | null, Response extends z.ZodType>(
  definition: Omit<Route, 'request' | 'response' | 'handle'> & {
    readonly request: Request
    readonly response: Response
    readonly handle: (call: Call<Request extends z.ZodType ? z.output<Request> : null>) => Promise<z.input<Response>>
  },
): Route {
  return definition as unknown as Route
}

/** A signed route's caller; the router never calls the handler without one. */
export function callerOf(call: { readonly caller: Caller | null }): Caller {
  if (call.caller === null) throw new Error('a signed route was called without caller')
  return call.caller
}

/** A presented route's request; the router never calls the handler without one. */
export function presentedOf(call: { readonly presented: PresentedRequest | null }): PresentedRequest {
  if (call.presented === null) throw new Error('a presented route was called without token')
  return call.presented
}
