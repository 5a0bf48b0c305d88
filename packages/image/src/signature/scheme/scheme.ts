import type { ImageError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import type { RepositoryName } from '../../oci/reference.ts'
import type { JsonObject } from '../../oci/json.ts'
import type { MaterialReader } from '../../policy/material.ts'
import type { RegistryClient } from '../../registry/client.ts'

/** The documents that a signature may be over (H02): the index that was asked for, and the platform's manifest. */
export interface SignedDocument {
  readonly role: 'index' | 'manifest'
  readonly digest: Digest
  readonly bytes: Uint8Array
}

/** The image whose signatures are looked for. */
export interface SignaturePlace {
  readonly client: RegistryClient
  /** As the user wrote it, never a mirror's name. */
  readonly name: RepositoryName
  readonly digest: Digest
  readonly signal?: AbortSignal
}

/** A signature that was found and could not be read: it never counts, and it says why. */
export interface UnreadableSignature {
  readonly kind: 'unreadable'
  readonly place: string
  readonly error: ImageError
}

/** Whose a signature is and what it is about: all of it held against the signature, none of it against the image. */
export interface Attributed {
  /** Names the key for people and thresholds: hexadecimal, or what the scheme calls it. */
  readonly key: string
  readonly digest: Digest
  /** The image's name, as it was signed. `undefined` where no name was signed: only `vouchsafeDigestOnly` allows that. */
  readonly name: string | undefined
}

/**
 * One way in which images are signed (GU-28): where signatures lie, the form of what they say, and the cryptography. What
 * comes out is compared with the image, and with the names that a policy allows, in one place for all schemes.
 */
export interface SignatureScheme<Signature extends { readonly place: string }, Trust> {
  readonly name: string
  /**
   * Fetches what is there; nothing of it is checked. That there is none is an empty list.
   *
   * @throws {ImageError} when there is no answer: a place that fails is not an unsigned image.
   */
  fetch(place: SignaturePlace): Promise<readonly (Signature | UnreadableSignature)[]>
  /**
   * Checks one signature, the cryptography before what is said. `documents` are for schemes that sign bytes and name no digest.
   *
   * @throws {ImageError} `signature.*`, `statement.*`, `digest.*`, `key.*` for one that does not count.
   */
  verify(signature: Signature, trust: Trust, documents: readonly SignedDocument[]): Promise<Attributed>
}

/** A scheme that policies ask for by its name: `{"type": "vouchsafeScheme", "scheme": NAME, "parameters": {…}}`. */
export interface SchemeModule<
  Signature extends { readonly place: string } = { readonly place: string },
  Trust = unknown,
> extends SignatureScheme<Signature, Trust> {
  /**
   * Reads whom a requirement trusts, strictly: what the scheme does not know is refused, and so is trust in nobody.
   *
   * @throws {ImageError} `policy.malformed`, `policy.material`.
   */
  readTrust(
    parameters: JsonObject,
    ports: { readonly material: MaterialReader; readonly at: Date; readonly dangerouslyAcceptSha1?: boolean },
  ): Promise<Trust>
}
