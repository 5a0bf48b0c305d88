import { parseStrictJson } from '@vouchsafe/core/base'
import { ImageError } from '../errors.ts'
import { asArray, asObject, asString, MAX_MANIFEST_BYTES, member } from '../oci/json.ts'
import { assertTag } from '../oci/reference.ts'
import { repositoryScope } from './authorize.ts'
import type { Endpoint } from './endpoint.ts'
import { nextPage } from './next-page.ts'

const MAX_TAGS = 100_000
const MAX_PAGES = 1000

/**
 * The tags of a repository, in its registry's order. The list is what the registry says now: nothing in it is authenticated,
 * and a tag that is missing may be there.
 *
 * @throws {ImageError} `registry.*`, `document.*`.
 * @source OCI distribution specification, listing tags
 */
export async function listTags(endpoint: Endpoint, signal?: AbortSignal): Promise<readonly string[]> {
  const what = `tags of ${endpoint.name.registry}/${endpoint.name.path}`
  const tags = new Set<string>()
  let next: URL | undefined = endpoint.resolve(endpoint.path('tags/list?n=1000'))
  for (let page = 0; next !== undefined; page++) {
    if (page >= MAX_PAGES) throw new ImageError('registry.protocol', `${what}: more than ${MAX_PAGES} pages`)
    const { response, bytes } = await endpoint.readWithRetries(
      {
        method: 'GET',
        to: next,
        scopes: [repositoryScope(endpoint.name.path, 'pull')],
        accept: [200],
        headers: { accept: 'application/json' },
        signal,
      },
      MAX_MANIFEST_BYTES,
      what,
    )
    for (const tag of parseTags(bytes, what)) tags.add(tag)
    if (tags.size > MAX_TAGS) throw new ImageError('registry.protocol', `${what}: more than ${MAX_TAGS}`)
    next = nextPage(endpoint, next, response)
  }
  return [...tags]
}

/** `null` counts as none: so Docker's registry says that a repository has no tags any more. */
function parseTags(bytes: Uint8Array, what: string): readonly string[] {
  try {
    const tags = member(asObject(parseStrictJson(bytes, { maxBytes: MAX_MANIFEST_BYTES }), what), 'tags') ?? []
    return asArray(tags, what, MAX_TAGS).map((tag) => {
      const text = asString(tag, what)
      assertTag(text)
      return text
    })
  } catch (cause) {
    throw new ImageError('registry.protocol', `${what}: ${(cause as Error).message}`, { cause })
  }
}
