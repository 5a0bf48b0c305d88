import { GuestClient } from '@vouchsafe/client'
import { BrokerRefusal } from '@vouchsafe/client'
import { releaseRequest } from '../../attack/raw-guest.ts'
import { resourceOf } from '../world.ts'
import { type Drill, cardOf } from './drill.ts'
import { launchedGuest } from './launched-guest.ts'

/** A's owner learns that a machine is broken: its running lease ends at once, and everything it ever got is listed. */
export const distrustedPlatform: Drill = {
  id: 'distrusted-platform',
  title: 'The platform is distrusted while its lease runs',
  mustRefuseWith: 'appraisal.distrusted',
  run: async (context) => {
    const { a, agreement } = context
    const { guest, machine } = await launchedGuest(context)
    const client = new GuestClient(a.pin, { timeoutMs: 10_000 })
    try {
      const attested = await guest.attest(client, machine, agreement)
      const released = await (await releaseRequest(client, attested, [resourceOf(a)])).send()
      const rule = {
        id: 'broken-machine',
        subject: { kind: 'machine' as const, machine },
        reason: 'its firmware key leaked',
      }
      const { affected } = await a.owner.distrust(rule, { dryRun: false })
      const { leases } = await a.owner.listLeases()
      const listed = affected.find((r) => r.decision === released.decision)
      const stillRuns = leases.some((l) => l.id === released.lease.id)
      const refusal = await guest.attest(client, machine, agreement).then(
        () => null,
        (error: unknown) => (error instanceof BrokerRefusal ? error : null),
      )
      const card = await cardOf(a, refusal?.decision ?? null)
      if (listed === undefined || !listed.running || stillRuns)
        return {
          ...card,
          code: 'none',
          actual: `listed ${listed !== undefined}, the lease ${stillRuns ? 'still runs' : 'ended'}`,
        }
      return {
        ...card,
        actual: `${card.actual}; its running lease ended, and ${affected.length} past release${affected.length === 1 ? '' : 's'} of ${[...new Set(affected.flatMap((r) => r.resources))].join(', ')} are listed`,
      }
    } finally {
      client.close()
    }
  },
}
