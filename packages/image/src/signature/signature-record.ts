import { wire } from '@vouchsafe/core'
import { z } from 'zod'
import { ImageError } from '../errors.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { asObject, member, readAs, readShape } from '../oci/json.ts'
import { PREDICATES, subjectFor } from '../statement/statement.ts'
import { parseSignedJson, readBase64 } from './signed-json.ts'
import { ANNOTATION, type BundleSignature, type CosignSignature } from './stored-signature.ts'
import { parsePublicKey, type VerificationKey } from './verification-key.ts'
import { verifyBundle } from './verify-bundle.ts'
import { verifyCosignSignature } from './verify-cosign.ts'

export { ImageError } from '../errors.ts'

/*
 * A signature with its key and image: all that it takes to check it alone, where its registry is gone. A ledger's entry
 * binds the exact bytes.
 */

const head = {
  record: z.literal('image-signature/v1'),
  image: z.string().regex(/^sha256:[0-9a-f]{64}$/, 'wanted sha256: and 64 lower-case hexadecimal digits'),
  /** One PEM block `PUBLIC KEY`. */
  key: z.string().max(4096),
}
const recordSchema = z.discriminatedUnion('form', [
  /** Payload as it was signed, and the signature as its annotation has it: both in base64. */
  z.strictObject({ ...head, form: z.literal('cosign'), payload: z.string(), signature: z.string() }),
  /** A sigstore bundle around a statement, in base64. */
  z.strictObject({ ...head, form: z.literal('bundle'), bundle: z.string() }),
])
type SignatureRecord = z.infer<typeof recordSchema>

/** Who signed which image. */
export interface RecordedSigner {
  readonly image: Digest
  readonly key: VerificationKey
  readonly form: SignatureRecord['form']
  /**
   * Names what was said and by whom: image, form, key and the exact bytes that were signed. The signature is no part of it,
   * since whoever has one of ECDSA can make another from it.
   */
  readonly id: Digest
}

/** The bytes to present to a broker. Nothing of the signature is checked. */
export function writeSignatureRecord(
  image: Digest,
  key: VerificationKey,
  signature: CosignSignature | BundleSignature,
): Uint8Array {
  const pem = key.key.export({ format: 'pem', type: 'spki' }).toString()
  const named = { record: 'image-signature/v1', image, key: pem, form: signature.kind } as const
  const what =
    signature.kind === 'bundle'
      ? { bundle: base64(signature.bundle) }
      : { payload: base64(signature.payload), signature: signature.annotations.get(ANNOTATION.signature) ?? '' }
  return new TextEncoder().encode(JSON.stringify({ ...named, ...what }))
}

/**
 * Checks a record by itself: its form, the signature by the key that it names, and that what was signed is a signature of
 * that image. Whose key it is, is for the caller to know.
 *
 * @throws {ImageError} `signature.malformed`, `signature.unverified`, `signature.mismatch`, `statement.*`, `digest.*`, `key.*`.
 */
export async function verifySignatureRecord(bytes: Uint8Array): Promise<RecordedSigner> {
  const place = 'signature record'
  const record = parseRecord(bytes, place)
  const image = record.image as Digest
  const key = parsePublicKey(record.key, `${place}: key`)
  const trust = { kind: 'keys', keys: [key] } as const
  const signature = signatureIn(record, place)
  let about: boolean
  if (signature.kind === 'cosign')
    about = (await verifyCosignSignature(signature, trust)).payload.manifestDigest === image
  else {
    // no bytes to try: a bundle over bytes, and not over a statement, names no image
    const { content } = verifyBundle(signature, trust)
    about =
      content.kind === 'statement' &&
      content.statement.predicateType === PREDICATES.sign &&
      subjectFor(content.statement, image) !== undefined
  }
  if (!about) throw new ImageError('signature.mismatch', `${place}: what was signed is no signature of ${image}`)
  const said = digestOf(signedIn(signature))
  const id = digestOf(new TextEncoder().encode(JSON.stringify([record.form, image, key.id, said])))
  return { image, key, form: record.form, id }
}

/** The exact bytes that were signed: a statement without its envelope. @throws {ImageError} `signature.malformed` */
function signedIn(signature: CosignSignature | BundleSignature): Uint8Array {
  if (signature.kind === 'cosign') return signature.payload
  const { bundle, place } = signature
  const { dsseEnvelope } = parseSignedJson(bundle, place, bundle.length)
  const envelope = readAs('signature.malformed', () => asObject(dsseEnvelope, place))
  return readBase64(member(envelope, 'payload'), `${place}: payload`)
}

/** The signature inside a record, unchecked. @throws {ImageError} `signature.malformed` */
export function signatureOf(bytes: Uint8Array): CosignSignature | BundleSignature {
  const place = 'signature record'
  return signatureIn(parseRecord(bytes, place), place)
}

function parseRecord(bytes: Uint8Array, place: string): SignatureRecord {
  const json = parseSignedJson(bytes, place, wire.MAX_SIGNATURE_RECORD_BYTES)
  return readShape(recordSchema, json, place, 'signature.malformed')
}

function signatureIn(record: SignatureRecord, place: string): CosignSignature | BundleSignature {
  if (record.form === 'bundle') return { kind: 'bundle', place, bundle: readBase64(record.bundle, `${place}: bundle`) }
  const payload = readBase64(record.payload, `${place}: payload`)
  return { kind: 'cosign', place, payload, annotations: new Map([[ANNOTATION.signature, record.signature]]) }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}
