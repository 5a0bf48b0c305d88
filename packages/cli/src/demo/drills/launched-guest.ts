import { GuestClient } from '@vouchsafe/client'
import type { RawGuest } from '../../attack/raw-guest.ts'
import { WORKLOAD_ARGS } from '../workload-image.ts'
import type { DrillContext } from './drill.ts'

let launched: Promise<{ readonly guest: RawGuest; readonly machine: string }> | undefined

/**
 * A second honest guest, enrolled at both clinics and launched as agreed: what attackers capture from. It is the demo's
 * own raw guest rather than the agent, because an agent gives nothing away that could be captured. One serves all drills.
 */
export function launchedGuest(context: DrillContext): Promise<{ readonly guest: RawGuest; readonly machine: string }> {
  launched ??= launch(context)
  return launched
}

async function launch({ world, a, b, agreement, manufacturer }: DrillContext) {
  const guest = await world.startGuest({ manufacturer })
  let machine = ''
  for (const clinic of [a, b]) {
    const client = new GuestClient(clinic.pin, { timeoutMs: 10_000 })
    machine = await guest.enrol(client, (await clinic.owner.issueTicket('second-guest', 600)).ticket)
    client.close()
  }
  await guest.launch({
    agreement: agreement.digest,
    image: agreement.body.workload.image,
    imageReference: agreement.body.workload.image,
    args: WORKLOAD_ARGS,
    env: {},
    debug: false,
    network: 'none',
    output: 'closed',
    restart: 'never',
    isolation: 'runc',
    capabilities: [],
    mounts: [],
  })
  return { guest, machine }
}
