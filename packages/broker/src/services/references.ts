import {
  type AgreementBody,
  type Digest,
  digestOf,
  envelopeSchema,
  type FiledSet,
  liveEntries,
  openReferenceVersion,
  ownerKeySchema,
  parseSchema,
  parseStrictJson,
  referenceNameSchema,
  utf8,
  VouchsafeError,
  wire,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { z } from 'zod'
import type { ReferenceSet } from '../store/rows.ts'
import type { Store } from '../store/store.ts'
import type { Caller, Services, TenantContext } from './context.ts'
import { receiptOf } from './receipts.ts'

/** What a row of the store holds: the set's newest version, and everything that was ended here before its time. */
const filingSchema = z.strictObject({
  signer: ownerKeySchema,
  envelope: envelopeSchema,
  by: z.string(),
  ended: z.array(z.strictObject({ value: referenceNameSchema, reason: z.string() })),
  /** Whether this filing ended the last of them; otherwise it filed the version. */
  ends: z.boolean(),
})
type Filing = z.infer<typeof filingSchema>

/** So that the record of a decision under four of them stays within what a record may be. */
const MAX_VERSION_BYTES = 192 * 1024
const MAX_ENDED = 1024

/**
 * Files the next version of a set. Its values come into force with it, wherever an agreement names set and signer.
 *
 * @throws {VouchsafeError} `request.forbidden`, `agreement.signature`, `agreement.superseded` for a version that is no newer
 *   than the one here, `store.conflict` for one that does not follow it
 */
export async function fileReference(
  services: Services,
  context: TenantContext,
  caller: Caller,
  name: string,
  { signer, version: envelope }: z.output<typeof wire.fileReferenceRequest>,
): Promise<z.input<typeof wire.referenceResponse>> {
  assertOwner(context, caller)
  if (envelope.payload.length > MAX_VERSION_BYTES)
    throw new VouchsafeError(
      'input.too-large',
      `reference set ${name}: ${envelope.payload.length} bytes, at most ${MAX_VERSION_BYTES}`,
    )
  const newest = await services.store.referenceSet(context.tenant.id, name)
  const { set, digest } = await openReferenceVersion(envelope, signer, nodeCrypto)
  if (set.name !== name)
    throw new VouchsafeError('input.malformed', `reference set ${name}: it calls itself ${set.name}`)
  const before = newest === null ? null : await readFiling(newest)
  if (before !== null && before.filing.signer !== signer)
    throw new VouchsafeError('store.conflict', `reference set ${name}: ${before.filing.signer} vouches for it here`)
  const known = before?.version.set.version ?? 0
  if (set.version <= known)
    throw new VouchsafeError('agreement.superseded', `reference set ${name}: version ${known} is here already`)
  if (set.version !== known + 1 || set.previous !== (before?.version.digest ?? null))
    throw new VouchsafeError(
      'store.conflict',
      `reference set ${name}: version ${set.version} does not follow version ${known}`,
    )
  const filing: Filing = {
    signer,
    envelope,
    by: caller.principal.party,
    ended: before?.filing.ended ?? [],
    ends: false,
  }
  const seq = await append(services, context, caller, name, newest, filing, set.entries, {
    kind: 'reference.added',
    digest,
    facts: { version: String(set.version), signer, by: caller.principal.party },
  })
  return { set: name, version: set.version, receipt: await receiptOf(services.store, context.tenant.id, seq) }
}

/** Ends one value at this broker, for good: whatever its signer says later, nothing is accepted by it again. */
export async function endReference(
  services: Services,
  context: TenantContext,
  caller: Caller,
  name: string,
  { value, reason }: z.output<typeof wire.endReferenceRequest>,
): Promise<z.input<typeof wire.referenceResponse>> {
  assertOwner(context, caller)
  const newest = await services.store.referenceSet(context.tenant.id, name)
  if (newest === null) throw new VouchsafeError('store.unknown', `no reference set ${name} here`)
  const { filing: before, version } = await readFiling(newest)
  const { entries } = version.set
  if (!entries.some(({ id }) => id === value))
    throw new VouchsafeError('store.unknown', `reference set ${name}: no value ${value}`)
  if (before.ended.some((e) => e.value === value))
    throw new VouchsafeError('store.conflict', `reference set ${name}: ${value} ended already`)
  if (before.ended.length === MAX_ENDED)
    throw new VouchsafeError('input.too-large', `reference set ${name}: ${MAX_ENDED} values ended already`)
  const by = caller.principal.party
  const filing: Filing = { ...before, by, ended: [...before.ended, { value, reason }], ends: true }
  const seq = await append(services, context, caller, name, newest, filing, entries, {
    kind: 'reference.ended',
    digest: version.digest,
    facts: { value, reason, by },
  })
  return { set: name, version: version.set.version, receipt: await receiptOf(services.store, context.tenant.id, seq) }
}

/** Every set with its values, and whether each holds. */
export async function listReferences(
  { store, clock }: Services,
  { tenant }: TenantContext,
): Promise<z.input<typeof wire.listReferencesResponse>> {
  const rows = await store.referenceSets(tenant.id) // newest first within each name
  const newest = rows.filter((row, i) => rows[i - 1]?.name !== row.name)
  return { sets: await Promise.all(newest.map((row) => statusOf(row, clock()))) }
}

/** One set: how it stands, its newest version as signed, and who filed and ended what. */
export async function referenceHistory(
  { store, clock }: Services,
  { tenant }: TenantContext,
  name: string,
): Promise<z.input<typeof wire.referenceHistoryResponse>> {
  const rows = (await store.referenceSets(tenant.id)).filter((row) => row.name === name)
  const [newest] = rows
  if (newest === undefined) throw new VouchsafeError('store.unknown', `no reference set ${name} here`)
  const filings = await Promise.all(
    rows.map(async (row) => {
      const { filing, version } = await readFiling(row)
      return {
        at: row.addedAt.toISOString(),
        by: filing.by,
        version: version.set.version,
        digest: version.digest,
        ended: filing.ends ? (filing.ended.at(-1) ?? null) : null,
      }
    }),
  )
  const { filing } = await readFiling(newest)
  return { set: await statusOf(newest, clock()), envelope: filing.envelope, filings: filings.reverse() }
}

/** Of the sets that an agreement names, what is filed here: raw, so that a record of it can be judged again. */
export async function filedSetsFor(
  store: Store,
  tenant: string,
  { environment }: AgreementBody,
): Promise<{ readonly references?: FiledSet[] }> {
  if (environment.references === undefined) return {}
  const rows = await Promise.all(environment.references.map(({ set }) => store.referenceSet(tenant, set)))
  const references = rows.flatMap((row) => {
    if (row === null) return []
    const { envelope, ended } = parseFiling(row)
    return [{ set: row.name, version: envelope, ended: ended.map(({ value }) => value) }]
  })
  return { references }
}

function assertOwner(context: TenantContext, { principal }: Caller): void {
  if (principal.party !== context.owner)
    throw new VouchsafeError('request.forbidden', `reference values here are for ${context.owner} to accept`)
}

async function append(
  services: Services,
  context: TenantContext,
  caller: Caller,
  name: string,
  newest: ReferenceSet | null,
  filing: Filing,
  entries: readonly { readonly notAfter: string }[],
  entry: {
    readonly kind: 'reference.added' | 'reference.ended'
    readonly digest: Digest
    readonly facts: Readonly<Record<string, string>>
  },
): Promise<number> {
  const bytes = utf8(JSON.stringify(filing))
  const ends = entries.map(({ notAfter }) => Date.parse(notAfter))
  const expiresAt = new Date(Math.max(services.clock().getTime(), ...ends))
  const set = { name, version: (newest?.version ?? 0) + 1, digest: digestOf(bytes, nodeCrypto), bytes, expiresAt }
  const { seq } = await services.store.append({
    tenant: context.tenant.id,
    entry: { subject: name, ...entry },
    changes: [
      { change: 'nonce.consume', nonce: caller.nonce },
      { change: 'reference.add', set },
    ],
    signer: context.logSigner,
  })
  return seq
}

async function statusOf(row: ReferenceSet, at: Date): Promise<z.input<typeof wire.referenceSetStatus>> {
  const { filing, version } = await readFiling(row)
  const { set, digest } = version
  const live = liveEntries(set, at)
  const ended = new Set(filing.ended.map(({ value }) => value))
  const values = set.entries.map((entry) => ({
    id: entry.id,
    kind: entry.kind,
    state: ended.has(entry.id) ? ('ended' as const) : live.includes(entry) ? ('holds' as const) : ('over' as const),
    notAfter: entry.notAfter,
    how: entry.provenance.how,
    source: entry.provenance.source,
  }))
  return { set: set.name, signer: filing.signer, version: set.version, digest, issued: set.issued, values }
}

/** Signed by the key under which it was filed: a row that somebody changed in the store is refused. */
async function readFiling(row: ReferenceSet) {
  const filing = parseFiling(row)
  return { filing, version: await openReferenceVersion(filing.envelope, filing.signer, nodeCrypto) }
}

function parseFiling({ name, bytes }: ReferenceSet): Filing {
  return parseSchema(filingSchema, parseStrictJson(bytes, { maxBytes: 1024 * 1024 }), `reference set ${name}`)
}
