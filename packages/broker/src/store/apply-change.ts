import { VouchsafeError } from '@vouchsafe/core'
import type { Change } from './changes.ts'
import { endLeases } from './leases.ts'
import type { LockedLog } from './log.ts'
import { consumeNonce } from './nonces.ts'
import { type Steps, type Value, change, insist, integer, one, text } from './steps.ts'

type Of<Name extends Change['change']> = Extract<Change, { change: Name }>

/** Makes one change under the log's lock. @returns The leases that it ended. */
export function* applyChange(log: LockedLog, wanted: Change): Steps<readonly string[]> {
  switch (wanted.change) {
    case 'principal.add':
      return yield* none(addPrincipal(log, wanted))
    case 'principal.remove':
      return yield* none(
        mustChange(
          `principal ${wanted.key}`,
          'update principals set removed_at = ? where tenant = ? and key = ? and removed_at is null',
          log.now.getTime(),
          log.tenant,
          wanted.key,
        ),
      )
    case 'ticket.add':
      return yield* none(addTicket(log, wanted))
    case 'ticket.use':
      return yield* none(applyTicket(log, wanted))
    case 'enrolment.add':
      return yield* none(addEnrolment(log, wanted))
    case 'enrolment.end':
      yield* mustChange(
        `enrolment ${wanted.id}`,
        'update enrolments set ended_at = ? where tenant = ? and id = ? and ended_at is null',
        log.now.getTime(),
        log.tenant,
        wanted.id,
      )
      return yield* endLeases(log, { kind: 'enrolment', id: wanted.id }, wanted.why)
    case 'resource.put':
      return yield* none(putResource(log, wanted))
    case 'resource.remove':
      return yield* none(
        mustChange(
          `resource ${wanted.path}`,
          'update resource_heads set removed = 1 where tenant = ? and path = ? and removed = 0',
          log.tenant,
          wanted.path,
        ),
      )
    case 'agreement.file':
      return yield* none(fileAgreement(log, wanted))
    case 'agreement.adopt':
      return yield* none(adoptAgreement(log, wanted))
    case 'statement.add':
      return yield* addStatement(log, wanted)
    case 'signature.add':
      return yield* none(addSignature(log, wanted))
    case 'reference.add':
      return yield* none(addReferenceSet(log, wanted))
    case 'distrust.add':
      return yield* addDistrust(log, wanted)
    case 'distrust.lift':
      return yield* none(
        mustChange(
          `distrust rule ${wanted.id}`,
          'update distrust_rules set lifted_at = ? where tenant = ? and id = ? and lifted_at is null',
          log.now.getTime(),
          log.tenant,
          wanted.id,
        ),
      )
    case 'lease.end': {
      const ended = yield* endLeases(log, { kind: 'lease', id: wanted.id }, wanted.why)
      if (ended.length === 0) throw new VouchsafeError('lease.ended', `lease ${wanted.id} is unknown, ended or expired`)
      return ended
    }
    case 'checkpoint.keep':
      return yield* none(keepCheckpoint(log, wanted))
    case 'key.add':
      return yield* none(addKey(log.tenant, wanted))
    case 'setting.put':
      return yield* none(
        change(
          'insert into settings (tenant, name, value) values (?, ?, ?) on conflict (tenant, name) do update set value = excluded.value',
          log.tenant,
          wanted.name,
          wanted.value,
        ),
      )
    case 'nonce.consume':
      return yield* none(insist([consumeNonce(log, wanted.nonce)]))
  }
}

/** For the changes that end no lease. */
function* none(steps: Steps<unknown>): Steps<readonly string[]> {
  yield* steps
  return []
}

function* mustChange(what: string, sql: string, ...values: readonly Value[]): Steps<void> {
  if ((yield* change(sql, ...values)) === 0) throw new VouchsafeError('store.unknown', `no ${what} here`)
}

/** Inserts one row; a row that is there already is a conflict. */
function* insert(what: string, table: string, row: Readonly<Record<string, Value>>): Steps<void> {
  const columns = Object.keys(row)
  const sql = `insert into ${table} (${columns.join(', ')}) values (${columns.map(() => '?').join(', ')}) on conflict do nothing`
  if ((yield* change(sql, ...Object.values(row))) === 0)
    throw new VouchsafeError('store.conflict', `${what} is there already`)
}

