import { createHash, type KeyObject } from 'node:crypto'
import {
  type Bundle,
  BUNDLE_V03_LEGACY_MEDIA_TYPE,
  BUNDLE_V03_MEDIA_TYPE,
  bundleFromJSON,
  type TransparencyLogEntry,
} from '@sigstore/bundle'
import { HashAlgorithm } from '@sigstore/protobuf-specs'
import { toSignedEntity, type TrustMaterial, type SignedEntity, VerificationError, Verifier } from '@sigstore/verify'
import { preAuthEncoding } from '@vouchsafe/core/base'
import type * as x509 from '@vouchsafe/core/x509'
import { ImageError } from '../errors.ts'
import { member } from '../oci/json.ts'
import { IN_TOTO, MAX_STATEMENT_BYTES, parseStatement, type Statement } from '../statement/statement.ts'
import { assertSignsCode, readCertificate, readSigner } from './certified-signer.ts'
import { assertLogged } from './logged-signer.ts'
import { parseSignedJson, wellFormed } from './signed-json.ts'
import type { SigstoreRoot } from './sigstore-root.ts'
import type { BundleSignature } from './stored-signature.ts'
import { isSignedBy, type VerificationKey, verificationKey } from './verification-key.ts'
import type { Signer } from './verify-cosign.ts'

/** Who may have signed a bundle. Everything is given; nothing is fetched. */
export type BundleTrust =
  | { readonly kind: 'keys'; readonly keys: readonly VerificationKey[]; readonly logs?: SigstoreRoot }
  | {
      readonly kind: 'certificates'
      readonly root: SigstoreRoot
      /** Compared exactly, never as a pattern. `any-identity` accepts whoever the root's CA certified. */
      readonly identity: { readonly subject: string; readonly issuer: string } | 'any-identity'
    }

/** What a bundle signs, after all checks. */
export type BundleContent =
  | { readonly kind: 'statement'; readonly statement: Statement }
  /** A signature over bytes that the caller brought: which of them. */
  | { readonly kind: 'artifact'; readonly artifact: Uint8Array }

const MAX_BUNDLE_BYTES = MAX_STATEMENT_BYTES * 1.5
const MAX_ENTRIES = 16

/**
 * Checks a sigstore bundle offline: the signature by a trusted key or a certificate of a trusted CA, the log's promise
 * and proof where logs are given, and that each log entry is about this very signature and signer (H04).
 *
 * What a statement is about is for the caller to compare: see `subjectFor` (H03).
 *
 * @param artifacts - What a message signature may be over. Without any such a bundle is refused.
 * @throws {ImageError} `signature.malformed`, `signature.unverified`, `signature.untrusted`, `signature.mismatch`,
 *   `statement.malformed`.
 * @source Sigstore bundle format v0.3; Sigstore client specification, verification
 */
export function verifyBundle(
  signature: BundleSignature,
  trust: BundleTrust,
  artifacts: readonly Uint8Array[] = [],
): { readonly content: BundleContent; readonly signer: Signer } {
  const { place } = signature
  const bundle = readBundle(signature)
  const artifact = bundle.content.$case === 'messageSignature' ? signedOf(bundle.content, artifacts, place) : undefined
  const entity = toEntity(bundle, artifact, place)
  const leaf = leafOf(bundle, place)
  const signer = trust.kind === 'keys' ? byKey(entity, trust, place) : byCertificate(entity, leaf, trust, place)
  const isLogAsked = trust.kind === 'certificates' || trust.logs !== undefined
  const logged = { keyId: signer.keyId, certificate: leaf?.der, isLogAsked }
  for (const entry of entity.tlogEntries) assertLogged(entry, logged, place)
  if (artifact !== undefined) return { content: { kind: 'artifact', artifact }, signer }
  if (bundle.content.$case !== 'dsseEnvelope')
    throw new ImageError('signature.malformed', `${place}: signs nothing known`)
  const { payload, payloadType } = bundle.content.dsseEnvelope
  if (payloadType !== IN_TOTO)
    throw new ImageError('signature.mismatch', `${place}: signs ${JSON.stringify(payloadType.slice(0, 80))}`)
  return { content: { kind: 'statement', statement: parseStatement(new Uint8Array(payload), place) }, signer }
}

