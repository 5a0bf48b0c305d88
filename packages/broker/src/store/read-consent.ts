import type { Digest } from '@vouchsafe/core'
import type {
  DistrustRule,
  ForeignCheckpoint,
  RecordedSignature,
  ReferenceSet,
  StoredAgreement,
  StoredStatement,
} from './rows.ts'
import { type Row, type Steps, all, bytes, instant, integer, one, optional, text } from './steps.ts'

export function* readAgreement(tenant: string, digest: Digest): Steps<StoredAgreement | null> {
  const row = yield* one('select * from agreements where tenant = ? and digest = ?', tenant, digest)
  return row === null ? null : toAgreement(row)
}

export function* readCurrentAgreement(tenant: string, name: string): Steps<StoredAgreement | null> {
  const row = yield* one(
    `select a.* from agreement_heads h join agreements a on a.tenant = h.tenant and a.digest = h.digest
     where h.tenant = ? and h.name = ?`,
    tenant,
    name,
  )
  return row === null ? null : toAgreement(row)
}

export function* readAgreements(tenant: string): Steps<readonly (StoredAgreement & { current: boolean })[]> {
  const rows = yield* all(
    `select a.*, case when h.digest is null then 0 else 1 end as is_current from agreements a
     left join agreement_heads h on h.tenant = a.tenant and h.digest = a.digest
     where a.tenant = ? order by a.name, a.version desc, a.filed_at desc`,
    tenant,
  )
  return rows.map((row) => ({ ...toAgreement(row), current: integer(row, 'is_current') === 1 }))
}

function toAgreement(row: Row): StoredAgreement {
  return {
    digest: text(row, 'digest') as Digest,
    name: text(row, 'name'),
    version: integer(row, 'version'),
    previous: optional(row, 'previous', text) as Digest | null,
    bytes: bytes(row, 'bytes'),
    filedAt: instant(row, 'filed_at'),
  }
}

export function* readStatements(tenant: string, agreement: Digest): Steps<readonly StoredStatement[]> {
  const rows = yield* all('select * from statements where tenant = ? and agreement = ? order by seq', tenant, agreement)
  return rows.map((row) => ({
    id: text(row, 'id') as Digest,
    says: text(row, 'says') === 'approve' ? 'approve' : 'withdraw',
    agreement: text(row, 'agreement') as Digest,
    owner: text(row, 'owner'),
    key: text(row, 'key'),
    envelope: bytes(row, 'envelope'),
    issuedAt: instant(row, 'issued_at'),
    expiresAt: optional(row, 'expires_at', instant),
    receivedAt: instant(row, 'received_at'),
  }))
}

/** In the order in which they were recorded. */
export function* readSignatures(tenant: string, image: Digest): Steps<readonly RecordedSignature[]> {
  const rows = yield* all('select * from image_signatures where tenant = ? and image = ? order by seq', tenant, image)
  return rows.map((row) => ({
    image: text(row, 'image') as Digest,
    id: text(row, 'id') as Digest,
    record: bytes(row, 'record'),
    seq: integer(row, 'seq'),
  }))
}

export function* readReferenceSet(tenant: string, name: string): Steps<ReferenceSet | null> {
  const row = yield* one(
    'select * from reference_sets where tenant = ? and name = ? order by version desc limit 1',
    tenant,
    name,
  )
  return row === null ? null : toReferenceSet(row)
}

export function* readReferenceSets(tenant: string): Steps<readonly ReferenceSet[]> {
  return (yield* all('select * from reference_sets where tenant = ? order by name, version desc', tenant)).map(
    toReferenceSet,
  )
}

function toReferenceSet(row: Row): ReferenceSet {
  return {
    name: text(row, 'name'),
    version: integer(row, 'version'),
    digest: text(row, 'digest') as Digest,
    bytes: bytes(row, 'bytes'),
    expiresAt: instant(row, 'expires_at'),
    addedAt: instant(row, 'added_at'),
  }
}

export function* readDistrustRules(tenant: string): Steps<readonly DistrustRule[]> {
  const rows = yield* all(
    'select * from distrust_rules where tenant = ? and lifted_at is null order by added_at, id',
    tenant,
  )
  return rows.map((row) => ({
    id: text(row, 'id'),
    mark: text(row, 'mark'),
    request: bytes(row, 'request'),
    addedAt: instant(row, 'added_at'),
    liftedAt: optional(row, 'lifted_at', instant),
  }))
}

export function* readForeignCheckpoint(tenant: string, origin: string): Steps<ForeignCheckpoint | null> {
  const row = yield* one('select * from foreign_checkpoints where tenant = ? and origin = ?', tenant, origin)
  if (row === null) return null
  return {
    origin: text(row, 'origin'),
    size: integer(row, 'size'),
    checkpoint: text(row, 'checkpoint'),
    seenAt: instant(row, 'seen_at'),
  }
}
