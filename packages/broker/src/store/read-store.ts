import { PROFILES, VouchsafeError } from '@vouchsafe/core'
import type { KeyKind, StoreIdentity, Tenant, WrappedKey } from './rows.ts'
import { type Row, type Steps, all, bytes, change, instant, integer, one, optional, text } from './steps.ts'

export function* readIdentity(): Steps<StoreIdentity | null> {
  const row = yield* one('select profile, broker, root_check from store_identity')
  if (row === null) return null
  const profile = PROFILES.find((p) => p === text(row, 'profile'))
  if (profile === undefined) throw new VouchsafeError('internal', `the store’s profile is ${text(row, 'profile')}`)
  return { profile, broker: text(row, 'broker'), rootCheck: bytes(row, 'root_check') }
}

export function* writeIdentity({ profile, broker, rootCheck }: StoreIdentity): Steps<void> {
  const inserted = yield* change(
    'insert into store_identity (only_row, profile, broker, root_check) values (1, ?, ?, ?) on conflict do nothing',
    profile,
    broker,
    rootCheck,
  )
  if (inserted === 0)
    throw new VouchsafeError('store.conflict', 'the store is initialised already; its identity never changes')
}

export function* readRestoreEpoch(): Steps<number> {
  const row = yield* one('select epoch from restore_epoch')
  if (row === null) throw new VouchsafeError('internal', 'the store has no restore epoch')
  return integer(row, 'epoch')
}

export function* readTenants(): Steps<readonly Tenant[]> {
  return (yield* all('select * from tenants order by tenant')).map(toTenant)
}

export function* readTenant(id: string): Steps<Tenant | null> {
  const row = yield* one('select * from tenants where tenant = ?', id)
  return row === null ? null : toTenant(row)
}

function toTenant(row: Row): Tenant {
  return {
    id: text(row, 'tenant'),
    name: text(row, 'name'),
    origin: text(row, 'origin'),
    createdAt: instant(row, 'created_at'),
  }
}

export function* readKeys(tenant: string): Steps<readonly WrappedKey[]> {
  return (yield* all('select * from tenant_keys where tenant = ? order by kind, generation', tenant)).map(toKey)
}

export function* readKey(tenant: string, kind: KeyKind, generation?: number): Steps<WrappedKey | null> {
  const row =
    generation === undefined
      ? yield* one(
          'select * from tenant_keys where tenant = ? and kind = ? order by generation desc limit 1',
          tenant,
          kind,
        )
      : yield* one(
          'select * from tenant_keys where tenant = ? and kind = ? and generation = ?',
          tenant,
          kind,
          generation,
        )
  return row === null ? null : toKey(row)
}

function toKey(row: Row): WrappedKey {
  return {
    id: text(row, 'id'),
    kind: text(row, 'kind') as KeyKind,
    generation: integer(row, 'generation'),
    wrapped: bytes(row, 'wrapped'),
    publicKey: optional(row, 'public_key', bytes),
    notBefore: instant(row, 'not_before'),
    notAfter: optional(row, 'not_after', instant),
  }
}

export function* readSetting(tenant: string, name: string): Steps<Uint8Array | null> {
  const row = yield* one('select value from settings where tenant = ? and name = ?', tenant, name)
  return row === null ? null : bytes(row, 'value')
}
