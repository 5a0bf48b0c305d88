import { preAuthEncoding } from '@vouchsafe/core/base'
import { ImageError } from '../errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { asArray, asObject, member, readAs } from '../oci/json.ts'
import { listReferrers } from '../registry/referrers.ts'
import type { RepositoryReader } from '../registry/repository.ts'
import { findSigstoreSignatures, readTagged, readTaggedLayers, signatureTag } from '../signature/find-signatures.ts'
import { parseSignedJson, readBase64 } from '../signature/signed-json.ts'
import { isSignedBy } from '../signature/verification-key.ts'
import { type BundleTrust, verifyBundle } from '../signature/verify-bundle.ts'
import type { Signer } from '../signature/verify-cosign.ts'
import { IN_TOTO, MAX_STATEMENT_BYTES, parseStatement, type Statement, subjectFor } from './statement.ts'

/** A statement about an image, by someone who is trusted. */
export interface VerifiedStatement {
  readonly statement: Statement
  readonly signer: Signer
  readonly place: string
}

/** All that was found about a digest, told apart by whether it counts. */
export interface FoundStatements {
  readonly verified: readonly VerifiedStatement[]
  /** What was found beside, and why it does not count. */
  readonly refused: readonly { readonly place: string; readonly reason: string }[]
}

const ENVELOPE = 'application/vnd.dsse.envelope.v1+json'
/** Of one envelope. */
const MAX_SIGNATURES = 16

/**
 * All statements about a digest: bundles that refer to it, and envelopes under cosign's tag `.att`. Only those that a
 * trusted signer made, and that are about this very digest, are `verified` (H03, CS-07).
 *
 * @param predicateType - Only statements of this type.
 * @throws {ImageError} `registry.*`, `signature.limit`: no answer is not "no statements".
 */
export async function findStatements(
  reader: RepositoryReader,
  digest: Digest,
  trust: BundleTrust,
  predicateType?: string,
): Promise<FoundStatements> {
  const verified: VerifiedStatement[] = []
  const refused: { place: string; reason: string }[] = []
  const consider = (place: string, read: () => Omit<VerifiedStatement, 'place'>) => {
    try {
      const found = read()
      if (subjectFor(found.statement, digest) === undefined)
        throw new ImageError('signature.mismatch', `${place}: is about another image`)
      if (predicateType === undefined || found.statement.predicateType === predicateType)
        verified.push({ ...found, place })
    } catch (error) {
      if (!(error instanceof ImageError)) throw error
      refused.push({ place, reason: `${error.code}: ${error.message}` })
    }
  }
  for (const found of await findSigstoreSignatures(reader, digest)) {
    if (found.kind !== 'bundle' && found.kind !== 'unreadable') continue
    consider(found.place, () => {
      if (found.kind === 'unreadable') throw found.error
      const { content, signer } = verifyBundle(found, trust)
      if (content.kind !== 'statement') throw new ImageError('signature.mismatch', `${found.place}: no statement`)
      return { statement: content.statement, signer }
    })
  }
  const tag = signatureTag(digest, 'att')
  for (const layer of await readTaggedLayers(reader, tag, ENVELOPE, MAX_STATEMENT_BYTES * 1.5))
    consider(layer.place, () => {
      if (layer.kind === 'unreadable') throw layer.error
      return verifyEnvelope(layer.bytes, trust, layer.place)
    })
  return { verified, refused }
}

/**
 * A bare DSSE envelope, as cosign before version 3 attaches it. Only keys can be trusted for these: what certificates
 * need to be dated by does not lie in them.
 *
 * @throws {ImageError} `signature.malformed`, `signature.unverified`, `signature.mismatch`, `statement.malformed`.
 * @source DSSE v1
 */
export function verifyEnvelope(
  bytes: Uint8Array,
  trust: BundleTrust,
  place: string,
): { readonly statement: Statement; readonly signer: Signer } {
  if (trust.kind !== 'keys' || trust.logs !== undefined)
    throw new ImageError('signature.mismatch', `${place}: a bare envelope, and a certificate or a log is asked for`)
  const object = parseSignedJson(bytes, place, MAX_STATEMENT_BYTES * 1.5)
  const type = member(object, 'payloadType')
  if (type !== IN_TOTO) throw new ImageError('signature.mismatch', `${place}: signs ${JSON.stringify(type)}`)
  const payload = readBase64(member(object, 'payload'), `${place}: payload`)
  const signed = preAuthEncoding(IN_TOTO, payload)
  const signatures = readAs('signature.malformed', () =>
    asArray(member(object, 'signatures'), `${place}: signatures`, MAX_SIGNATURES).map((entry, i) =>
      readBase64(member(asObject(entry, place), 'sig'), `${place}: signatures[${i}]`),
    ),
  )
  for (const raw of signatures) {
    const key = trust.keys.find((candidate) => isSignedBy(candidate, signed, raw))
    if (key !== undefined)
      return { statement: parseStatement(payload, place), signer: { keyId: key.id, algorithm: key.algorithm } }
  }
  throw new ImageError('signature.unverified', `${place}: by none of the ${trust.keys.length} trusted keys`)
}

/** Something that hangs on an image: what the registry says, nothing of it checked. */
export interface Attached {
  readonly place: string
  readonly type: string
  readonly digest: Digest
  readonly size: number
  readonly predicateType?: string
}

/** Everything attached to a digest, by cosign's tags and by reference (CS-10). */
export async function listAttached(reader: RepositoryReader, digest: Digest): Promise<readonly Attached[]> {
  const attached: Attached[] = []
  for (const kind of ['sig', 'att', 'sbom'] as const) {
    const tag = signatureTag(digest, kind)
    for (const layer of (await readTagged(reader, tag))?.layers ?? [])
      attached.push(describe(tag, layer.mediaType, layer, layer.annotations.get('predicateType')))
  }
  for (const entry of await listReferrers(reader.home, digest))
    attached.push(
      describe(
        'referrer',
        entry.artifactType ?? entry.mediaType,
        entry,
        entry.annotations.get('dev.sigstore.bundle.predicateType'),
      ),
    )
  return attached
}

function describe(place: string, type: string, { digest, size }: Descriptor, predicateType?: string): Attached {
  return { place, type, digest, size, ...(predicateType === undefined ? {} : { predicateType }) }
}
