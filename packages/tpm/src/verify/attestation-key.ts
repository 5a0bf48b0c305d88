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

/**
 * As `importAttestationKey`, but a key that was accepted before is not imported again: a machine that renews its lease shows
 * the same one every time. Keys are known by all their bytes. What is returned is shared: hand out copies.
 */
export async function knownAttestationKey(source: AttestationKeySource, crypto: VerifyCrypto): Promise<AttestationKey> {
  const known = memoOf(crypto)
  const id = source instanceof Uint8Array ? textOf(source) : `spki:${textOf(source.endorsedSpki)}`
  const before = known.get(id)
  if (before !== undefined) return before
  const key = await importAttestationKey(source, crypto)
  if (known.size === MAX_KNOWN) known.clear()
  known.set(id, key)
  return key
}

const memos = new WeakMap<VerifyCrypto, Map<string, AttestationKey>>()
/** Gives each byte a character of its own, which is all that telling keys apart needs. */
const latin1 = new TextDecoder('latin1')
const MAX_KNOWN = 256
const MAX_KEY_BYTES = 4096

function memoOf(crypto: VerifyCrypto): Map<string, AttestationKey> {
  const known = memos.get(crypto) ?? new Map<string, AttestationKey>()
  memos.set(crypto, known)
  return known
}

function textOf(bytes: Uint8Array): string {
  if (bytes.length > MAX_KEY_BYTES)
    throw new TpmError('input.too-large', `attestation key: ${bytes.length} bytes are over ${MAX_KEY_BYTES}`)
  return latin1.decode(bytes)
}

/** The port's own errors become ours: a key that it refuses is malformed, off its curve or of a kind it cannot check. */
export async function importKey(spki: Uint8Array, crypto: VerifyCrypto): Promise<PublicKey> {
  try {
    return await crypto.importPublicKey(spki)
  } catch (cause) {
    throw new TpmError('input.malformed', `public key: ${(cause as Error).message}`, { cause })
  }
}
