import { ImageError } from '../errors.ts'
import type { ImageReference } from '../oci/reference.ts'
import { sigstoreBundle } from '../signature/scheme/bundle.ts'
import { cosignTag } from '../signature/scheme/cosign-tag.ts'
import type { Attributed, SignedDocument, UnreadableSignature } from '../signature/scheme/scheme.ts'
import { otherKind, type StoredSignature } from '../signature/stored-signature.ts'
import { matchesIdentity, type SignedIdentity } from './signed-identity.ts'
import type { SignerTrust } from '../signature/verify-cosign.ts'
import { bundleTrustOf } from './trust.ts'

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
export type Check<Signature> = (found: Signature) => Promise<AcceptedSigner>

/** What is wrong with a signature is a finding; that there is no answer is an error. */
export async function tryOne<Signature extends { readonly place: string }>(
  found: Signature | UnreadableSignature,
  check: Check<Signature>,
): Promise<{ readonly signer: AcceptedSigner } | { readonly signer?: never; readonly why: string }> {
  if (isUnreadable(found)) return { why: reason(found.error, found.place) }
  try {
    return { signer: await check(found) }
  } catch (error) {
    if (error instanceof ImageError && /^(signature|statement|digest|key)\./.test(error.code))
      return { why: reason(error, found.place) }
    throw error
  }
}

/** Told beside the place, which most messages begin with. */
function reason({ code, message }: ImageError, place: string): string {
  return `${code}: ${message.startsWith(`${place}: `) ? message.slice(place.length + 2) : message}`
}

function isUnreadable(found: { readonly place: string }): found is UnreadableSignature {
  return 'kind' in found && found.kind === 'unreadable'
}

/** Whose signature it is, of either sigstore form, over one of the image's documents under an allowed name. */
export async function sigstoreSigner(
  found: StoredSignature,
  trust: SignerTrust,
  image: SignedImage,
  identity: SignedIdentity,
): Promise<AcceptedSigner> {
  switch (found.kind) {
    case 'cosign':
      return accepted(await cosignTag.verify(found, trust, image.documents), image, identity, found.place)
    case 'bundle': {
      const root = bundleTrustOf(trust, found.place)
      return accepted(await sigstoreBundle.verify(found, root, image.documents), image, identity, found.place)
    }
    case 'simple':
      throw otherKind(found, 'a sigstore signature')
  }
}

/**
 * Holds what a signature says against the image and the names that are allowed: the one place for all schemes (H03).
 *
 * @throws {ImageError} `signature.mismatch`
 */
export function accepted(
  { key, digest, name }: Attributed,
  image: SignedImage,
  identity: SignedIdentity,
  place: string,
): AcceptedSigner {
  const document = image.documents.find((one) => one.digest === digest)
  if (document === undefined) throw new ImageError('signature.mismatch', `${place}: is about ${digest}, another image`)
  if (!matchesIdentity(identity, image.asked, name)) throw otherName(place, name ?? 'no name', identity)
  return { key, signed: document.role, place }
}

function otherName(place: string, name: string, identity: SignedIdentity): ImageError {
  return new ImageError(
    'signature.mismatch',
    `${place}: signed as ${JSON.stringify(name.slice(0, 200))}, which ${identity.type} does not allow here`,
  )
}
