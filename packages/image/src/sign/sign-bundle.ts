import { preAuthEncoding } from '@vouchsafe/core/base'
import { ImageError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import { BUNDLE_TYPE } from '../signature/bundle-type.ts'
import type { VerificationKey } from '../signature/verification-key.ts'
import { isSignedBy } from '../signature/verification-key.ts'
import { IN_TOTO, PREDICATES, writeStatement } from '../statement/statement.ts'
import { keyHint, type SigningKey } from './private-key.ts'

/**
 * The statement that signs an image in a bundle, as cosign writes it. The subject has the image's name, which cosign
 * leaves out: policies that match names need one.
 */
export function signStatement(what: {
  readonly digest: Digest
  readonly dockerReference: string
  readonly annotations?: Readonly<Record<string, string>>
}): Uint8Array {
  const { digest, dockerReference: name, annotations } = what
  const subject = { name, digest, ...(annotations === undefined ? {} : { annotations }) }
  return writeStatement({ subjects: [subject], predicateType: PREDICATES.sign, predicate: {} })
}

/** What has to be signed so that a statement can go into a bundle: for signing on another machine (CS-11). */
export function toBeSigned(statement: Uint8Array): Uint8Array {
  return preAuthEncoding(IN_TOTO, statement)
}

/** A bundle of version 0.3 around a statement, signed with a key at hand. */
export function signBundle(statement: Uint8Array, key: SigningKey): Uint8Array {
  if (key.algorithm === 'RSASSA_PSS_SHA256')
    throw new ImageError('key.unsupported', 'bundles by RSA keys are signed by PKCS #1 v1.5')
  return bundleOf(statement, key.sign(toBeSigned(statement)), key.public)
}

/** @throws {ImageError} `signature.unverified` when it was not signed by this key. */
export function joinBundle(statement: Uint8Array, signature: Uint8Array, key: VerificationKey): Uint8Array {
  if (!isSignedBy(key, toBeSigned(statement), signature))
    throw new ImageError('signature.unverified', `not a signature by key ${key.id} over this statement`)
  return bundleOf(statement, signature, key)
}

function bundleOf(statement: Uint8Array, signature: Uint8Array, key: VerificationKey): Uint8Array {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
  return new TextEncoder().encode(
    JSON.stringify({
      mediaType: BUNDLE_TYPE,
      verificationMaterial: { publicKey: { hint: keyHint(key) } },
      dsseEnvelope: {
        payload: base64(statement),
        payloadType: IN_TOTO,
        signatures: [{ sig: base64(signature) }],
      },
    }),
  )
}

/** The DSSE envelope of cosign's older attestations, which lie under a tag. */
export function dsseEnvelope(statement: Uint8Array, key: SigningKey): Uint8Array {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
  const signatures = [{ keyid: '', sig: base64(key.sign(toBeSigned(statement))) }]
  return new TextEncoder().encode(JSON.stringify({ payloadType: IN_TOTO, payload: base64(statement), signatures }))
}