function* addPrincipal({ tenant, now }: LockedLog, { principal }: Of<'principal.add'>): Steps<void> {
  const { key, party, role } = principal
  // a removed key stays removed: bringing it back would let an old signature speak again
  yield* insert(`principal ${key}`, 'principals', { tenant, key, party, role, added_at: now.getTime() })
}

function* addTicket({ tenant }: LockedLog, { ticket }: Of<'ticket.add'>): Steps<void> {
  const { id, madeBy, expiresAt, machine } = ticket
  yield* insert(`ticket ${id}`, 'tickets', { tenant, id, made_by: madeBy, expires_at: expiresAt.getTime(), machine })
}

function* applyTicket({ tenant, now }: LockedLog, { id, enrolment }: Of<'ticket.use'>): Steps<void> {
  const used = yield* change(
    `update tickets set used_by = ? where tenant = ? and id = ? and used_by is null and expires_at > ?
     and (machine is null or machine = ?)`,
    enrolment,
    tenant,
    id,
    now.getTime(),
    enrolment,
  )
  if (used === 0) throw new VouchsafeError('enrolment.ticket', 'the ticket is unknown here, used, or expired')
}

function* addEnrolment({ tenant, now }: LockedLog, { enrolment: e }: Of<'enrolment.add'>): Steps<void> {
  // one that ended may begin again, with the counters of today; the log keeps both
  yield* change('delete from enrolments where tenant = ? and id = ? and ended_at is not null', tenant, e.id)
  yield* insert(`enrolment ${e.id}`, 'enrolments', {
    tenant,
    id: e.id,
    class: e.class,
    ek_certificate_digest: e.ekCertificateDigest,
    ak_name: e.akName,
    ak_public: e.akPublic,
    reset_count: e.resetCount,
    restart_count: e.restartCount,
    record: e.record,
    enrolled_at: now.getTime(),
  })
}

function* putResource({ tenant, now }: LockedLog, { resource: r }: Of<'resource.put'>): Steps<void> {
  const head = yield* one('select version from resource_heads where tenant = ? and path = ?', tenant, r.path)
  const next = head === null ? 1 : integer(head, 'version') + 1
  if (r.version !== next)
    throw new VouchsafeError('store.conflict', `resource ${r.path}: version ${r.version}, the next one is ${next}`)
  if (head !== null) {
    const owner = yield* one(
      'select owner from resources where tenant = ? and path = ? and version = ?',
      tenant,
      r.path,
      next - 1,
    )
    if (owner === null || text(owner, 'owner') !== r.owner)
      throw new VouchsafeError('store.conflict', `resource ${r.path} has another owner`)
  }
  yield* insert(`resource ${r.path} version ${r.version}`, 'resources', {
    tenant,
    path: r.path,
    version: r.version,
    owner: r.owner,
    key_id: r.keyId,
    nonce: r.nonce,
    ciphertext: r.ciphertext,
    metadata: r.metadata,
    put_at: now.getTime(),
  })
  yield* change(
    `insert into resource_heads (tenant, path, version, removed) values (?, ?, ?, 0)
     on conflict (tenant, path) do update set version = excluded.version, removed = 0`,
    tenant,
    r.path,
    r.version,
  )
}

function* fileAgreement({ tenant, now }: LockedLog, { agreement: a }: Of<'agreement.file'>): Steps<void> {
  let version = 1
  if (a.previous !== null) {
    const previous = yield* one(
      'select version, name from agreements where tenant = ? and digest = ?',
      tenant,
      a.previous,
    )
    if (previous === null || text(previous, 'name') !== a.name)
      throw new VouchsafeError('store.unknown', `agreement ${a.name}: its predecessor ${a.previous} is not here`)
    version = integer(previous, 'version') + 1
  }
  yield* insert(`agreement ${a.digest}`, 'agreements', {
    tenant,
    digest: a.digest,
    name: a.name,
    version,
    previous: a.previous,
    bytes: a.bytes,
    filed_at: now.getTime(),
  })
}

function* adoptAgreement({ tenant }: LockedLog, { name, digest }: Of<'agreement.adopt'>): Steps<void> {
  const filed = yield* one('select name, previous from agreements where tenant = ? and digest = ?', tenant, digest)
  if (filed === null || text(filed, 'name') !== name)
    throw new VouchsafeError('store.unknown', `no agreement ${digest} of name ${name} here`)
  const head = yield* one('select digest from agreement_heads where tenant = ? and name = ?', tenant, name)
  const current = head === null ? null : text(head, 'digest')
  if (filed['previous'] !== current)
    throw new VouchsafeError('store.conflict', `agreement ${name}: ${digest} does not follow ${current ?? 'nothing'}`)
  yield* change(
    `insert into agreement_heads (tenant, name, digest) values (?, ?, ?)
     on conflict (tenant, name) do update set digest = excluded.digest`,
    tenant,
    name,
    digest,
  )
}

