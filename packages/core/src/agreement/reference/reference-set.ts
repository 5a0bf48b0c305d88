import { z } from 'zod'
import type { CryptoPort } from '../../base/crypto.ts'
import { type Digest, digestOf } from '../../base/digest.ts'
import { fromBase64 } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { parseOwnerKey } from '../../base/keys.ts'
import { parseSchema } from '../../base/schema.ts'
import { parseStrictJson } from '../../base/strict-json.ts'
import { type Envelope, envelopeSchema, openEnvelope } from '../envelope.ts'
import { referenceJsonSchema } from './reference-json.ts'

/** DSSE payload type of one version of a set. */
export const REFERENCE_TYPE = 'application/vnd.vouchsafe.reference.v1+json'
const MAX_SET_BYTES = 384 * 1024

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`))
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/)
/** Names of sets and of values. */
export const referenceNameSchema = z
  .string()
  .regex(/^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?$/, 'not a name of a reference value')

/** Where a value comes from: without that nobody can say later why it is trusted (D20). */
const provenanceSchema = z.strictObject({
  how: z.enum(['computed', 'observed', 'imported', 'added']),
  /** The decision record, the file, or the person. */
  source: z.string().min(1).max(512),
  /** What it was computed from: digests and settings by name. */
  inputs: z.record(z.string().max(64), z.string().max(4096)).default({}),
})

const common = { id: referenceNameSchema, provenance: provenanceSchema, notAfter: z.iso.datetime() }

/** One accepted value, for so long. */
export const referenceEntrySchema = z.discriminatedUnion('kind', [
  z.strictObject({ ...common, kind: z.literal('snp'), measurement: hex(48) }),
  z.strictObject({
    ...common,
    kind: z.literal('tdx'),
    mrTd: hex(48),
    rtmr0: hex(48).exactOptional(),
    rtmr1: hex(48).exactOptional(),
    rtmr2: hex(48).exactOptional(),
    rtmr3: hex(48).exactOptional(),
  }),
  z.strictObject({
    ...common,
    kind: z.literal('tpm'),
    registers: z.record(z.string().regex(/^(?:[0-9]|1[0-5])$/), hex(32)),
  }),
  /** A component by its name, as manifests of vendors give it: digests, any of them. */
  z.strictObject({
    ...common,
    kind: z.literal('component'),
    digests: z
      .array(z.string().regex(/^(?:[0-9a-f]{2}){32,64}$/))
      .min(1)
      .max(64),
  }),
  /** Whatever a policy asks for by this name; it pins no boot. */
  z.strictObject({ ...common, kind: z.literal('value'), value: referenceJsonSchema }),
])
export type ReferenceEntry = z.infer<typeof referenceEntrySchema>

export const referenceSetSchema = z.strictObject({
  vouchsafe: z.literal('reference/v1'),
  name: referenceNameSchema,
  version: z.number().int().min(1),
  /** Of the version before this one; null for the first. */
  previous: digest.nullable(),
  issued: z.iso.datetime(),
  entries: z.array(referenceEntrySchema).max(1024),
})
export type ReferenceSet = z.infer<typeof referenceSetSchema>

/** A set with its history, oldest version first. */
export const referenceFileSchema = z.strictObject({
  format: z.literal('vouchsafe/reference-file/v1'),
  versions: z.array(envelopeSchema).min(1).max(1024),
})
export type ReferenceFile = z.infer<typeof referenceFileSchema>

export interface ReferenceVersion {
  readonly set: ReferenceSet
  readonly digest: Digest
}

/**
 * Reads a set and all that it was before. Every version is signed by the key that is named, numbered without a gap, and
 * names the digest of the one before it: an older file cannot stand in for a newer one that was seen (F10).
 *
 * @param signer - `ed25519:…`; no key is ever taken from the file (F09).
 * @param atLeast - The newest version that the reader knows of. Left out: 1.
 * @throws {VouchsafeError} `agreement.signature`; `agreement.superseded` for a file that ends before `atLeast`;
 *   `input.malformed`
 */
export async function readReferenceFile(
  file: ReferenceFile,
  signer: string,
  crypto: CryptoPort,
  atLeast = 1,
): Promise<readonly [ReferenceVersion, ...ReferenceVersion[]]> {
  const versions: ReferenceVersion[] = []
  for (const envelope of file.versions) versions.push(await readVersion(envelope, signer, versions.at(-1), crypto))
  const [first, ...rest] = versions
  const newest = versions.at(-1)
  if (first === undefined || newest === undefined)
    throw new VouchsafeError('input.malformed', 'reference set: no version')
  if (newest.set.version < atLeast)
    throw new VouchsafeError(
      'agreement.superseded',
      `reference set ${newest.set.name}: ends with version ${newest.set.version}, known is version ${atLeast}`,
    )
  return [first, ...rest]
}

async function readVersion(
  envelope: Envelope,
  signer: string,
  before: ReferenceVersion | undefined,
  crypto: CryptoPort,
): Promise<ReferenceVersion> {
  const number = (before?.set.version ?? 0) + 1
  const version = await openReferenceVersion(envelope, signer, crypto)
  const { set } = version
  if (
    set.version !== number ||
    set.previous !== (before?.digest ?? null) ||
    set.name !== (before?.set.name ?? set.name)
  )
    throw new VouchsafeError('input.malformed', `reference set ${set.name}: version ${set.version} does not follow`)
  return version
}

/**
 * Reads one version by itself: who signed it and what it says, not what came before it.
 *
 * @param signer - `ed25519:…`; no key is ever taken from the envelope (F09).
 * @throws {VouchsafeError} `agreement.signature`, `input.malformed`
 */
export async function openReferenceVersion(
  envelope: Envelope,
  signer: string,
  crypto: CryptoPort,
): Promise<ReferenceVersion> {
  if ((await openEnvelope(envelope, REFERENCE_TYPE, parseOwnerKey(signer), crypto)) === null)
    throw new VouchsafeError('agreement.signature', `reference set: not signed by ${signer}`)
  const bytes = fromBase64(envelope.payload, 'reference set')
  const set = parseSchema(referenceSetSchema, parseStrictJson(bytes, { maxBytes: MAX_SET_BYTES }), 'reference set')
  const ids = set.entries.map(({ id }) => id)
  const twice = ids.find((id, i) => ids.indexOf(id) !== i)
  if (twice !== undefined)
    throw new VouchsafeError('input.malformed', `reference set ${set.name}: ${twice} is there twice`)
  return { set, digest: digestOf(bytes, crypto) }
}

/** The entries that hold at a moment. */
export function liveEntries({ entries }: ReferenceSet, at: Date): readonly ReferenceEntry[] {
  return entries.filter((entry) => at < new Date(entry.notAfter))
}
