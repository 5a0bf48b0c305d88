import { TpmError } from '../codec/errors.ts'
import { tpmName } from '../codec/name.ts'
import { parseTpmPublic } from '../codec/public-area.ts'
import type { ObjectAttribute, TpmPublic } from '../codec/public-area.ts'
import type { PublicKey, VerifyCrypto } from './crypto.ts'
import { spkiOfTpmPublic } from './spki.ts'

/**
 * The key that a quote or certificate is signed with. Whose TPM it belongs to is not decided here.
 *
 * `endorsedSpki` is for keys that reach us without their TPMT_PUBLIC: only where an endorsement that was itself verified
 * vouches for the key being a restricted attestation key, such as Azure's HCL report or a cloud's AK certificate.
 */
export type AttestationKeySource = Uint8Array | { readonly endorsedSpki: Uint8Array }

/** A key that may sign attestations, with what its public area says when there is one. */
export interface AttestationKey {
  readonly publicKey: PublicKey
  readonly area?: TpmPublic
  readonly name?: Uint8Array
}

const WANTED = [
  'restricted',
  'sign',
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
] as const satisfies readonly ObjectAttribute[]

/**
 * Imports an attestation key after checking that it can sign nothing but what its TPM made: restricted, for signing and
 * not decryption, made in this TPM and never leaving it (B02). A key that is not restricted would sign a forged quote.
 *
 * @throws {TpmError} `evidence.key` naming the attribute; `evidence.algorithm` for weak keys and for SHA-1 names;
 *   `input.malformed`.
 */
export async function importAttestationKey(
  source: AttestationKeySource,
  crypto: VerifyCrypto,
): Promise<AttestationKey> {
  if (!(source instanceof Uint8Array)) return { publicKey: await importKey(source.endorsedSpki, crypto) }
  const area = parseTpmPublic(source)
  for (const attribute of WANTED)
    if (!area.attributes[attribute]) throw new TpmError('evidence.key', `attestation key: ${attribute} is not set`)
  if (area.attributes.decrypt) throw new TpmError('evidence.key', 'attestation key: decrypt is set')
  if (area.nameAlg === 'null' || area.nameAlg === 'sha1')
    throw new TpmError(
      'evidence.algorithm',
      `attestation key: its name is made with ${area.nameAlg}, wanted SHA-256 or better`,
    )
  const name = tpmName(area, (hash, ...parts) => crypto.digest(hash, ...parts))
  return { publicKey: await importKey(spkiOfTpmPublic(area), crypto), area, name }
}

/** The port's own errors become ours: a key that it refuses is malformed, off its curve or of a kind it cannot check. */
export async function importKey(spki: Uint8Array, crypto: VerifyCrypto): Promise<PublicKey> {
  try {
    return await crypto.importPublicKey(spki)
  } catch (cause) {
    throw new TpmError('input.malformed', `public key: ${(cause as Error).message}`, { cause })
  }
}