function* addStatement(log: LockedLog, { statement: s }: Of<'statement.add'>): Steps<readonly string[]> {
  yield* change(
    `insert into statements (tenant, agreement, id, says, owner, key, envelope, issued_at, expires_at, received_at, seq)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing`,
    log.tenant,
    s.agreement,
    s.id,
    s.says,
    s.owner,
    s.key,
    s.envelope,
    s.issuedAt.getTime(),
    s.expiresAt?.getTime() ?? null,
    log.now.getTime(),
    log.frontier.size,
  )
  return s.says === 'withdraw'
    ? yield* endLeases(log, { kind: 'agreement', digest: s.agreement }, 'agreement.withdrawn')
    : []
}

function* addSignature({ tenant, frontier }: LockedLog, { signature, atMost }: Of<'signature.add'>): Steps<void> {
  const { image, id, record } = signature
  // this one first: what is there already is told as such, also of an image that has all it may have
  yield* insert(`signature ${id}`, 'image_signatures', { tenant, image, id, record, seq: frontier.size })
  const counted = yield* one('select count(*) as n from image_signatures where tenant = ? and image = ?', tenant, image)
  if (counted === null || integer(counted, 'n') > atMost)
    throw new VouchsafeError('input.too-large', `image ${image}: ${atMost} signatures are recorded already`)
}

function* addReferenceSet({ tenant, now }: LockedLog, { set }: Of<'reference.add'>): Steps<void> {
  const newest = yield* one(
    'select version from reference_sets where tenant = ? and name = ? order by version desc limit 1',
    tenant,
    set.name,
  )
  const next = newest === null ? 1 : integer(newest, 'version') + 1
  if (set.version !== next)
    throw new VouchsafeError(
      'store.conflict',
      `reference set ${set.name}: version ${set.version}, the next one is ${next}`,
    )
  yield* insert(`reference set ${set.name} version ${set.version}`, 'reference_sets', {
    tenant,
    name: set.name,
    version: set.version,
    digest: set.digest,
    bytes: set.bytes,
    expires_at: set.expiresAt.getTime(),
    added_at: now.getTime(),
  })
}

function* addDistrust(log: LockedLog, { rule }: Of<'distrust.add'>): Steps<readonly string[]> {
  const { id, mark, request } = rule
  yield* insert(`distrust rule ${id}`, 'distrust_rules', {
    tenant: log.tenant,
    id,
    mark,
    request,
    added_at: log.now.getTime(),
  })
  return yield* endLeases(log, { kind: 'mark', mark }, 'appraisal.distrusted')
}

function* keepCheckpoint({ tenant, now }: LockedLog, { checkpoint: c }: Of<'checkpoint.keep'>): Steps<void> {
  yield* change(
    `insert into foreign_checkpoints (tenant, origin, size, checkpoint, seen_at) values (?, ?, ?, ?, ?)
     on conflict (tenant, origin) do update
     set size = excluded.size, checkpoint = excluded.checkpoint, seen_at = excluded.seen_at
     where foreign_checkpoints.size < excluded.size`,
    tenant,
    c.origin,
    c.size,
    c.checkpoint,
    now.getTime(),
  )
}

function* addKey(tenant: string, { key: k }: Of<'key.add'>): Steps<void> {
  if (!(yield* insertKey(tenant, k)))
    throw new VouchsafeError('store.conflict', `${k.kind} key ${k.generation} is there already`)
}

/** @returns False when that kind and generation is there already. */
export function* insertKey(tenant: string, k: Of<'key.add'>['key']): Steps<boolean> {
  const inserted = yield* change(
    `insert into tenant_keys (tenant, kind, generation, id, wrapped, public_key, not_before, not_after)
     values (?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing`,
    tenant,
    k.kind,
    k.generation,
    k.id,
    k.wrapped,
    k.publicKey,
    k.notBefore.getTime(),
    k.notAfter?.getTime() ?? null,
  )
  return inserted === 1
}
