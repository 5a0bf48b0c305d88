import { randomBytes } from 'node:crypto'
import { softwareHash } from '../codec/algorithms.ts'
import { ByteWriter } from '../codec/byte-writer.ts'
import { TpmError } from '../codec/errors.ts'
import { tpmName } from '../codec/name.ts'
import { objectAttributes, SENSITIVE } from '../codec/public-area.ts'
import type { TpmPublic, TpmSensitive } from '../codec/public-area.ts'
import { encode } from '../codec/table.ts'
import { digest } from '../crypto/digest.ts'
import { outerWrap } from '../crypto/outer-wrap.ts'
import { makeSeed } from '../crypto/seed.ts'

/** An object that one TPM can import. Parts are contents, without an outer TPM2B size. */
export interface ImportBlob {
  readonly public: TpmPublic
  /** 2B(integrity) ‖ encrypted sensitive area: what Import takes as `duplicate`. */
  readonly duplicate: Uint8Array
  /** What Import takes as `inSymSeed`. */
  readonly encryptedSeed: Uint8Array
}

export interface ImportBlobOptions {
  /** A storage or endorsement key of the receiving TPM, from a certificate or an enrolment that the caller trusts. */
  readonly parent: TpmPublic
  readonly public: TpmPublic
  readonly sensitive: TpmSensitive
  /** Only for tests with known answers; see `makeSeed`. */
  readonly seed?: Uint8Array
}

/**
 * Encrypts an object to a parent in another TPM, as TPM2_Duplicate would.
 *
 * @throws {TpmError} `input.malformed` when the parts do not belong together.
 * @source TPM 2.0 Library, Part 1: Architecture: Duplication: Outer Duplication Wrapper
 */
export function createImportBlob(options: ImportBlobOptions): ImportBlob {
  const { parent, sensitive } = options
  const { fixedTPM, fixedParent, restricted, decrypt } = options.public.attributes
  if (fixedTPM || fixedParent)
    throw new TpmError('input.malformed', 'an object that is fixed to its TPM or parent cannot be imported')
  if (options.public.type !== sensitive.type || options.public.nameAlg === 'null')
    throw new TpmError('input.malformed', 'public and sensitive area do not belong together')
  if (!parent.attributes.restricted || !parent.attributes.decrypt)
    throw new TpmError('input.malformed', 'the parent is not a storage key')
  if (restricted && decrypt && sensitive.seedValue.length === 0)
    throw new TpmError('input.malformed', 'a storage key needs a seed value')
  const { seed, encryptedSeed } = makeSeed(parent, 'DUPLICATE', options.seed)
  const plain = new ByteWriter('big').sized('sensitive', encode('TPMT_SENSITIVE', SENSITIVE, sensitive)).finish()
  const duplicate = outerWrap(parent, seed, tpmName(options.public, digest), plain)
  return { public: options.public, duplicate, encryptedSeed }
}

export interface SealToKeyOptions {
  readonly parent: TpmPublic
  /** At most 128 bytes. */
  readonly data: Uint8Array
  /** A policy digest, SHA-256 (see `policyDigest`). Default: none; then the object's password, which is empty, opens it. */
  readonly authPolicy?: Uint8Array
  /** Only for tests with known answers. */
  readonly seed?: Uint8Array
  readonly seedValue?: Uint8Array
}

/**
 * Seals data to a TPM that need not be here: only the TPM which holds `parent` can open them, and only when `authPolicy`
 * is satisfied there.
 */
export function sealToKey(options: SealToKeyOptions): ImportBlob {
  const { parent, data, authPolicy } = options
  if (data.length === 0 || data.length > 128)
    throw new TpmError('input.too-large', `${data.length} bytes cannot be sealed: a TPM takes 1 to 128`)
  const nameAlg = 'sha256'
  if (authPolicy !== undefined && authPolicy.length !== 32)
    throw new TpmError('input.malformed', `a policy of ${authPolicy.length} bytes is not a SHA-256 digest`)
  const seedValue = options.seedValue ?? new Uint8Array(randomBytes(32))
  return createImportBlob({
    parent,
    public: {
      type: 'keyedhash',
      nameAlg,
      attributes: objectAttributes(authPolicy === undefined ? 'userWithAuth' : 'adminWithPolicy'),
      authPolicy: authPolicy ?? new Uint8Array(),
      scheme: { scheme: 'null' },
      unique: digest(softwareHash(nameAlg), seedValue, data),
    },
    sensitive: { type: 'keyedhash', authValue: new Uint8Array(), seedValue, sensitive: data },
    ...(options.seed === undefined ? {} : { seed: options.seed }),
  })
}
