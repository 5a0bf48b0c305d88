import { watchWal } from '../stores/databases.ts'
import { FLAT } from '../stores/history.ts'
import { type Spread, inTurn, spread, timed } from '../stores/measure.ts'
import { type Tally, show } from '../stores/tally.ts'
import type { Clinic } from './clinic.ts'
import { type Send, attestation, enrolment, release } from './operations.ts'

const ROUNDS = 15
/** So many to tell statements and bytes by: inclusion proofs differ from entry to entry. */
const COUNTED = 128

/** What one operation costs on one store, each. */
export interface Cost {
  readonly statements: number
  /** In parameters of statements, and in the rows that came back. */
  readonly sent: number
  readonly received: number
  /** By the database, to its log. */
  readonly written: number
  /** Taken from the kernel by the broker: with SQLite the pages that its cache had not, with PostgreSQL the rows. */
  readonly read: number
  /** Processor time of the broker, in microseconds. */
  readonly cpu: number
}

export interface Growth {
  readonly operation: string
  readonly store: string
  readonly size: string
  /** Over the smallest store, per round. */
  readonly ratio: Spread
  readonly cost: Cost
}

/** How often in a round: the TPM makes enrolments and attestations slow to prepare. */
const OPERATIONS: readonly (readonly [string, number, (clinic: Clinic) => Promise<Send>])[] = [
  ['enrol', 10, enrolmentEnd],
  ['attest', 20, attestation],
  ['release', 40, release],
]

/** The request of an enrolment that changes the store; the first one only reads. */
async function enrolmentEnd(clinic: Clinic): Promise<Send> {
  const { begin, activate } = await enrolment(clinic)
  await begin()
  return await activate()
}

/** Brokers alike in all but what they hold, smallest first, in turn. */
export async function measureGrowth(clinics: readonly Clinic[]): Promise<readonly Growth[]> {
  const grown: Growth[] = []
  for (const [operation, times, make] of OPERATIONS) {
    const things = clinics.map((clinic) => async () => timed(await make(clinic)))
    for (let n = 0; n < 2 * times; n++) for (const thing of things) await thing() // warm
    const { ratios } = await inTurn(ROUNDS, times, things)
    for (const [i, clinic] of clinics.entries())
      grown.push({
        operation,
        store: clinic.place.kind,
        size: clinic.size.name,
        ratio: spread(ratios[i] ?? []),
        cost: await count(clinic, make),
      })
  }
  return grown
}

async function count(clinic: Clinic, make: (clinic: Clinic) => Promise<Send>): Promise<Cost> {
  const { place } = clinic
  const sends: Send[] = []
  while (sends.length < COUNTED) sends.push(await make(clinic))
  const wal = place.kind === 'PostgreSQL' ? await watchWal(place.server, place.database) : null
  const before = await clinic.usage()
  for (const send of sends) await send()
  const after = await clinic.usage()
  const each = (name: keyof Cost): number => (after[name] - before[name]) / COUNTED
  return {
    statements: each('statements'),
    sent: Math.round(each('sent')),
    received: Math.round(each('received')),
    written: Math.round(wal === null ? each('written') : (await wal()) / COUNTED),
    read: Math.round(each('read')),
    cpu: Math.round(each('cpu')),
  }
}

/** Holds every larger store against the smallest. */
export function judgeGrowth(tally: Tally, grown: readonly Growth[]): void {
  for (const { operation, store, size, ratio, cost } of grown) {
    const small = grown.find((g) => g.operation === operation && g.store === store)
    if (small === undefined || small.size === size) continue
    const what = `${store}, ${size}: ${operation}`
    tally.judge(
      `${what} takes ${show(ratio)} times as long as with the smallest, at most ${FLAT}`,
      ratio.median <= FLAT,
    )
    tally.judge(
      `${what} takes ${cost.statements} statements, with the smallest ${small.cost.statements}`,
      cost.statements === small.cost.statements,
    )
    for (const bytes of ['sent', 'received', 'written'] as const)
      tally.judge(
        `${what}: ${cost[bytes]} bytes ${bytes}, with the smallest ${small.cost[bytes]}`,
        cost[bytes] <= small.cost[bytes] * FLAT,
      )
  }
}
