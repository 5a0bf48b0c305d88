import { VouchsafeError } from '@vouchsafe/core'
import { type Steps, change, integer, one } from './steps.ts'

/*
 * One schema for both databases. `TEXT`, `BYTES` and `INT` stand for their column types; `TREE` and `ROWS` for where rows
 * lie: in the tree of their primary key, or, where they carry large bytes, beside it. Every key begins with the tenant,
 * so no statement can reach a row without naming whose it is (G09).
 */

/** Migration n brings a store of version n to n + 1. Never edit one that was released: add the next. */
const MIGRATIONS: readonly (readonly string[])[] = [
  [
    `create table store_identity (
      only_row INT primary key check (only_row = 1),
      profile TEXT not null check (profile in ('production', 'simulated')),
      broker TEXT not null,
      root_check BYTES not null
    ) TREE`,
    `create table restore_epoch (only_row INT primary key check (only_row = 1), epoch INT not null) TREE`,
    `insert into restore_epoch (only_row, epoch) values (1, 1)`,
    `create table tenants (
      tenant TEXT primary key,
      name TEXT not null,
      origin TEXT not null unique,
      created_at INT not null
    ) TREE`,
    // the row that serialises a tenant's transactions
    `create table log_heads (
      tenant TEXT primary key,
      size INT not null,
      time INT not null,
      frontier BYTES not null,
      checkpoint TEXT not null,
      consent_epoch INT not null,
      registry_epoch INT not null,
      reference_epoch INT not null,
      distrust_epoch INT not null
    ) TREE`,
    // nodes: the perfect subtrees that this entry completed, by level, 32 bytes each; never rewritten
    `create table log_entries (
      tenant TEXT not null,
      seq INT not null,
      subject TEXT not null,
      entry BYTES not null,
      nodes BYTES not null,
      checkpoint TEXT not null,
      primary key (tenant, seq)
    ) TREE`,
    `create index log_entries_subject on log_entries (tenant, subject, seq)`,
    `create table principals (
      tenant TEXT not null,
      key TEXT not null,
      party TEXT not null,
      role TEXT not null,
      added_at INT not null,
      removed_at INT,
      primary key (tenant, key)
    ) TREE`,
    `create table tickets (
      tenant TEXT not null,
      id TEXT not null,
      made_by TEXT not null,
      expires_at INT not null,
      machine TEXT,
      used_by TEXT,
      primary key (tenant, id)
    ) TREE`,
    `create table enrolments (
      tenant TEXT not null,
      id TEXT not null,
      class TEXT not null,
      ek_certificate_digest TEXT not null,
      ak_name BYTES not null,
      ak_public BYTES not null,
      reset_count INT not null,
      restart_count INT not null,
      record BYTES not null,
      enrolled_at INT not null,
      ended_at INT,
      primary key (tenant, id)
    ) ROWS`,
    `create table resources (
      tenant TEXT not null,
      path TEXT not null,
      version INT not null,
      owner TEXT not null,
      key_id TEXT not null,
      nonce BYTES not null,
      ciphertext BYTES not null,
      metadata BYTES not null,
      put_at INT not null,
      primary key (tenant, path, version)
    ) ROWS`,
    `create table resource_heads (
      tenant TEXT not null,
      path TEXT not null,
      version INT not null,
      removed INT not null,
      primary key (tenant, path)
    ) TREE`,
    `create table agreements (
      tenant TEXT not null,
      digest TEXT not null,
      name TEXT not null,
      version INT not null,
      previous TEXT,
      bytes BYTES not null,
      filed_at INT not null,
      primary key (tenant, digest)
    ) ROWS`,
    `create table agreement_heads (
      tenant TEXT not null,
      name TEXT not null,
      digest TEXT not null,
      primary key (tenant, name)
    ) TREE`,
    `create table statements (
      tenant TEXT not null,
      agreement TEXT not null,
      id TEXT not null,
      says TEXT not null,
      owner TEXT not null,
      key TEXT not null,
      envelope BYTES not null,
      issued_at INT not null,
      expires_at INT,
      received_at INT not null,
      seq INT not null,
      primary key (tenant, agreement, id)
    ) ROWS`,
    `create table reference_sets (
      tenant TEXT not null,
      name TEXT not null,
      version INT not null,
      digest TEXT not null,
      bytes BYTES not null,
      expires_at INT not null,
      added_at INT not null,
      primary key (tenant, name, version)
    ) ROWS`,
    `create table distrust_rules (
      tenant TEXT not null,
      id TEXT not null,
      mark TEXT not null,
      request BYTES not null,
      added_at INT not null,
      lifted_at INT,
      primary key (tenant, id)
    ) TREE`,
    `create table consumed_nonces (
      tenant TEXT not null,
      id BYTES not null,
      expires_at INT not null,
      primary key (tenant, id)
    ) TREE`,
    `create index consumed_nonces_expiry on consumed_nonces (expires_at)`,
    `create table decisions (
      tenant TEXT not null,
      id TEXT not null,
      seq INT not null,
      outcome TEXT not null,
      code TEXT not null,
      digest TEXT not null,
      decided_at INT not null,
      lease TEXT,
      proof_key TEXT,
      request TEXT,
      record BYTES not null,
      primary key (tenant, seq)
    ) ROWS`,
    // one decision per request of a proof key (decision 14); nulls never collide
    `create unique index decisions_request on decisions (tenant, proof_key, request)`,
    `create unique index decisions_id on decisions (tenant, id)`,
    `create table decision_marks (
      tenant TEXT not null,
      mark TEXT not null,
      seq INT not null,
      decision TEXT not null,
      primary key (tenant, mark, seq)
    ) TREE`,
    `create table leases (
      tenant TEXT not null,
      id TEXT not null,
      decision TEXT not null,
      decision_seq INT not null,
      enrolment TEXT not null,
      agreement TEXT not null,
      began_at INT not null,
      expires_at INT not null,
      renewals INT not null,
      ended_at INT,
      ended_why TEXT,
      primary key (tenant, id)
    ) TREE`,
    `create index leases_decision on leases (tenant, decision_seq)`,
    `create index leases_expiry on leases (tenant, expires_at)`,
    `create table tenant_keys (
      tenant TEXT not null,
      kind TEXT not null,
      generation INT not null,
      id TEXT not null,
      wrapped BYTES not null,
      public_key BYTES,
      not_before INT not null,
      not_after INT,
      primary key (tenant, kind, generation)
    ) TREE`,
    `create table foreign_checkpoints (
      tenant TEXT not null,
      origin TEXT not null,
      size INT not null,
      checkpoint TEXT not null,
      seen_at INT not null,
      primary key (tenant, origin)
    ) TREE`,
    `create table settings (
      tenant TEXT not null,
      name TEXT not null,
      value BYTES not null,
      primary key (tenant, name)
    ) ROWS`,
  ],
  [
    // seq: the entry that binds the record; nothing that releases reads this table
    `create table image_signatures (
      tenant TEXT not null,
      image TEXT not null,
      id TEXT not null,
      record BYTES not null,
      seq INT not null,
      primary key (tenant, image, id)
    ) ROWS`,
  ],
]