/** Of a message; cosign takes the one of the key's strength. */
const HASHES: Partial<Record<HashAlgorithm, string>> = {
  [HashAlgorithm.SHA2_256]: 'sha256',
  [HashAlgorithm.SHA2_384]: 'sha384',
  [HashAlgorithm.SHA2_512]: 'sha512',
}

/** The bundle's own digest only says which bytes to try: the signature is checked over the bytes. */
function signedOf(
  { messageSignature }: Extract<Bundle['content'], { $case: 'messageSignature' }>,
  artifacts: readonly Uint8Array[],
  place: string,
): Uint8Array {
  if (artifacts.length === 0)
    throw new ImageError('signature.mismatch', `${place}: signs bytes, and a statement is wanted`)
  const { messageDigest } = messageSignature
  const hash = messageDigest === undefined ? undefined : HASHES[messageDigest.algorithm]
  if (hash === undefined) throw new ImageError('signature.malformed', `${place}: names no digest that is known`)
  const artifact = artifacts.find((bytes) => messageDigest?.digest.equals(createHash(hash).update(bytes).digest()))
  if (artifact === undefined) throw new ImageError('signature.mismatch', `${place}: is about another image`)
  return artifact
}

function readBundle({ bundle, place }: BundleSignature): Bundle {
  const object = parseSignedJson(bundle, place, MAX_BUNDLE_BYTES)
  const type = member(object, 'mediaType')
  if (type !== BUNDLE_V03_MEDIA_TYPE && type !== BUNDLE_V03_LEGACY_MEDIA_TYPE)
    throw new ImageError('signature.malformed', `${place}: media type ${JSON.stringify(type)}; version 0.3 is wanted`)
  const read = wellFormed(place, () => bundleFromJSON(object))
  const { tlogEntries } = read.verificationMaterial
  if (tlogEntries.length > MAX_ENTRIES)
    throw new ImageError('signature.limit', `${place}: over ${MAX_ENTRIES} log entries`)
  for (const name of tlogEntries.flatMap(checkpointNames))
    if (!LOG_NAME.test(name)) throw new ImageError('signature.malformed', `${place}: a log's name with odd characters`)
  return read
}

/** The library uses these names as regular expressions: nothing that could keep it busy may stand in them. */
const LOG_NAME = /^[A-Za-z0-9./:_ -]{1,200}$/

/** Who signed the checkpoint, by their own word. */
function checkpointNames({ inclusionProof }: TransparencyLogEntry): readonly string[] {
  const lines = inclusionProof?.checkpoint?.envelope.split('\n') ?? []
  return lines.flatMap((line) =>
    line.startsWith('\u2014 ') ? [line.slice(2, Math.max(2, line.lastIndexOf(' ')))] : [],
  )
}

/** A log that was given by its key alone may call itself what it likes. */
function withNames(material: TrustMaterial, entity: SignedEntity): TrustMaterial {
  const names = entity.tlogEntries.flatMap(checkpointNames).join(' ')
  return { ...material, tlogs: material.tlogs.map((log) => (log.baseURL === '' ? { ...log, baseURL: names } : log)) }
}

/** Timestamps of authorities, where none is trusted, date nothing; the log's own time has to do. */
function withoutStrangers(entity: SignedEntity, material: TrustMaterial): SignedEntity {
  if (material.timestampAuthorities.length > 0) return entity
  return { ...entity, timestamps: entity.timestamps.filter(({ $case }) => $case === 'transparency-log') }
}

/** The library checks by SHA-256 alone: whether a signature is good is for our own reader of keys to say. */
function toEntity(bundle: Bundle, artifact: Uint8Array | undefined, place: string): SignedEntity {
  return wellFormed(place, () => {
    const entity = toSignedEntity(bundle, artifact === undefined ? undefined : Buffer.from(artifact))
    const { signature: content } = entity
    const signed = artifact ?? envelopeBytes(bundle)
    const signature = {
      signature: content.signature,
      compareSignature: (other: Buffer) => content.compareSignature(other),
      compareDigest: (digest: Buffer) => content.compareDigest(digest),
      verifySignature: (key: KeyObject) => isSignedBy(verificationKey(key, place), signed, content.signature),
    }
    return { ...entity, signature }
  })
}

