import type { AuditEntry, InstanceFacts } from '../evidence/instance/instance-facts.ts'
import { must } from './check.ts'
import type { Finding } from './finding.ts'

/** The platform's own API version in front of a method's name: every version does the same to the instance. */
const VERSION = /^(?:v[0-9]+|beta|alpha|v[0-9]+(?:beta|alpha)[0-9]*)\./
const MAKES_INSTANCE = /^compute\.instances\.(?:insert|bulkInsert)$/

/** Methods that read, or start and stop what is there. Everything else counts as a change, also what is not known here. */
const HARMLESS = new Set([
  'compute.instances.get',
  'compute.instances.list',
  'compute.instances.aggregatedList',
  'compute.instances.getShieldedInstanceIdentity',
  'compute.instances.getShieldedVmIdentity',
  'compute.instances.getIamPolicy',
  'compute.instances.getEffectiveFirewalls',
  'compute.instances.getGuestAttributes',
  'compute.instances.getSerialPortOutput',
  'compute.instances.listReferrers',
  'compute.instances.testIamPermissions',
  'compute.instances.start',
  'compute.instances.stop',
  'compute.instances.reset',
  'compute.instances.automaticRestart',
  'compute.instances.migrateOnHostMaintenance',
  'compute.instances.hostError',
  'compute.instances.guestTerminate',
])

/** A method's name without its API version. */
export function plainMethod(method: string): string {
  return method.replace(VERSION, '')
}

/** Entries that change the instance, or what it inherits, after it was made. */
export function changesAfterCreation(facts: Pick<InstanceFacts, 'audit'>): readonly AuditEntry[] {
  return facts.audit.entries.filter((e) => {
    const method = plainMethod(e.method)
    return !MAKES_INSTANCE.test(method) && !HARMLESS.has(method)
  })
}

/** Nothing was changed since the instance was made: a whole trail, from the record of its making on. */
export function appraiseAuditTrail(facts: Pick<InstanceFacts, 'audit' | 'created'>): readonly Finding[] {
  const { entries, complete } = facts.audit
  const made = entries.some((e) => MAKES_INSTANCE.test(plainMethod(e.method)))
  const changes = changesAfterCreation(facts)
  const newest = changes.toSorted((a, b) => (a.at < b.at ? 1 : -1))[0]
  return [
    must(
      'appraisal.audit-trail',
      'configuration',
      made && complete,
      `a whole audit trail since the instance was made on ${facts.created}`,
      !made
        ? 'no record of its making'
        : complete
          ? `a whole trail of ${entries.length} entries`
          : `a trail of ${entries.length} entries that was cut`,
    ),
    must(
      'appraisal.audit-trail',
      'configuration',
      changes.length === 0,
      'no change since the instance was made',
      newest === undefined
        ? 'no change'
        : `${changes.length} ${changes.length === 1 ? 'change' : 'changes'}, the newest ${newest.method} by ${newest.principal || 'somebody unnamed'} on ${newest.at}`,
    ),
  ]
}