export const SCHEMA_VERSION = MIGRATIONS.length

/** What the words in capitals stand for, per database. */
export type Dialect = Readonly<Record<'TEXT' | 'BYTES' | 'INT' | 'TREE' | 'ROWS', string>>

/**
 * Brings the schema to this version's. Runs in a transaction, under a lock that keeps a second process out.
 *
 * @throws {VouchsafeError} `store.newer` when a later version of vouchsafe wrote the store: it may hold restrictions
 *   that this one would not see (J10).
 */
export function* migrate(dialect: Dialect): Steps<void> {
  yield* change(
    define('create table if not exists schema_version (only_row INT primary key, version INT not null) TREE', dialect),
  )
  const row = yield* one('select version from schema_version')
  const found = row === null ? 0 : integer(row, 'version')
  if (found > SCHEMA_VERSION)
    throw new VouchsafeError(
      'store.newer',
      `the store has schema version ${found}, this vouchsafe knows ${SCHEMA_VERSION}: update it, or use the store’s backup of before`,
    )
  for (const migration of MIGRATIONS.slice(found)) {
    for (const sql of migration) yield* change(define(sql, dialect))
  }
  if (row === null) yield* change('insert into schema_version (only_row, version) values (1, ?)', SCHEMA_VERSION)
  else if (found < SCHEMA_VERSION) yield* change('update schema_version set version = ?', SCHEMA_VERSION)
}

function define(sql: string, dialect: Dialect): string {
  return sql.replace(/\b(?:TEXT|BYTES|INT|TREE|ROWS)\b/g, (word) => dialect[word as keyof Dialect])
}
