import { DIGEST_BYTES, softwareHash } from '../codec/algorithms.ts'
import { ByteWriter } from '../codec/byte-writer.ts'
import { TpmError } from '../codec/errors.ts'
import type { TpmPublic } from '../codec/public-area.ts'
import { MAX_NAME_BYTES } from '../codec/scalars.ts'
import { outerWrap } from '../crypto/outer-wrap.ts'
import { makeSeed } from '../crypto/seed.ts'

/** A challenge that one TPM can answer, for one of its keys. Both parts are contents, without an outer TPM2B size. */
export interface CredentialChallenge {
  /** TPMS_ID_OBJECT: what ActivateCredential takes as `credentialBlob`. */
  readonly credentialBlob: Uint8Array
  /** What ActivateCredential takes as `secret`. */
  readonly encryptedSecret: Uint8Array
}

export interface MakeCredentialOptions {
  /** The endorsement key, from a certificate that the caller trusts or from an enrolment. */
  readonly endorsementKey: TpmPublic
  /**
   * Name of the key to be proved, computed from a public area whose attributes the caller has checked: restricted, fixed
   * to its TPM, for signing.
   */
  readonly objectName: Uint8Array
  /** What the TPM will give back; at most as long as the digest of the endorsement key's name algorithm. */
  readonly credential: Uint8Array
  /** Only for tests with known answers; see `makeSeed`. */
  readonly seed?: Uint8Array
}

/**
 * TPM2_MakeCredential in software. Whoever returns `credential` has both keys in one TPM: the endorsement key, and the
 * object with that name.
 *
 * @throws {TpmError} `input.malformed`
 * @source TPM 2.0 Library, Part 1: Architecture: Credential Protection
 */
export function makeCredential(options: MakeCredentialOptions): CredentialChallenge {
  const { endorsementKey, objectName, credential } = options
  if (objectName.length < 2 || objectName.length > MAX_NAME_BYTES)
    throw new TpmError('input.malformed', `${objectName.length} bytes are not a name`)
  const bound = DIGEST_BYTES[softwareHash(endorsementKey.nameAlg)]
  if (credential.length === 0 || credential.length > bound)
    throw new TpmError('input.malformed', `a credential has 1 to ${bound} bytes, not ${credential.length}`)
  const { seed, encryptedSeed } = makeSeed(endorsementKey, 'IDENTITY', options.seed)
  const plain = new ByteWriter('big').sized('credential', credential).finish()
  return { credentialBlob: outerWrap(endorsementKey, seed, objectName, plain), encryptedSecret: encryptedSeed }
}
