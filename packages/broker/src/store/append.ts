import { VouchsafeError, digestOf, logOrigin, utf8 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { applyChange } from './apply-change.ts'
import type { Change } from './changes.ts'
import { type HeadMemory, type LoggedEntry, appendEntry, emptyLog, lockLog } from './log.ts'
import { readIdentity } from './read-store.ts'
import { type Steps, change } from './steps.ts'
import type { Append, Epochs, LogSigner } from './store.ts'

/** Which counter a change raises: the one whose readers may now have to decide otherwise. */
const RAISES: Readonly<Record<Change['change'], keyof Epochs | null>> = {
  'principal.add': 'registry',
  'principal.remove': 'registry',
  'ticket.add': null,
  'ticket.use': null,
  'enrolment.add': null,
  'enrolment.end': 'registry',
  'resource.put': null, // decide compares versions of the resources it releases
  'resource.remove': null,
  'agreement.file': null,
  'agreement.adopt': 'consent',
  'statement.add': 'consent',
  'signature.add': null, // a record: no decision reads it
  'reference.add': 'reference',
  'distrust.add': 'distrust',
  'distrust.lift': 'distrust',
  'lease.end': null,
  'checkpoint.keep': null,
  'key.add': null,
  'setting.put': 'registry',
  'nonce.consume': null,
}

export interface AppendSteps {
  readonly logged: LoggedEntry
  readonly endedLeases: readonly string[]
}

/** Applies changes under the log's lock and records them: the same shape as the release transaction. */
export function* appendSteps(wanted: Append, time: () => Date, memory: HeadMemory): Steps<AppendSteps> {
  const log = yield* lockLog(wanted.tenant, time, wanted.signer, memory)
  const endedLeases: string[] = []
  const epochs: { -readonly [Name in keyof Epochs]: Epochs[Name] } = { ...log.epochs }
  for (const one of wanted.changes) {
    endedLeases.push(...(yield* applyChange(log, one)))
    const raised = RAISES[one.change]
    if (raised !== null) epochs[raised]++
  }
  return { logged: yield* appendEntry(log, wanted.entry, epochs, wanted.signer), endedLeases }
}

/** Adds a tenant and its genesis entry. */
export function* createTenantSteps(
  tenant: { readonly id: string; readonly name: string },
  signer: LogSigner,
  now: Date,
): Steps<AppendSteps> {
  const identity = yield* readIdentity()
  if (identity === null) throw new VouchsafeError('store.unknown', 'the store was never initialised')
  const { profile, broker } = identity
  const origin = logOrigin({ profile, broker, tenant: tenant.id })
  const inserted = yield* change(
    'insert into tenants (tenant, name, origin, created_at) values (?, ?, ?, ?) on conflict do nothing',
    tenant.id,
    tenant.name,
    origin,
    now.getTime(),
  )
  if (inserted === 0) throw new VouchsafeError('store.conflict', `tenant ${tenant.id} is there already`)
  const log = emptyLog(tenant.id, origin, now)
  const digest = digestOf(utf8(tenant.name), nodeCrypto)
  const content = { kind: 'genesis', subject: tenant.id, digest, facts: { profile, broker, origin } } as const
  return { logged: yield* appendEntry(log, content, log.epochs, signer), endedLeases: [] }
}
