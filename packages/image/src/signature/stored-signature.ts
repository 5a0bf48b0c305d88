import { ImageError } from '../errors.ts'
import { asStringMap, member, readAs } from '../oci/json.ts'
import { MAX_SIGNATURE_BYTES } from './payload.ts'
import { parseSignedJson, readBase64 } from './signed-json.ts'

export const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json'

/** Annotations of a cosign signature layer. */
export const ANNOTATION = {
  signature: 'dev.cosignproject.cosign/signature',
  certificate: 'dev.sigstore.cosign/certificate',
  chain: 'dev.sigstore.cosign/chain',
  rekor: 'dev.sigstore.cosign/bundle',
} as const

/** A signature as it was found; `place` says where, for people. Nothing about it was checked. */
export type StoredSignature = CosignSignature | SimpleSignature | BundleSignature

/** Payload and annotations, as layers under the tag `sha256-….sig` hold them. */
export interface CosignSignature {
  readonly kind: 'cosign'
  readonly place: string
  readonly payload: Uint8Array
  readonly annotations: ReadonlyMap<string, string>
}

/** An OpenPGP message around the payload. */
export interface SimpleSignature {
  readonly kind: 'simple'
  readonly place: string
  readonly message: Uint8Array
}

/** A sigstore bundle (JSON), as referrers hold it. */
export interface BundleSignature {
  readonly kind: 'bundle'
  readonly place: string
  readonly bundle: Uint8Array
}

/** @internal For a signature of a form that is not wanted where it was found. */
export function otherKind(found: StoredSignature, wanted: string): ImageError {
  return new ImageError('signature.mismatch', `${found.place}: not ${wanted}`)
}

const SIGSTORE_MARK = new TextEncoder().encode('\0sigstore-json\n')

/**
 * Reads a file `signature-N` of a `dir:` image or a lookaside store: an OpenPGP message, or a NUL byte, the name of
 * another format, and that. What is attached but is no signature gives `undefined`.
 *
 * @throws {ImageError} `signature.malformed`, `signature.limit`.
 * @source containers/image, signature blobs
 */
export function parseSignatureFile(bytes: Uint8Array, place: string): StoredSignature | undefined {
  if (bytes.length > MAX_SIGNATURE_BYTES)
    throw new ImageError('signature.limit', `${place}: ${bytes.length} bytes, at most ${MAX_SIGNATURE_BYTES}`)
  if (bytes.length === 0) throw new ImageError('signature.malformed', `${place}: empty`)
  if (bytes[0] !== 0) return { kind: 'simple', place, message: bytes }
  if (!SIGSTORE_MARK.every((byte, i) => bytes[i] === byte))
    throw new ImageError('signature.malformed', `${place}: a format that is not known`)
  const object = parseSignedJson(bytes.subarray(SIGSTORE_MARK.length), place, MAX_SIGNATURE_BYTES)
  if (member(object, 'mimeType') !== SIMPLE_SIGNING) return undefined
  return {
    kind: 'cosign',
    place,
    payload: readBase64(member(object, 'payload'), `${place}: payload`),
    annotations: readAs('signature.malformed', () =>
      asStringMap(member(object, 'annotations'), `${place}: annotations`),
    ),
  }
}

/** The file for a lookaside store or a `dir:` image. */
export function writeSignatureFile(signature: CosignSignature | SimpleSignature): Uint8Array {
  if (signature.kind === 'simple') return signature.message
  const json = JSON.stringify({
    mimeType: SIMPLE_SIGNING,
    payload: Buffer.from(signature.payload).toString('base64'),
    annotations: Object.fromEntries(signature.annotations),
  })
  return new Uint8Array(Buffer.concat([SIGSTORE_MARK, Buffer.from(json)]))
}