function envelopeBytes({ content }: Bundle): Uint8Array {
  if (content.$case !== 'dsseEnvelope') throw new Error('no envelope')
  const { payload, payloadType } = content.dsseEnvelope
  return preAuthEncoding(payloadType, payload)
}

/** The hint in the bundle is the signer's word: every trusted key is tried instead. */
function byKey(entity: SignedEntity, trust: Extract<BundleTrust, { kind: 'keys' }>, place: string): Signer {
  if (entity.key.$case !== 'public-key')
    throw new ImageError('signature.unverified', `${place}: by a certificate, and keys are trusted here`)
  const key = trust.keys.find((candidate) => entity.signature.verifySignature(candidate.key))
  if (key === undefined)
    throw new ImageError('signature.unverified', `${place}: by none of the ${trust.keys.length} trusted keys`)
  const { logs } = trust
  if (logs === undefined) return { keyId: key.id, algorithm: key.algorithm }
  const named = withNames(logs.material, entity)
  const material: TrustMaterial = { ...named, publicKey: () => ({ publicKey: key.key, validFor: () => true }) }
  verify(
    new Verifier(material, { tlogThreshold: 1, ctlogThreshold: 0, timestampThreshold: 0 }),
    withoutStrangers(entity, material),
    place,
  )
  return { keyId: key.id, algorithm: key.algorithm, ...loggedAt(entity) }
}

function byCertificate(
  entity: SignedEntity,
  leaf: x509.Certificate | undefined,
  { root, identity }: Extract<BundleTrust, { kind: 'certificates' }>,
  place: string,
): Signer {
  if (leaf === undefined)
    throw new ImageError('signature.unverified', `${place}: by a bare key, and certificates are trusted here`)
  const ctlogThreshold = root.material.ctlogs.length > 0 ? 1 : 0
  const { key } = verify(
    new Verifier(withNames(root.material, entity), { tlogThreshold: 1, timestampThreshold: 1, ctlogThreshold }),
    withoutStrangers(entity, root.material),
    place,
  )
  // the library judges signatures, dates and logs; what the certificate is for, and whom it names, is judged here
  assertSignsCode(leaf, place)
  const { issuer = '', emails, uris } = readSigner(leaf, place)
  const subjects = [...uris, ...emails]
  const wanted = identity === 'any-identity' ? undefined : identity
  const subject = wanted === undefined ? (subjects[0] ?? '') : wanted.subject
  if (wanted !== undefined && (!subjects.includes(wanted.subject) || issuer !== wanted.issuer))
    throw new ImageError(
      'signature.mismatch',
      `${place}: signed by ${JSON.stringify(subjects.join())} of ${JSON.stringify(issuer)}, ` +
        `wanted ${JSON.stringify(wanted.subject)} of ${JSON.stringify(wanted.issuer)}`,
    )
  const { id, algorithm } = verificationKey(key, `${place}: certificate`)
  return { keyId: id, algorithm, subject, ...loggedAt(entity) }
}

function verify(verifier: Verifier, entity: SignedEntity, place: string) {
  try {
    return verifier.verify(entity)
  } catch (cause) {
    const { code } = cause as VerificationError
    const bad = cause instanceof VerificationError && code === 'SIGNATURE_ERROR'
    throw new ImageError(
      bad ? 'signature.unverified' : 'signature.untrusted',
      `${place}: ${(cause as Error).message}`,
      { cause },
    )
  }
}

/** A log signs its time in the promise alone: beside a mere proof it is whatever the bundle's author wrote. */
function loggedAt(entity: SignedEntity): { loggedAt?: Date } {
  const promised = entity.tlogEntries.find(({ inclusionPromise }) => inclusionPromise !== undefined)
  const seconds = Number(promised?.integratedTime ?? 0)
  return seconds > 0 ? { loggedAt: new Date(seconds * 1000) } : {}
}

function leafOf({ verificationMaterial: { content } }: Bundle, place: string): x509.Certificate | undefined {
  switch (content.$case) {
    case 'publicKey':
      return undefined
    case 'certificate':
      return readCertificate(content.certificate.rawBytes, place)
    case 'x509CertificateChain':
      return readCertificate(content.x509CertificateChain.certificates[0]?.rawBytes ?? new Uint8Array(), place)
  }
}
