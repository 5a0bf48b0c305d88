import { ImageError } from '../errors.ts'
import { type Content, type Digest, parseDigest } from './digest.ts'
import { asObject, asSize, asString, asStringMap, type JsonObject, member, optional } from './json.ts'
import { parsePlatform, type Platform } from './platform.ts'

/** A typed, content-addressed pointer. Members that the specification adds later are ignored, as it demands. */
export interface Descriptor extends Content {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
  readonly annotations: ReadonlyMap<string, string>
  readonly artifactType?: string
  readonly platform?: Platform
}

const MEDIA_TYPE = /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}(;.{0,200})?$/

/** @throws {ImageError} `document.malformed` @source RFC 6838 section 4.2 */
export function asMediaType(value: unknown, what: string): string {
  const text = asString(value, what)
  if (!MEDIA_TYPE.test(text)) throw new ImageError('document.malformed', `${what}: not a media type`)
  return text
}

/** @source OCI image specification, descriptor */
export function parseDescriptor(value: unknown, what: string): Descriptor {
  const object = asObject(value, what)
  const artifactType = optional(object, 'artifactType', what, asMediaType)
  const platform = optional(object, 'platform', what, parsePlatform)
  return {
    mediaType: asMediaType(member(object, 'mediaType', what), `${what}.mediaType`),
    digest: parseDigest(member(object, 'digest', what), `${what}.digest`),
    size: asSize(member(object, 'size', what), `${what}.size`),
    annotations: parseAnnotations(object, what),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(platform === undefined ? {} : { platform }),
  }
}

export function parseAnnotations(object: JsonObject, what: string): ReadonlyMap<string, string> {
  return optional(object, 'annotations', what, asStringMap) ?? new Map()
}

/** The JSON form, members in the order the specification lists them: the same descriptor gives the same bytes. */
export function descriptorJson(descriptor: Descriptor): JsonObject {
  const { annotations, artifactType, platform } = descriptor
  return {
    mediaType: descriptor.mediaType,
    digest: descriptor.digest,
    size: descriptor.size,
    ...(annotations.size === 0 ? {} : { annotations: sortedRecord(annotations) }),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(platform === undefined ? {} : { platform }),
  }
}

/** Members sorted by UTF-16 units, whatever order the map was filled in. */
export function sortedRecord(map: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries([...map].sort(([a], [b]) => (a < b ? -1 : 1)))
}
