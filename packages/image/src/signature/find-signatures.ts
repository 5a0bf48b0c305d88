import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { ImageError } from '../errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { assertContent, type Digest, digestOf } from '../oci/digest.ts'
import { type ImageManifest, parseManifest } from '../oci/manifest.ts'
import { fallbackTag, listReferrers } from '../registry/referrers.ts'
import type { RepositoryReader } from '../registry/repository.ts'
import { MAX_STATEMENT_BYTES } from '../statement/statement.ts'
import { MAX_SIGNATURE_BYTES } from './payload.ts'
import { isBundleType } from './bundle-type.ts'
import type { UnreadableSignature } from './scheme/scheme.ts'
import {
  type BundleSignature,
  type CosignSignature,
  parseSignatureFile,
  SIMPLE_SIGNING,
  type StoredSignature,
} from './stored-signature.ts'

export type FoundSignature = StoredSignature | UnreadableSignature

/** More than Confidential Space looks at on one image is no honest image. */
const MAX_SIGNATURES = 300
const MAX_LOOKASIDE = 128
/** Of all signatures of one digest together: what a stranger may make us keep in memory. */
const MAX_TOTAL_BYTES = 64 * 1024 * 1024

/** The tag that cosign keeps the signatures of a digest under: `sha256-<hex>.sig`. */
export function signatureTag(digest: Digest, kind: 'sig' | 'att' | 'sbom' = 'sig'): string {
  return `${fallbackTag(digest)}.${kind}`
}

/**
 * The cosign signatures of a digest: under its tag, and as bundles that refer to it. What is there and cannot be read
 * is told; what a registry says is missing is missing.
 *
 * @throws {ImageError} `signature.limit`, and `registry.*` when there is no answer: that is not "unsigned".
 * @source cosign signature specification, storage; OCI distribution specification, referrers
 */
export async function findSigstoreSignatures(
  reader: RepositoryReader,
  digest: Digest,
  signal?: AbortSignal,
): Promise<readonly FoundSignature[]> {
  const budget = newBudget()
  const underTag = await findTagSignatures(reader, digest, budget)
  return [...underTag, ...(await findBundleSignatures(reader, digest, signal, budget))]
}

interface Budget {
  bytes: number
  count: number
}

function newBudget(): Budget {
  return { bytes: MAX_TOTAL_BYTES, count: MAX_SIGNATURES }
}

/** Those under cosign's tag alone. @throws {ImageError} as `findSigstoreSignatures`. */
export async function findTagSignatures(
  reader: RepositoryReader,
  digest: Digest,
  budget: Budget = newBudget(),
): Promise<readonly (CosignSignature | UnreadableSignature)[]> {
  const layers = await readTaggedLayers(reader, signatureTag(digest), SIMPLE_SIGNING, MAX_SIGNATURE_BYTES, budget)
  return layers.map((layer) =>
    layer.kind === 'unreadable'
      ? layer
      : { kind: 'cosign', place: layer.place, payload: layer.bytes, annotations: layer.annotations },
  )
}

/** What lies under one of cosign's tags. */
export interface TaggedLayer {
  readonly kind: 'layer'
  readonly place: string
  readonly bytes: Uint8Array
  readonly annotations: ReadonlyMap<string, string>
}

/** @internal The layers of one type under a tag, within what all that is read for one image may take. */
export async function readTaggedLayers(
  reader: RepositoryReader,
  tag: string,
  mediaType: string,
  maxBytes: number,
  budget: Budget = newBudget(),
): Promise<readonly (TaggedLayer | UnreadableSignature)[]> {
  const layers = (await readTagged(reader, tag))?.layers.filter((layer) => layer.mediaType === mediaType) ?? []
  const found: (TaggedLayer | UnreadableSignature)[] = []
  for (const [i, layer] of layers.entries()) {
    const place = `${tag}[${i}]`
    found.push(
      await readable(place, async () => {
        const bytes = await readBlob(reader, layer, maxBytes, place, budget)
        return { kind: 'layer', place, bytes, annotations: layer.annotations }
      }),
    )
  }
  return found
}

/** Those that refer to the image alone. @throws {ImageError} as `findSigstoreSignatures`. */
export async function findBundleSignatures(
  reader: RepositoryReader,
  digest: Digest,
  signal?: AbortSignal,
  budget: Budget = newBudget(),
): Promise<readonly (BundleSignature | UnreadableSignature)[]> {
  const listed = await listReferrers(reader.home, digest, signal === undefined ? {} : { signal })
  // docker-registry's list is made by clients, and some leave the type out; the manifest itself says it then
  const candidates = listed.filter(({ artifactType }) => artifactType === undefined || isBundleType(artifactType))
  const found: (BundleSignature | UnreadableSignature)[] = []
  for (const candidate of candidates) {
    const place = `referrer ${candidate.digest.slice(0, 19)}`
    const bundle = await readable(place, async () => {
      const manifest = await readReferrer(reader, candidate, digest, place)
      if (manifest === undefined) return undefined
      const [layer] = manifest.layers
      if (layer === undefined || manifest.layers.length !== 1)
        throw new ImageError('signature.malformed', `${place}: ${manifest.layers.length} layers, one bundle is wanted`)
      return { kind: 'bundle', place, bundle: await readBlob(reader, layer, MAX_STATEMENT_BYTES * 1.5, place, budget) }
    })
    if (bundle !== undefined) found.push(bundle)
  }
  return found
}

