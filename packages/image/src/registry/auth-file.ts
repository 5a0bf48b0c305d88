import { ImageError } from '../errors.ts'
import { asObject, type JsonObject, member, optional, parseJsonObject, asString } from '../oci/json.ts'
import { repositoryText, type RepositoryName } from '../oci/reference.ts'
import type { Credentials } from './registry-config.ts'

const MAX_AUTH_FILE_BYTES = 1024 * 1024

/**
 * Reads a Docker or containers auth file and returns the look-up in it: the most specific path first, then the host,
 * then a host that is another name of it (`index.docker.io`). A key covers whole path parts only.
 *
 * Programs that hand out credentials (`credHelpers`, `credsStore`) are not run: a file that relies on them is refused
 * rather than read as holding nothing.
 *
 * @throws {ImageError} `document.malformed`, `document.too-large`.
 * @source containers-auth.json(5)
 */
export function parseAuthFile(
  bytes: Uint8Array,
  what = 'auth file',
): (name: RepositoryName) => Credentials | undefined {
  const document = parseJsonObject(bytes, what, MAX_AUTH_FILE_BYTES)
  for (const helper of ['credHelpers', 'credsStore'])
    if (member(document, helper) !== undefined)
      throw new ImageError('document.malformed', `${what}: ${helper} names a program, which is not run`)
  const exact = new Map<string, Credentials>()
  const byHost = new Map<string, Credentials>()
  for (const [key, value] of Object.entries(optional(document, 'auths', what, asObject) ?? {})) {
    const credentials = readEntry(asObject(value, `${what}: ${key}`), `${what}: ${key}`)
    if (credentials === undefined) continue
    exact.set(key, credentials)
    const host = hostOfKey(key)
    if (host !== undefined && !byHost.has(host)) byHost.set(host, credentials)
  }
  return (name) => {
    const parts = repositoryText(name).split('/')
    for (let length = parts.length; length > 0; length--) {
      const found = exact.get(parts.slice(0, length).join('/'))
      if (found !== undefined) return found
    }
    return byHost.get(name.registry)
  }
}

/** Keys of old files are addresses: `https://index.docker.io/v1/`. A key with any other path is for that path only. */
function hostOfKey(key: string): string | undefined {
  const match = /^(?:https?:\/\/)?([^/]+)(?:\/v[12]\/?|\/)?$/.exec(key)
  const host = match?.[1]?.toLowerCase()
  return host === 'index.docker.io' || host === 'registry-1.docker.io' ? 'docker.io' : host
}

function readEntry(entry: JsonObject, what: string): Credentials | undefined {
  const token = optional(entry, 'identitytoken', what, asString)
  if (token !== undefined && token !== '') return { kind: 'identity-token', token }
  const auth = optional(entry, 'auth', what, asString)
  if (auth === undefined || auth === '') {
    // read as holding nothing, a login that somebody wrote down would silently not be used
    const other = ['username', 'password', 'registrytoken'].find((name) => member(entry, name) !== undefined)
    if (other === undefined) return undefined
    throw new ImageError('document.malformed', `${what}: ${other} and no auth, which is user:password in base64`)
  }
  const bytes = Buffer.from(auth, 'base64')
  if (bytes.toString('base64') !== auth) throw new ImageError('document.malformed', `${what}: auth is not base64`)
  const text = bytes.toString('utf8').replace(/[\n\r\0]+$/, '')
  const colon = text.indexOf(':')
  if (colon <= 0) throw new ImageError('document.malformed', `${what}: auth is not user:password`)
  return { kind: 'password', username: text.slice(0, colon), password: text.slice(colon + 1) }
}
