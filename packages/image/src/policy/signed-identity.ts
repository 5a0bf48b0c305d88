import { ImageError } from '../errors.ts'
import {
  isHost,
  type ImageReference,
  normalHost,
  parseReference,
  referenceText,
  repositoryText,
} from '../oci/reference.ts'

/** How the name inside a signature must relate to the name that the user asked for. */
export type SignedIdentity =
  | { readonly type: 'matchExact' }
  | { readonly type: 'matchRepoDigestOrExact' }
  | { readonly type: 'matchRepository' }
  | { readonly type: 'exactReference'; readonly dockerReference: string }
  | { readonly type: 'exactRepository'; readonly dockerRepository: string }
  | { readonly type: 'remapIdentity'; readonly prefix: string; readonly signedPrefix: string }
  /** Ours: a signature that names no image, as cosign's bundles do, counts by its digest alone. */
  | { readonly type: 'vouchsafeDigestOnly' }

/**
 * Whether a signature's name is the one wanted (H03). A name that cannot be read matches nothing.
 *
 * @param asked - What the user asked for, never a mirror's name.
 * @param signed - `docker-reference` of the payload; undefined where the format carries no name.
 * @source containers-policy.json(5), signedIdentity
 */
export function matchesIdentity(rule: SignedIdentity, asked: ImageReference, signed: string | undefined): boolean {
  if (rule.type === 'vouchsafeDigestOnly') return true
  const named = signed === undefined ? undefined : readReference(signed)
  if (named === undefined) return false
  switch (rule.type) {
    case 'matchExact':
      return sameReference(asked, named)
    case 'matchRepoDigestOrExact':
      return sameRepositoryByDigest(asked, named)
    case 'matchRepository':
      return repositoryText(asked) === repositoryText(named)
    case 'exactReference': {
      const wanted = readReference(rule.dockerReference)
      return wanted !== undefined && sameReference(wanted, named)
    }
    case 'exactRepository': {
      const wanted = readReference(rule.dockerRepository)
      return wanted !== undefined && repositoryText(wanted) === repositoryText(named)
    }
    case 'remapIdentity': {
      const mapped = remapReference(asked, rule.prefix, rule.signedPrefix)
      return mapped !== undefined && sameRepositoryByDigest(mapped, named)
    }
  }
}

/** A name without tag and digest stands for no image: it equals nothing, not even itself. */
function sameReference(a: ImageReference, b: ImageReference): boolean {
  return isComplete(a) && isComplete(b) && referenceText(a) === referenceText(b)
}

function sameRepositoryByDigest(asked: ImageReference, signed: ImageReference): boolean {
  if (asked.tag === undefined && asked.digest !== undefined)
    return isComplete(signed) && repositoryText(asked) === repositoryText(signed)
  return sameReference(asked, signed)
}

function isComplete(reference: ImageReference): boolean {
  return reference.tag !== undefined || reference.digest !== undefined
}

/** True at a boundary of host or path only: `example.com/ns` is no prefix of `example.com/ns2/image`. */
export function hasPrefix(reference: ImageReference, prefix: string): boolean {
  const name = repositoryText(reference)
  return name === prefix || name.startsWith(`${prefix}/`)
}

/**
 * @returns The reference unchanged where the prefix does not match; undefined where the result is no full name: it
 *   would be read as one on docker.io.
 */
export function remapReference(
  reference: ImageReference,
  prefix: string,
  signedPrefix: string,
): ImageReference | undefined {
  if (!hasPrefix(reference, prefix)) return reference
  const text = signedPrefix + referenceText(reference).slice(prefix.length)
  const mapped = readReference(text)
  return mapped !== undefined && referenceText(mapped) === text ? mapped : undefined
}

/** @throws {ImageError} `policy.malformed` unless it is host[:port][/path], without tag and digest. */
export function checkPrefix(prefix: string, what: string): void {
  const [host = '', ...path] = prefix.split('/')
  if (path.length === 0 ? !isHost(host) || normalHost(host) !== host : !isNameOnly(prefix))
    throw new ImageError(
      'policy.malformed',
      `${what}: ${JSON.stringify(prefix)} is not host[:port][/path] as references are spelt`,
    )
}

function isNameOnly(text: string): boolean {
  const reference = readReference(text)
  return reference !== undefined && repositoryText(reference) === text
}

/** As `parseReference`, where a name that is none is an answer too. */
export function readReference(text: string): ImageReference | undefined {
  try {
    return parseReference(text)
  } catch (error) {
    if (error instanceof ImageError) return undefined
    throw error
  }
}