/** @returns undefined when it is no bundle. */
async function readReferrer(
  reader: RepositoryReader,
  candidate: Descriptor,
  subject: Digest,
  place: string,
): Promise<ImageManifest | undefined> {
  const { bytes } = await reader.readManifest(candidate.digest, candidate.size)
  assertContent(bytes, candidate, place)
  const manifest = parseManifest(bytes, candidate.mediaType, place)
  if (manifest.artifactType === undefined || !isBundleType(manifest.artifactType)) return undefined
  if (manifest.subject?.digest !== subject)
    throw new ImageError('signature.mismatch', `${place}: refers to ${manifest.subject?.digest ?? 'nothing'}`)
  return manifest
}

/** The manifest under a tag, and its digest; undefined where the registry says that there is none. */
export async function readTagged(
  reader: RepositoryReader,
  tag: string,
): Promise<(ImageManifest & { readonly digest: Digest }) | undefined> {
  try {
    const { bytes, mediaType } = await reader.readTag(tag)
    return { ...parseManifest(bytes, mediaType, tag), digest: digestOf(bytes) }
  } catch (error) {
    if (error instanceof ImageError && error.code === 'registry.not-found') return undefined
    throw error
  }
}

async function readBlob(
  reader: RepositoryReader,
  layer: Descriptor,
  maxBytes: number,
  place: string,
  budget: Budget,
): Promise<Uint8Array> {
  budget.count--
  budget.bytes -= layer.size
  if (layer.size > maxBytes)
    throw new ImageError('signature.malformed', `${place}: ${layer.size} bytes, at most ${maxBytes}`)
  if (budget.count < 0 || budget.bytes < 0)
    throw new ImageError('signature.limit', `over ${MAX_SIGNATURES} signatures or ${MAX_TOTAL_BYTES} bytes of them`)
  const chunks: Uint8Array[] = []
  for await (const chunk of reader.openBlob(layer)) chunks.push(chunk)
  const bytes = new Uint8Array(Buffer.concat(chunks))
  assertContent(bytes, layer, place)
  return bytes
}

/**
 * A signature that lies, is damaged, or is listed and gone, is one that does not count; whoever adds one must not be able
 * to stop a pull.
 */
async function readable<T extends StoredSignature | TaggedLayer | undefined>(
  place: string,
  read: () => Promise<T>,
): Promise<T | UnreadableSignature> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof ImageError && UNREADABLE.test(error.code)) return { kind: 'unreadable', place, error }
    throw error
  }
}

const UNREADABLE = /^(digest|document|chain)\.|^signature\.(malformed|mismatch)$|^registry\.not-found$/

/** Reads one file of a lookaside store; undefined when it is not there. */
export type LookasideReader = (url: string) => Promise<Uint8Array | undefined>

/**
 * The signatures of a digest in a lookaside store: signature-1, -2, and so on up to the first that is missing.
 *
 * @throws {ImageError} `signature.limit`; what reading throws.
 */
export async function findLookasideSignatures(
  urlOf: (number: number) => string,
  read: LookasideReader,
): Promise<readonly FoundSignature[]> {
  const found: FoundSignature[] = []
  let left = MAX_TOTAL_BYTES
  for (let number = 1; ; number++) {
    const place = urlOf(number)
    const bytes = await read(place)
    if (bytes === undefined) return found
    left -= bytes.length
    if (number > MAX_LOOKASIDE || left < 0)
      throw new ImageError(
        'signature.limit',
        `${place}: over ${MAX_LOOKASIDE} signatures of one image, or ${MAX_TOTAL_BYTES} bytes of them`,
      )
    const signature = await readable(place, () => Promise.resolve(parseSignatureFile(bytes, place)))
    if (signature !== undefined) found.push(signature)
  }
}

/** A lookaside store in local files. @throws {ImageError} `policy.material`. */
export async function readLookasideFile(url: string): Promise<Uint8Array | undefined> {
  try {
    return new Uint8Array(await readFile(fileURLToPath(url)))
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new ImageError('policy.material', `${url}: ${(cause as Error).message}`, { cause })
  }
}
