import type { Digest } from '@vouchsafe/core'
import { VouchsafeError } from '@vouchsafe/core'
import type { Enrolment, Principal, Resource, ResourceSummary, Role, Ticket } from './rows.ts'
import { type Row, type Steps, all, bytes, instant, integer, one, optional, text } from './steps.ts'

const ROLES: readonly Role[] = ['owner', 'operator', 'auditor']

export function* readPrincipals(tenant: string): Steps<readonly Principal[]> {
  return (yield* all('select * from principals where tenant = ? order by added_at, key', tenant)).map(toPrincipal)
}

export function* readPrincipal(tenant: string, key: string): Steps<Principal | null> {
  const row = yield* one('select * from principals where tenant = ? and key = ? and removed_at is null', tenant, key)
  return row === null ? null : toPrincipal(row)
}

function toPrincipal(row: Row): Principal {
  const role = ROLES.find((r) => r === text(row, 'role'))
  if (role === undefined) throw new VouchsafeError('internal', `unknown role ${text(row, 'role')}`)
  return {
    key: text(row, 'key'),
    party: text(row, 'party'),
    role,
    addedAt: instant(row, 'added_at'),
    removedAt: optional(row, 'removed_at', instant),
  }
}

export function* readTicket(tenant: string, id: Digest): Steps<Ticket | null> {
  const row = yield* one('select * from tickets where tenant = ? and id = ?', tenant, id)
  if (row === null) return null
  return {
    id: text(row, 'id') as Digest,
    madeBy: text(row, 'made_by'),
    expiresAt: instant(row, 'expires_at'),
    machine: optional(row, 'machine', text),
    usedBy: optional(row, 'used_by', text),
  }
}

export function* readEnrolment(tenant: string, id: string): Steps<Enrolment | null> {
  const row = yield* one('select * from enrolments where tenant = ? and id = ?', tenant, id)
  return row === null ? null : toEnrolment(row)
}

export function* readEnrolments(tenant: string): Steps<readonly Enrolment[]> {
  return (yield* all('select * from enrolments where tenant = ? order by enrolled_at, id', tenant)).map(toEnrolment)
}

function toEnrolment(row: Row): Enrolment {
  return {
    id: text(row, 'id'),
    class: text(row, 'class'),
    ekCertificateDigest: text(row, 'ek_certificate_digest') as Digest,
    akName: bytes(row, 'ak_name'),
    akPublic: bytes(row, 'ak_public'),
    resetCount: integer(row, 'reset_count'),
    restartCount: integer(row, 'restart_count'),
    record: bytes(row, 'record'),
    enrolledAt: instant(row, 'enrolled_at'),
    endedAt: optional(row, 'ended_at', instant),
  }
}

export function* readResource(tenant: string, path: string, version?: number): Steps<Resource | null> {
  const row = yield* one(
    `select r.* from resource_heads h
     join resources r on r.tenant = h.tenant and r.path = h.path and r.version = coalesce(?, h.version)
     where h.tenant = ? and h.path = ? and h.removed = 0`,
    version ?? null,
    tenant,
    path,
  )
  if (row === null) return null
  return {
    path: text(row, 'path'),
    version: integer(row, 'version'),
    owner: text(row, 'owner'),
    keyId: text(row, 'key_id'),
    nonce: bytes(row, 'nonce'),
    ciphertext: bytes(row, 'ciphertext'),
    metadata: bytes(row, 'metadata'),
    putAt: instant(row, 'put_at'),
  }
}

const SUMMARY = 'r.path, r.version, r.owner, r.metadata, r.put_at, h.removed'

export function* readResources(
  tenant: string,
  { after = '', limit }: { after?: string; limit: number },
): Steps<readonly ResourceSummary[]> {
  const rows = yield* all(
    `select ${SUMMARY} from resource_heads h
     join resources r on r.tenant = h.tenant and r.path = h.path and r.version = h.version
     where h.tenant = ? and h.path > ? order by h.path limit ?`,
    tenant,
    after,
    limit,
  )
  return rows.map(toResourceSummary)
}

export function* readResourceHistory(tenant: string, path: string): Steps<readonly ResourceSummary[]> {
  const rows = yield* all(
    `select ${SUMMARY} from resource_heads h join resources r on r.tenant = h.tenant and r.path = h.path
     where h.tenant = ? and h.path = ? order by r.version desc`,
    tenant,
    path,
  )
  return rows.map(toResourceSummary)
}

function toResourceSummary(row: Row): ResourceSummary {
  return {
    path: text(row, 'path'),
    version: integer(row, 'version'),
    owner: text(row, 'owner'),
    metadata: bytes(row, 'metadata'),
    removed: integer(row, 'removed') !== 0,
    putAt: instant(row, 'put_at'),
  }
}
