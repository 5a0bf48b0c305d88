import { ImageError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { ImageReference } from '../oci/reference.ts'
import type { FoundSignature } from '../signature/find-signatures.ts'
import type { Payload } from '../signature/payload.ts'
import type { StoredSignature } from '../signature/stored-signature.ts'
import { verifyBundle } from '../signature/verify-bundle.ts'
import { verifyCosignSignature } from '../signature/verify-cosign.ts'
import { PREDICATES, subjectFor } from '../statement/statement.ts'
import { matchesIdentity, type SignedIdentity } from './signed-identity.ts'
import { bundleTrustOf, type loadTrust } from './trust.ts'

/** The documents that a signature may be over (H02): the index that was asked for, and the platform's manifest. */
export interface SignedDocument {
  readonly role: 'index' | 'manifest'
  readonly digest: Digest
  readonly bytes: Uint8Array
}

/** What is decided about. */
export interface SignedImage {
  /** As the user asked for it, never a mirror's name. */
  readonly asked: ImageReference
  readonly documents: readonly SignedDocument[]
}

/** Someone whose signature counted. */
export interface AcceptedSigner {
  /** Lower-case hexadecimal of a key's SPKI digest, or an OpenPGP fingerprint. */
  readonly key: string
  readonly name?: string
  readonly signed: 'index' | 'manifest'
  readonly place: string
}

/** What applies where a policy names no rule: reference, or repository for a digest. Cosign's tags name neither. */
export const DEFAULT_IDENTITY: SignedIdentity = { type: 'matchRepoDigestOrExact' }

/** @throws {ImageError} `signature.*`, `statement.*`, `digest.*`, `key.*` for a signature that does not count. */
export type Check = (found: StoredSignature) => Promise<AcceptedSigner>

/** What is wrong with a signature is a finding; that there is no answer is an error. */
export async function tryOne(
  found: FoundSignature,
  check: Check,
): Promise<{ readonly signer: AcceptedSigner } | { readonly signer?: never; readonly why: string }> {
  if (found.kind === 'unreadable') return { why: `${found.error.code}: ${found.error.message}` }
  try {
    return { signer: await check(found) }
  } catch (error) {
    if (error instanceof ImageError && /^(signature|statement|digest|key)\./.test(error.code))
      return { why: `${error.code}: ${error.message}` }
    throw error
  }
}

/** Whose signature it is, of either sigstore form, over one of the image's documents under an allowed name. */
export async function sigstoreSigner(
  found: StoredSignature,
  trust: Awaited<ReturnType<typeof loadTrust>>,
  image: SignedImage,
  identity: SignedIdentity,
): Promise<AcceptedSigner> {
  if (found.kind === 'cosign') {
    const { payload, signer } = await verifyCosignSignature(found, trust)
    const { role } = assertPayloadFor(payload, image, identity, found.place)
    return { key: signer.keyId, signed: role, place: found.place }
  }
  if (found.kind !== 'bundle') throw otherKind(found, 'a sigstore signature')
  return bundleSigner(found, trust, image, identity)
}

function bundleSigner(
  found: Extract<StoredSignature, { kind: 'bundle' }>,
  trust: Awaited<ReturnType<typeof loadTrust>>,
  image: SignedImage,
  identity: SignedIdentity,
): AcceptedSigner {
  const documents = image.documents.map(({ bytes }) => bytes)
  const { content, signer } = verifyBundle(found, bundleTrustOf(trust, found.place), documents)
  if (content.kind === 'artifact') {
    // over the document itself, and by no name
    const signed = image.documents.find(({ bytes }) => bytes === content.artifact)
    if (signed === undefined || !matchesIdentity(identity, image.asked, undefined))
      throw otherName(found.place, 'no name', identity)
    return { key: signer.keyId, signed: signed.role, place: found.place }
  }
  const { statement } = content
  if (statement.predicateType !== PREDICATES.sign)
    throw new ImageError(
      'signature.mismatch',
      `${found.place}: states ${JSON.stringify(statement.predicateType.slice(0, 200))}, which is no signature of an image`,
    )
  for (const document of image.documents) {
    const subject = subjectFor(statement, document.digest)
    if (subject === undefined) continue
    if (!matchesIdentity(identity, image.asked, subject.name))
      throw otherName(found.place, subject.name ?? 'no name', identity)
    return { key: signer.keyId, signed: document.role, place: found.place }
  }
  throw new ImageError('signature.mismatch', `${found.place}: is about another image`)
}

/**
 * @returns Which of the documents the payload is about.
 * @throws {ImageError} `signature.mismatch` when it is about none of them, or under another name (H03).
 */
export function assertPayloadFor(
  payload: Payload,
  image: SignedImage,
  identity: SignedIdentity,
  place: string,
): SignedDocument {
  const document = image.documents.find(({ digest }) => digest === payload.manifestDigest)
  if (document === undefined)
    throw new ImageError('signature.mismatch', `${place}: is about ${payload.manifestDigest}, another image`)
  if (!matchesIdentity(identity, image.asked, payload.dockerReference))
    throw otherName(place, payload.dockerReference, identity)
  return document
}

function otherName(place: string, name: string, identity: SignedIdentity): ImageError {
  return new ImageError(
    'signature.mismatch',
    `${place}: signed as ${JSON.stringify(name.slice(0, 200))}, which ${identity.type} does not allow here`,
  )
}

export function otherKind(found: StoredSignature, wanted: string): ImageError {
  return new ImageError('signature.mismatch', `${found.place}: not ${wanted}`)
}
