import { ImageError } from '../errors.ts'
import { type Digest, parseDigest } from '../oci/digest.ts'
import { asObject, asString, type JsonObject, member, readAs } from '../oci/json.ts'
import { parseSignedJson } from './signed-json.ts'

/** Who writes a payload of this form, as its `critical.type` says. */
const PAYLOAD_TYPES = {
  cosign: 'cosign container image signature',
  simple: 'atomic container signature',
} as const
type PayloadKind = keyof typeof PAYLOAD_TYPES

/** What a simple-signing payload claims. Believe it only from `verifyCosignSignature` or `verifySimpleSignature`. */
export interface Payload {
  readonly kind: PayloadKind
  readonly manifestDigest: Digest
  /** As it is written; it may be no reference at all, which matches no rule. */
  readonly dockerReference: string
  /** `null` counts as empty: cosign writes it when there are no annotations. */
  readonly optional: JsonObject
}

/** Largest payload or signature that is read. */
export const MAX_SIGNATURE_BYTES = 4 * 1024 * 1024

/**
 * Reads a payload whose bytes were verified. Exactly the members of the format: whoever adds one to `critical` means
 * something that we would not obey.
 *
 * @throws {ImageError} `signature.malformed`, `signature.mismatch` for a payload of the other kind, `digest.*`.
 * @source containers-signature(5), JSON data format; cosign signature specification, simple signing
 */
export function parsePayload(bytes: Uint8Array, kind: PayloadKind): Payload {
  const what = 'payload'
  const object = parseSignedJson(bytes, what, MAX_SIGNATURE_BYTES)
  exactly(object, ['critical', 'optional'], what)
  const critical = asObjectOf(object, 'critical', what)
  exactly(critical, ['type', 'image', 'identity'], `${what}.critical`)
  const image = asObjectOf(critical, 'image', `${what}.critical`)
  exactly(image, ['docker-manifest-digest'], `${what}.critical.image`)
  const identity = asObjectOf(critical, 'identity', `${what}.critical`)
  exactly(identity, ['docker-reference'], `${what}.critical.identity`)
  const type = text(critical, 'type', `${what}.critical`)
  if (type !== PAYLOAD_TYPES[kind])
    throw new ImageError(
      'signature.mismatch',
      `${what}.critical.type: ${JSON.stringify(type.slice(0, 80))}, wanted ${JSON.stringify(PAYLOAD_TYPES[kind])}`,
    )
  return {
    kind,
    manifestDigest: parseDigest(member(image, 'docker-manifest-digest'), `${what}: docker-manifest-digest`),
    dockerReference: text(identity, 'docker-reference', `${what}.critical.identity`),
    optional: readOptional(member(object, 'optional'), kind),
  }
}

/** The bytes to sign. Members in cosign's order; `optional` as given. */
export function writePayload(payload: Omit<Payload, 'optional'> & { readonly optional: object | null }): Uint8Array {
  return new TextEncoder().encode(
    JSON.stringify({
      critical: {
        identity: { 'docker-reference': payload.dockerReference },
        image: { 'docker-manifest-digest': payload.manifestDigest },
        type: PAYLOAD_TYPES[payload.kind],
      },
      optional: payload.optional,
    }),
  )
}

function readOptional(value: unknown, kind: PayloadKind): JsonObject {
  if (value === null && kind === 'cosign') return {}
  const optional = readAs('signature.malformed', () => asObject(value, 'payload.optional'))
  if (kind === 'cosign') return optional
  const creator = member(optional, 'creator')
  const timestamp = member(optional, 'timestamp')
  if (creator !== undefined && typeof creator !== 'string')
    throw new ImageError('signature.malformed', 'payload.optional.creator: not a string')
  if (timestamp !== undefined && !Number.isSafeInteger(timestamp))
    throw new ImageError('signature.malformed', 'payload.optional.timestamp: not a whole number of seconds')
  return optional
}

function exactly(object: JsonObject, names: readonly string[], what: string): void {
  for (const name of names)
    if (!Object.hasOwn(object, name)) throw new ImageError('signature.malformed', `${what}: no member ${name}`)
  for (const name of Object.keys(object))
    if (!names.includes(name))
      throw new ImageError('signature.malformed', `${what}: unknown member ${JSON.stringify(name.slice(0, 80))}`)
}

function asObjectOf(object: JsonObject, name: string, what: string): JsonObject {
  return readAs('signature.malformed', () => asObject(member(object, name), `${what}.${name}`))
}

function text(object: JsonObject, name: string, what: string): string {
  return readAs('signature.malformed', () => asString(member(object, name), `${what}.${name}`))
}
