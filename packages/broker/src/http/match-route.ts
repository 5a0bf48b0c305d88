import { VouchsafeError, nameSchema } from '@vouchsafe/core'
import type { Route } from './route.ts'

export interface Matched {
  readonly route: Route
  readonly params: Readonly<Record<string, string>>
}

/**
 * Finds the route for a path. Paths are compared as they came: what is percent-encoded, doubled or dotted matches
 * nothing, so that routing, policy and storage see the same string (F11).
 *
 * @throws {VouchsafeError} `request.unknown-route`
 */
export function matchRoute(routes: readonly Route[], method: string, path: string): Matched {
  if (!/^(?:\/[A-Za-z0-9._:-]+)+$/.test(path) || path.split('/').some((s) => s === '.' || s === '..'))
    throw unknown(method, path)
  for (const route of routes) {
    if (route.method !== method) continue
    const params = match(route.path.split('/'), path.split('/'))
    if (params === null) continue
    if (params['tenant'] !== undefined && !nameSchema.safeParse(params['tenant']).success) throw unknown(method, path)
    return { route, params }
  }
  throw unknown(method, path)
}

function match(pattern: readonly string[], path: readonly string[]): Readonly<Record<string, string>> | null {
  const params: Record<string, string> = {}
  for (const [i, part] of pattern.entries()) {
    const segment = path[i]
    if (segment === undefined) return null
    if (part.startsWith(':') && part.endsWith('*')) {
      params[part.slice(1, -1)] = path.slice(i).join('/')
      return params
    }
    if (part.startsWith(':')) params[part.slice(1)] = segment
    else if (part !== segment) return null
  }
  return pattern.length === path.length ? params : null
}

function unknown(method: string, path: string): VouchsafeError {
  return new VouchsafeError('request.unknown-route', `no route ${method} ${path.slice(0, 200)}`)
}
