import { ImageError } from '../errors.ts'
import type { Endpoint } from './endpoint.ts'
import type { HttpResponse } from './http.ts'

/**
 * Where a list goes on, as its registry says in `Link`. The address is held to the rules of the registry like any other.
 *
 * @source RFC 8288; OCI distribution specification, content discovery
 */
export function nextPage(endpoint: Endpoint, page: URL, response: HttpResponse): URL | undefined {
  const link = /<([^>]{1,2000})>\s*;\s*rel="?next"?/.exec(response.header('link') ?? '')?.[1]
  if (link === undefined) return undefined
  const next = URL.parse(link, page)
  if (next === null) throw new ImageError('registry.protocol', `${page.host}: a next page that cannot be read`)
  return endpoint.resolve(next)
}
