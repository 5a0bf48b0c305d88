import { DIGEST_BYTES } from '../codec/algorithms.ts'
import { TpmError } from '../codec/errors.ts'
import type { TpmPublic } from '../codec/public-area.ts'
import { parseTpmSignature } from '../codec/signature.ts'
import type { TpmSignature } from '../codec/signature.ts'
import { knownAttestationKey } from './attestation-key.ts'
import type { AttestationKey, AttestationKeySource } from './attestation-key.ts'
import type { HashName, PublicKey, SignatureScheme, VerifyCrypto } from './crypto.ts'
import { FIELD_BYTES, leftPad } from './spki.ts'

/** Hashes whose signatures count. SHA-1 never does (B06). */
export type TrustedHash = Exclude<HashName, 'sha1'>

type CheckedSignature = Extract<TpmSignature, { scheme: 'rsassa' | 'rsapss' | 'ecdsa' }> & {
  readonly hash: TrustedHash
}

/**
 * Checks a TPMT_SIGNATURE over exactly the given TPMS_ATTEST bytes: RSASSA, RSAPSS, or ECDSA on P-256, P-384, P-521, with
 * SHA-256 or better, by a key that may attest.
 *
 * @returns The key, and the hash of the signature's scheme (which is also that of a quote's PCR digest).
 * @throws {TpmError} `evidence.signature`, `evidence.algorithm`, `evidence.key`, `input.malformed`.
 */
export async function verifyAttestSignature(
  attest: Uint8Array,
  rawSignature: Uint8Array,
  source: AttestationKeySource,
  crypto: VerifyCrypto,
): Promise<{ readonly key: AttestationKey; readonly hash: TrustedHash }> {
  const key = await knownAttestationKey(source, crypto)
  const signature = checkedSignature(parseTpmSignature(rawSignature))
  if (key.area !== undefined) assertScheme(key.area, signature)
  for (const { scheme, bytes } of attempts(key.publicKey, signature))
    if (await crypto.verify(key.publicKey, scheme, attest, bytes)) return { key, hash: signature.hash }
  throw new TpmError('evidence.signature', `TPMS_ATTEST: the ${signature.scheme} signature does not verify`)
}

function checkedSignature(signature: TpmSignature): CheckedSignature {
  const { scheme } = signature
  if (scheme !== 'rsassa' && scheme !== 'rsapss' && scheme !== 'ecdsa')
    throw new TpmError('evidence.algorithm', `TPMT_SIGNATURE: scheme ${scheme}, wanted RSASSA, RSAPSS or ECDSA`)
  const { hash } = signature
  if (hash !== 'sha256' && hash !== 'sha384' && hash !== 'sha512')
    throw new TpmError('evidence.algorithm', `TPMT_SIGNATURE: hash ${hash}, wanted SHA-256, SHA-384 or SHA-512`)
  return { ...signature, hash }
}

/** A restricted key has one scheme and one hash: a signature made otherwise was not made by its TPM. */
function assertScheme(area: TpmPublic, { scheme, hash }: CheckedSignature): void {
  const own = area.type === 'rsa' || area.type === 'ecc' ? area.scheme : { scheme: 'null' as const }
  const ownHash = 'hash' in own ? own.hash : 'null'
  if (own.scheme !== scheme || ownHash !== hash)
    throw new TpmError(
      'evidence.algorithm',
      `the key signs by ${own.scheme} ${ownHash}, the signature is ${scheme} ${hash}`,
    )
}

function attempts(
  key: PublicKey,
  signature: CheckedSignature,
): readonly { readonly scheme: SignatureScheme; readonly bytes: Uint8Array }[] {
  const { algorithm } = key
  switch (signature.scheme) {
    case 'rsassa':
      assertKind(key, 'rsa', signature)
      return [{ scheme: { kind: 'rsa-pkcs1', hash: signature.hash }, bytes: signature.signature }]
    case 'rsapss':
      assertKind(key, 'rsa', signature)
      return pssSalts(key, signature.hash).map((saltBytes) => ({
        scheme: { kind: 'rsa-pss', hash: signature.hash, saltBytes },
        bytes: signature.signature,
      }))
    case 'ecdsa': {
      if (algorithm.kind !== 'ec') throw keyMismatch(key, signature)
      const raw = rAndS(signature.r, signature.s, FIELD_BYTES[algorithm.curve])
      return [{ scheme: { kind: 'ecdsa', hash: signature.hash, encoding: 'raw' }, bytes: raw }]
    }
  }
}

/** As long as the digest in TPMs that follow FIPS 186-4; in others as long as the key has room for. */
function pssSalts({ algorithm }: PublicKey, hash: TrustedHash): readonly number[] {
  const digest = DIGEST_BYTES[hash]
  const room = algorithm.kind === 'rsa' ? Math.ceil((algorithm.modulusBits - 1) / 8) - digest - 2 : digest
  return room === digest ? [digest] : [digest, room]
}

/** TPMs may leave out leading zeros of r and s. One that is longer than the field is no signature. */
function rAndS(r: Uint8Array, s: Uint8Array, field: number): Uint8Array {
  if (r.length > field || s.length > field)
    throw new TpmError('evidence.signature', `TPMT_SIGNATURE: r or s is over ${field} bytes`)
  const raw = new Uint8Array(2 * field)
  raw.set(leftPad(r, field))
  raw.set(leftPad(s, field), field)
  return raw
}

function assertKind(key: PublicKey, kind: 'rsa', signature: CheckedSignature): void {
  if (key.algorithm.kind !== kind) throw keyMismatch(key, signature)
}

function keyMismatch(key: PublicKey, { scheme }: CheckedSignature): TpmError {
  return new TpmError('evidence.algorithm', `the signature is ${scheme}, the key is of kind ${key.algorithm.kind}`)
}
