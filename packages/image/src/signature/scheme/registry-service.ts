import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { ImageError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import { asArray, asObject, member, parseJsonObject, readAs, readShape } from '../../oci/json.ts'
import type { RepositoryName } from '../../oci/reference.ts'
import { repositoryScope } from '../../registry/authorize.ts'
import type { RegistryClient } from '../../registry/client.ts'
import type { Endpoint } from '../../registry/endpoint.ts'
import { readAll } from '../../registry/read-all.ts'
import { MAX_SIGNATURE_BYTES } from '../payload.ts'
import { readBase64 } from '../signed-json.ts'
import type { SimpleSignature } from '../stored-signature.ts'
import { parseKeyRing, type SimpleTrust } from '../verify-simple.ts'
import type { SchemeModule, UnreadableSignature } from './scheme.ts'
import { verifySimple } from './simple-signing.ts'

const HEADER = 'x-registry-supports-signatures'
const VERSION = 2
const TYPE = 'atomic'
const MAX_SIGNATURES = 128
/** Of the whole answer: base64 of what a store of files may hold, and no more. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024

const parametersSchema = z.strictObject({
  /** Rings of OpenPGP keys, any of which may have signed. */
  keyPaths: z.array(z.string().min(1).max(4096)).min(1).max(64),
})

/**
 * A registry's own signing service: signatures that the registry keeps itself and hands out beside the image, where it says
 * that it does (`X-Registry-Supports-Signatures`). The registry is not trusted with them: they are OpenPGP messages by
 * the signers' keys, as in simple signing.
 *
 * @source containers/image, the API extension of OpenShift's registry
 */
export const registryService: SchemeModule<SimpleSignature, SimpleTrust> = {
  name: 'registry-service',
  fetch: async ({ client, name, digest, signal }) => {
    const endpoint = client.endpoint(name)
    if (!(await hasService(endpoint, signal))) return []
    const what = `signing service of ${name.registry}`
    const response = await endpoint.sendWithRetries({ ...request(endpoint, digest, 'pull'), accept: [200], signal })
    const bytes = await readAll(response.body, MAX_ANSWER_BYTES, what)
    return readList(bytes, digest, what)
  },
  verify: verifySimple,
  readTrust: async (parameters, { material, at, dangerouslyAcceptSha1 = false }) => {
    const { keyPaths } = readShape(parametersSchema, parameters, 'registry-service: parameters', 'policy.malformed')
    const rings = keyPaths.map(async (where) => {
      const bytes = await material(where)
      try {
        return await parseKeyRing(bytes, where)
      } catch (cause) {
        throw new ImageError('policy.material', (cause as Error).message, { cause })
      }
    })
    return { rings: await Promise.all(rings), at, dangerouslyAcceptSha1 }
  },
}

/**
 * Puts a signature into the registry's own service. Those of others stay.
 *
 * @throws {ImageError} `registry.protocol` where the registry has no such service; `registry.*`.
 */
export async function putIntoService(
  client: RegistryClient,
  name: RepositoryName,
  digest: Digest,
  signature: SimpleSignature,
): Promise<void> {
  const endpoint = client.endpoint(name)
  if (!(await hasService(endpoint, undefined)))
    throw new ImageError('registry.protocol', `${name.registry} has no signing service of its own`)
  const body = new TextEncoder().encode(
    JSON.stringify({
      schemaVersion: VERSION,
      name: `${digest}@${randomBytes(16).toString('hex')}`, // the service wants a name that nobody has yet
      type: TYPE,
      content: Buffer.from(signature.message).toString('base64'),
    }),
  )
  const headers = { 'content-type': 'application/json' }
  const put = { ...request(endpoint, digest, 'pull', 'push'), method: 'PUT' as const, headers, body: () => body }
  // sent once: a second try under the same name is refused, and under another would be a second signature
  const response = await endpoint.send({ ...put, accept: [200, 201] })
  response.discard()
}

async function hasService(endpoint: Endpoint, signal: AbortSignal | undefined): Promise<boolean> {
  const scopes = [repositoryScope(endpoint.name.path, 'pull')]
  const response = await endpoint.sendWithRetries({ method: 'GET', to: '/v2/', scopes, accept: [200, 404], signal })
  response.discard()
  return response.header(HEADER) === '1'
}

function request(endpoint: Endpoint, digest: Digest, ...actions: readonly ('pull' | 'push')[]) {
  return {
    method: 'GET' as const,
    to: `/extensions/v2/${endpoint.name.path}/signatures/${digest}`,
    scopes: [repositoryScope(endpoint.name.path, ...actions)],
  }
}

/** One bad entry stops none of the others; an answer that is no list is no answer. */
function readList(bytes: Uint8Array, digest: Digest, what: string): readonly (SimpleSignature | UnreadableSignature)[] {
  const entries = readAs('registry.protocol', () => {
    const object = parseJsonObject(bytes, what, MAX_ANSWER_BYTES)
    return asArray(member(object, 'signatures') ?? [], `${what}: signatures`, MAX_SIGNATURES)
  })
  return entries.map((entry, i) => {
    const place = `${what}[${i}]`
    try {
      return { kind: 'simple', place, message: readEntry(entry, digest, place) }
    } catch (error) {
      if (error instanceof ImageError) return { kind: 'unreadable', place, error }
      throw error
    }
  })
}

function readEntry(entry: unknown, digest: Digest, place: string): Uint8Array {
  const object = readAs('signature.malformed', () => asObject(entry, place))
  for (const name of Object.keys(object))
    if (!['schemaVersion', 'name', 'type', 'content'].includes(name))
      throw new ImageError('signature.malformed', `${place}: unknown member ${JSON.stringify(name.slice(0, 80))}`)
  const [version, type, name] = [member(object, 'schemaVersion'), member(object, 'type'), member(object, 'name')]
  if (version !== VERSION || type !== TYPE)
    throw new ImageError('signature.malformed', `${place}: not version ${VERSION} of ${JSON.stringify(TYPE)}`)
  if (typeof name !== 'string' || !name.startsWith(`${digest}@`))
    throw new ImageError('signature.mismatch', `${place}: kept for another image`)
  const message = readBase64(member(object, 'content'), `${place}: content`)
  if (message.length === 0 || message.length > MAX_SIGNATURE_BYTES)
    throw new ImageError('signature.malformed', `${place}: ${message.length} bytes`)
  return message
}
