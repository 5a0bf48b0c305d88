import { ImageError } from '../errors.ts'
import { type Digest, digestAlgorithm, digestOf, parseDigest } from '../oci/digest.ts'
import { asArray, asString, asStringList, member, parseJsonObject } from '../oci/json.ts'

/** What the store remembers of an image that was pulled and accepted. */
export interface StoredImage {
  /** Normal references it was accepted for, sorted. Each pull under another name was checked for that name. */
  readonly references: readonly string[]
  readonly manifestDigest: Digest
  readonly configDigest: Digest
  readonly diffIds: readonly Digest[]
  /** Snapshots, lowest first. */
  readonly chain: readonly Digest[]
  /** Bytes as the registry sent them, in base64. */
  readonly manifest: string
  readonly config: string
}

const MAX_RECORD_BYTES = 32 * 1024 * 1024

/**
 * Verified like everything else that comes from outside the process.
 *
 * @throws {ImageError} `store.corrupt`.
 */
export function readRecord(bytes: Uint8Array, manifestDigest: Digest): StoredImage {
  const what = `image record ${manifestDigest}`
  let record: StoredImage
  try {
    record = parseRecord(bytes, what)
  } catch (cause) {
    throw new ImageError('store.corrupt', `${what} cannot be read: ${(cause as Error).message}`, { cause })
  }
  const actual = [record.manifest, record.config].map((text, i) =>
    digestOf(Buffer.from(text, 'base64'), digestAlgorithm(i === 0 ? record.manifestDigest : record.configDigest)),
  )
  if (record.manifestDigest !== manifestDigest || actual[0] !== manifestDigest || actual[1] !== record.configDigest)
    throw new ImageError('store.corrupt', `${what}: its documents do not have its digests`)
  return record
}

function parseRecord(bytes: Uint8Array, what: string): StoredImage {
  const object = parseJsonObject(bytes, what, MAX_RECORD_BYTES)
  const digests = (name: string) =>
    asArray(member(object, name), `${what}.${name}`, 512).map((text) => parseDigest(text, what))
  return {
    references: asStringList(member(object, 'references'), `${what}.references`),
    manifestDigest: parseDigest(member(object, 'manifestDigest'), what),
    configDigest: parseDigest(member(object, 'configDigest'), what),
    diffIds: digests('diffIds'),
    chain: digests('chain'),
    manifest: asString(member(object, 'manifest'), `${what}.manifest`),
    config: asString(member(object, 'config'), `${what}.config`),
  }
}
