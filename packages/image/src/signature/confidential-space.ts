import { ImageError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { FoundSignature } from './find-signatures.ts'
import { parsePayload } from './payload.ts'
import { readBase64 } from './signed-json.ts'
import { ANNOTATION, type CosignSignature } from './stored-signature.ts'
import { isSignedBy, parsePublicKey, type SignatureAlgorithm } from './verification-key.ts'

/** Members of `optional` that Confidential Space reads (CS-06). */
export const CONFIDENTIAL_SPACE = {
  publicKey: 'dev.cosignproject.cosign/pub',
  algorithm: 'dev.cosignproject.cosign/sigalg',
} as const

/** What Confidential Space knows; of the others it says that it does not. */
export const CONFIDENTIAL_SPACE_ALGORITHMS: readonly SignatureAlgorithm[] = [
  'ECDSA_P256_SHA256',
  'RSASSA_PKCS1V15_SHA256',
  'RSASSA_PSS_SHA256',
]

/** A signature whose key stands in its own payload, as the claim `image_signatures` has it. */
export interface ImageSignatureClaim {
  /** Lower-case hexadecimal SHA-256 of the DER SubjectPublicKeyInfo. */
  readonly keyId: string
  /** Base64, as the signer wrote it. */
  readonly signature: string
  readonly algorithm: SignatureAlgorithm
}

/**
 * The signatures that a workload's claims may name (CS-14): made by the key in their own payload, about this digest.
 *
 * This proves that somebody holds that key, and no more: WHO it is, is said by the relying party, by key id. No image
 * name is compared. A signature that is wrong is told beside the others and stops none of them.
 *
 * @source Confidential Space, signed container images
 */
export function claimSignatures(
  found: readonly FoundSignature[],
  digest: Digest,
): {
  readonly claims: readonly ImageSignatureClaim[]
  readonly errors: readonly { readonly place: string; readonly error: ImageError }[]
} {
  const claims: ImageSignatureClaim[] = []
  const errors: { place: string; error: ImageError }[] = []
  for (const one of found) {
    try {
      if (one.kind === 'cosign') claims.push(claimOf(one, digest))
      else if (one.kind === 'unreadable') errors.push({ place: one.place, error: one.error })
    } catch (error) {
      if (!(error instanceof ImageError)) throw error
      errors.push({ place: one.place, error })
    }
  }
  return { claims, errors }
}

function claimOf({ payload, annotations, place }: CosignSignature, digest: Digest): ImageSignatureClaim {
  const { manifestDigest, optional } = parsePayload(payload, 'cosign')
  const pub = optional[CONFIDENTIAL_SPACE.publicKey]
  const algorithm = CONFIDENTIAL_SPACE_ALGORITHMS.find((known) => known === optional[CONFIDENTIAL_SPACE.algorithm])
  if (typeof pub !== 'string' || algorithm === undefined)
    throw new ImageError('signature.malformed', `${place}: the payload names no key and algorithm that are known`)
  const padded = pub + '='.repeat((4 - (pub.length % 4)) % 4)
  const key = parsePublicKey(readBase64(padded, `${place}: public key`), `${place}: public key`)
  const signature = annotations.get(ANNOTATION.signature)
  const raw = readBase64(signature, `${place}: signature`, { lenient: true })
  if (!isSignedBy(key, payload, raw, algorithm))
    throw new ImageError('signature.unverified', `${place}: not by the key in its own payload`)
  if (manifestDigest !== digest)
    throw new ImageError('signature.mismatch', `${place}: is about ${manifestDigest}, another image`)
  return { keyId: key.id, signature: Buffer.from(raw).toString('base64'), algorithm }
}
