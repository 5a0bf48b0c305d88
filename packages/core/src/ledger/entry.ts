import { z } from 'zod'
import type { Digest } from '../base/digest.ts'
import { utf8 } from '../base/encoding.ts'
import { VouchsafeError } from '../base/errors.ts'
import { parseSchema } from '../base/schema.ts'
import { parseStrictJson } from '../base/strict-json.ts'
import { PROFILES } from './log-key.ts'

/**
 * What an entry records. On the wire: add freely, never rename or reuse. A reader refuses a kind that it does not
 * know, since it could not say what it means.
 */
export const ENTRY_KINDS = {
  genesis: 'The log begins: its profile, broker and tenant.',
  'principal.added': 'An owner, operator or auditor key may act from now on.',
  'principal.removed': 'A key may act no more.',
  'ticket.issued': 'A one-time ticket for enrolling a machine was made.',
  'enrolment.added': 'A machine’s attestation key was enrolled with its endorsement key.',
  'enrolment.ended': 'A machine may attest no more.',
  'resource.put': 'A resource has a new version.',
  'resource.removed': 'A resource is no longer released.',
  'agreement.proposed': 'An agreement, or a new version of one, was filed.',
  'agreement.approved': 'An owner approved an agreement.',
  'agreement.withdrawn': 'An owner withdrew from an agreement.',
  'signature.recorded': 'A signature of an image was shown here, and verified. It approves nothing.',
  'reference.added': 'A set of reference values was filed.',
  'reference.ended': 'An owner ended a reference value before its time.',
  'trust.distrusted': 'A platform, firmware, boot state or image is distrusted.',
  'trust.restored': 'A distrust was lifted.',
  decision: 'A release was asked for and decided: released, waiting or denied.',
  'lease.renewed': 'A lease was renewed by fresh evidence.',
  'lease.ended': 'A lease was ended before its time.',
  'checkpoint.seen': 'Another broker’s checkpoint was shown here.',
  'key.added': 'The tenant has a new signing key.',
  'key.certified': 'A signing key was made in the TPM of an approved client, and certified there.',
  'store.restored': 'The store was restored from a backup; the restore epoch rose.',
  'request.denied': 'A call was refused before there was anything to decide.',
  'record.read': 'A decision record was read.',
  'setting.changed': 'A setting of the tenant was changed.',
} as const
export type EntryKind = keyof typeof ENTRY_KINDS

/** What the appender says; log, number and time are the log's to give. */
export interface EntryContent {
  readonly kind: EntryKind
  /** The id of what this is about: decision id, agreement digest, resource path. No secret, no personal datum (I08). */
  readonly subject: string
  /**
   * SHA-256 of the exact bytes that the store keeps for it: the decision record, the signed statement, the resource's
   * ciphertext (never its plain text, which might be guessed from its hash).
   */
  readonly digest: Digest
  /** A few flat facts for a reader without the record, for example `outcome`. */
  readonly facts: Readonly<Record<string, string>>
}

export interface Entry extends EntryContent {
  readonly seq: number
  readonly tenant: string
  /** ISO 8601 in UTC with milliseconds; never earlier than the entry before. */
  readonly time: string
}

export const MAX_ENTRY_BYTES = 16 * 1024

const entrySchema = z.strictObject({
  ledger: z.literal('entry/v1'),
  seq: z.number().int().min(0),
  tenant: z.string().min(1).max(128),
  time: z.iso.datetime({ precision: 3 }),
  kind: z.enum(Object.keys(ENTRY_KINDS) as [EntryKind, ...EntryKind[]]),
  subject: z.string().max(1024),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/, 'wanted sha256: and 64 lower-case hexadecimal digits'),
  facts: z.record(z.string().max(64), z.string().max(1024)),
})

/** The exact bytes that are stored and hashed. There is no canonical form: a reader hashes what it was given. */
export function encodeEntry(entry: Entry): Uint8Array<ArrayBuffer> {
  const { seq, tenant, time, kind, subject, digest, facts } = entry
  const bytes = utf8(JSON.stringify({ ledger: 'entry/v1', seq, tenant, time, kind, subject, digest, facts }))
  if (bytes.length > MAX_ENTRY_BYTES)
    throw new VouchsafeError('input.too-large', `ledger entry: ${bytes.length} bytes, at most ${MAX_ENTRY_BYTES}`)
  return bytes
}

/** @throws {VouchsafeError} `input.malformed`, `input.unknown-member`, `input.too-large` */
export function parseEntry(bytes: Uint8Array): Entry {
  const json = parseStrictJson(bytes, { maxBytes: MAX_ENTRY_BYTES, maxDepth: 4 })
  const { ledger: _, digest, ...entry } = parseSchema(entrySchema, json, 'ledger entry')
  return { ...entry, digest: digest as Digest }
}

const genesisSchema = z.strictObject({
  profile: z.enum(PROFILES),
  broker: z.string().min(1),
  origin: z.string().min(1),
})
export type Genesis = z.infer<typeof genesisSchema>

/** The facts of a genesis entry. @throws {VouchsafeError} `input.malformed` when `entry` is not one. */
export function parseGenesis(entry: Entry): Genesis {
  if (entry.kind !== 'genesis' || entry.seq !== 0)
    throw new VouchsafeError('input.malformed', `ledger: entry ${entry.seq} is ${entry.kind}, wanted genesis at 0`)
  return parseSchema(genesisSchema, entry.facts, 'ledger genesis')
}
