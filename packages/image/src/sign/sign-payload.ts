import * as openpgp from 'openpgp'
import { ImageError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import { CONFIDENTIAL_SPACE, CONFIDENTIAL_SPACE_ALGORITHMS } from '../signature/confidential-space.ts'
import { writePayload } from '../signature/payload.ts'
import { ANNOTATION, type CosignSignature, type SimpleSignature } from '../signature/stored-signature.ts'
import { isSignedBy, type SignatureAlgorithm, type VerificationKey } from '../signature/verification-key.ts'
import type { SigningKey } from './private-key.ts'

/** What a signature says about an image. */
export interface ToSign {
  readonly digest: Digest
  /** `registry/path`, for cosign's own way; with a tag for policies that match references. */
  readonly dockerReference: string
  /** Members of `optional`: an owner's own words, signed with the rest. */
  readonly annotations?: Readonly<Record<string, string>>
}

/**
 * The exact bytes that a party signs. They can be written to a file, signed on another machine with any tool, and
 * attached by somebody else (CS-11).
 *
 * @param forConfidentialSpace - Puts public key and algorithm into the payload, where that service looks for them.
 * @throws {ImageError} `key.unsupported` for a key that Confidential Space does not know.
 */
export function cosignPayload(
  what: ToSign,
  forConfidentialSpace?: { readonly key: VerificationKey; readonly algorithm: SignatureAlgorithm },
): Uint8Array {
  const own = what.annotations ?? {}
  for (const name of Object.values(CONFIDENTIAL_SPACE))
    if (Object.hasOwn(own, name)) throw new ImageError('build.input', `annotation ${name}: not one of your own`)
  const more = forConfidentialSpace === undefined ? {} : confidentialSpaceMembers(forConfidentialSpace)
  const optional = { ...own, ...more }
  return writePayload({
    kind: 'cosign',
    manifestDigest: what.digest,
    dockerReference: what.dockerReference,
    optional: Object.keys(optional).length === 0 ? null : optional,
  })
}

function confidentialSpaceMembers({
  key,
  algorithm,
}: {
  readonly key: VerificationKey
  readonly algorithm: SignatureAlgorithm
}): Record<string, string> {
  if (!CONFIDENTIAL_SPACE_ALGORITHMS.includes(algorithm))
    throw new ImageError(
      'key.unsupported',
      `${algorithm}: Confidential Space knows ${CONFIDENTIAL_SPACE_ALGORITHMS.join(', ')}`,
    )
  const pem = key.key.export({ format: 'pem', type: 'spki' }).toString()
  return {
    [CONFIDENTIAL_SPACE.publicKey]: Buffer.from(pem).toString('base64').replace(/=+$/, ''),
    [CONFIDENTIAL_SPACE.algorithm]: algorithm,
  }
}

/** Signs with a key at hand. */
export function signCosign(payload: Uint8Array, key: SigningKey): CosignSignature {
  return cosignSignature(payload, key.sign(payload))
}

/**
 * Puts together what was signed elsewhere (CS-11). With the key given it is checked first: a signature that nobody can
 * verify is better refused here than found missing at launch.
 *
 * @throws {ImageError} `signature.unverified`
 */
export function joinCosign(payload: Uint8Array, signature: Uint8Array, key: VerificationKey): CosignSignature {
  const good = isSignedBy(key, payload, signature) || isSignedBy(key, payload, signature, 'RSASSA_PSS_SHA256')
  if (!good) throw new ImageError('signature.unverified', `not a signature by key ${key.id} over this payload`)
  return cosignSignature(payload, signature)
}

function cosignSignature(payload: Uint8Array, signature: Uint8Array): CosignSignature {
  const annotations = new Map([[ANNOTATION.signature, Buffer.from(signature).toString('base64')]])
  return { kind: 'cosign', place: 'made here', payload, annotations }
}

/**
 * Signs by OpenPGP (simple signing), for lookaside stores.
 *
 * @param privateKey - Armored, or binary; decrypted with the passphrase where it is encrypted.
 * @throws {ImageError} `key.malformed`, `key.passphrase`; `key.unsupported` for a key that has expired or may not sign.
 * @source containers-signature(5)
 */
export async function signSimple(
  what: ToSign,
  privateKey: Uint8Array,
  options: { readonly passphrase?: string; readonly at: Date; readonly creator?: string },
): Promise<SimpleSignature> {
  for (const name of ['creator', 'timestamp'])
    if (Object.hasOwn(what.annotations ?? {}, name))
      throw new ImageError('build.input', `annotation ${name}: not one of your own`)
  const signingKeys = await readPrivateKey(privateKey, options.passphrase)
  const payload = writePayload({
    kind: 'simple',
    manifestDigest: what.digest,
    dockerReference: what.dockerReference,
    optional: {
      creator: options.creator ?? 'vouchsafe',
      timestamp: Math.floor(options.at.getTime() / 1000),
      ...what.annotations,
    },
  })
  const message = await openpgp.createMessage({ binary: payload })
  try {
    const signed = await openpgp.sign({ message, signingKeys, format: 'binary', date: options.at })
    return { kind: 'simple', place: 'made here', message: new Uint8Array(signed) }
  } catch (cause) {
    throw new ImageError('key.unsupported', `the OpenPGP key cannot sign: ${(cause as Error).message}`, { cause })
  }
}

async function readPrivateKey(bytes: Uint8Array, passphrase: string | undefined): Promise<openpgp.PrivateKey> {
  const text = Buffer.from(bytes).toString('latin1')
  let key: openpgp.PrivateKey
  try {
    key = text.trimStart().startsWith('-----BEGIN PGP')
      ? await openpgp.readPrivateKey({ armoredKey: text })
      : await openpgp.readPrivateKey({ binaryKey: bytes })
  } catch (cause) {
    throw new ImageError('key.malformed', `not an OpenPGP private key: ${(cause as Error).message}`, { cause })
  }
  if (key.isDecrypted()) return key
  if (passphrase === undefined) throw new ImageError('key.passphrase', 'the OpenPGP key is encrypted')
  try {
    return await openpgp.decryptKey({ privateKey: key, passphrase })
  } catch (cause) {
    throw new ImageError('key.passphrase', `the OpenPGP key: ${(cause as Error).message}`, { cause })
  }
}
