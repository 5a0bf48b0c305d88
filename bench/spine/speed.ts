import { TEMPLATES, Tpm } from '@vouchsafe/tpm'
import { type Spread, burst, inTurn, percentile, spread, timed } from '../stores/measure.ts'
import { show } from '../stores/tally.ts'
import type { Clinic } from './clinic.ts'
import { type Send, attestation, enrolment, release } from './operations.ts'

const ROUNDS = 12
const TIMES = 20
const BURSTS = 5
const LANES = 8
const OPERATIONS = ['enrol', 'attest', 'release'] as const

/** How one broker does one operation. Times in microseconds, without the guest's and its TPM's. */
export interface Speed {
  readonly operation: (typeof OPERATIONS)[number]
  /** One at a time. */
  readonly alone: { readonly p50: number; readonly p99: number; readonly perSecond: number }
  /** Over the limit, over an empty request, over one quote of the software TPM; measured in turn. */
  readonly ratios: { readonly limit: Spread; readonly emptyRequest: Spread; readonly quote: Spread }
  /** Many at once. */
  readonly loaded: {
    readonly lanes: number
    readonly perSecond: Spread
    readonly p50: number
    readonly p99: number
    /** The broker's processor time for each. */
    readonly cpu: number
    /** Of the time that the burst lasted, how much the broker kept one processor busy. */
    readonly busy: number
  }
}

export interface Speeds {
  readonly store: string
  readonly limit: Spread
  readonly emptyRequest: Spread
  /** What the software TPM takes: one quote, and all that it does for one enrolment between the two requests. */
  readonly tpm: { readonly quote: Spread; readonly activation: Spread }
  readonly operations: readonly Speed[]
}

/** Measures one broker: each operation alone, in turn with the limit, then many at once. */
export async function measureSpeed(clinic: Clinic, limit: () => void): Promise<Speeds> {
  const activations: number[] = []
  const enrol = async (): Promise<number> => {
    const { begin, activate } = await enrolment(clinic)
    const first = await timed(begin)
    let second: Send | undefined
    activations.push(await timed(async () => (second = await activate())))
    return first + (await timed(() => second?.()))
  }
  const prepared = (operation: (of: Clinic) => Promise<Send>) => async () => timed(await operation(clinic))
  const things = [
    async () => timed(limit),
    () => timed(() => clinic.client.tenant()),
    () => quote(clinic),
    enrol,
    prepared(attestation),
    prepared(release),
  ]
  for (let n = 0; n < 60; n++) for (const thing of things) await thing() // warm
  activations.length = 0
  const turns = await inTurn(ROUNDS, TIMES, things)
  const of = (i: number): readonly number[] => turns.times[i] ?? []
  const medians = (i: number): readonly number[] => turns.ratios[i] ?? []
  const over = (i: number, j: number): Spread =>
    spread(medians(i).map((ratio, round) => ratio / (medians(j)[round] ?? Number.NaN)))
  const operations: Speed[] = []
  for (const [at, operation] of OPERATIONS.entries()) {
    const i = at + 3
    const p50 = percentile(of(i), 0.5)
    operations.push({
      operation,
      alone: { p50, p99: percentile(of(i), 0.99), perSecond: 1e6 / p50 },
      ratios: { limit: over(i, 0), emptyRequest: over(i, 1), quote: over(i, 2) },
      loaded: await underLoad(clinic, operation),
    })
  }
  return {
    store: clinic.name,
    limit: spread(of(0)),
    emptyRequest: spread(of(1)),
    tpm: { quote: spread(of(2)), activation: spread(activations) },
    operations,
  }
}

/** One quote by a key that is there, over all registers of a bank. */
async function quote({ guest }: Clinic): Promise<number> {
  await using tpm = await Tpm.open(guest.machine.tpm)
  await using key = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
  return await timed(() => tpm.quote({ key, bank: 'sha256', extraData: new Uint8Array(32) }))
}

async function underLoad(clinic: Clinic, operation: Speed['operation']): Promise<Speed['loaded']> {
  const size = operation === 'enrol' ? 40 : 160
  const rates: number[] = []
  const times: number[] = []
  let cpu = 0
  let seconds = 0
  for (let n = 0; n < BURSTS; n++) {
    // the guest and its TPM work here, and rest while the broker works
    const steps =
      operation === 'enrol' ? enrolmentSteps(clinic, size) : [() => many(size, () => ready(clinic, operation))]
    let took = 0
    const each = Array.from({ length: size }, () => 0)
    for (const step of steps) {
      const sends = await step()
      const before = await clinic.usage()
      const done = await burst(sends, LANES)
      cpu += (await clinic.usage()).cpu - before.cpu
      took += done.seconds
      done.times.forEach((time, i) => (each[i] = (each[i] ?? 0) + time))
    }
    seconds += took
    rates.push(size / took)
    times.push(...each)
  }
  const all = BURSTS * size
  return {
    lanes: LANES,
    perSecond: spread(rates),
    p50: percentile(times, 0.5),
    p99: percentile(times, 0.99),
    cpu: cpu / all,
    busy: cpu / 1e6 / seconds,
  }
}

const ready = (clinic: Clinic, operation: 'attest' | 'release'): Promise<Send> =>
  operation === 'attest' ? attestation(clinic) : release(clinic)

/** All first requests; then, when the TPM has activated every credential, all second ones. */
function enrolmentSteps(clinic: Clinic, size: number): readonly (() => Promise<Send[]>)[] {
  let machines: Awaited<ReturnType<typeof enrolment>>[] = []
  return [
    async () => {
      machines = await many(size, () => enrolment(clinic))
      return machines.map(({ begin }) => begin)
    },
    async () => {
      const sends: Send[] = []
      for (const { activate } of machines) sends.push(await activate())
      return sends
    },
  ]
}

/** One after another: there is one TPM. */
async function many<T>(count: number, make: () => Promise<T>): Promise<T[]> {
  const made: T[] = []
  for (let n = 0; n < count; n++) made.push(await make())
  return made
}

export function printSpeed({ store, limit, emptyRequest, tpm, operations }: Speeds): void {
  const ms = (microseconds: number): string => `${(microseconds / 1000).toFixed(1)} ms`
  console.log(`\n${store}`)
  console.log(
    `  the limit, one P-256 check and one flushed SQLite commit: ${ms(limit.median)}; an empty request over TLS: ${ms(emptyRequest.median)}`,
  )
  console.log(
    `  the software TPM, not in what follows: ${ms(tpm.quote.median)} for a quote, ${ms(tpm.activation.median)} for keys, activation and quote of an enrolment`,
  )
  for (const { operation, alone, ratios, loaded } of operations) {
    console.log(
      `  ${operation}: ${show(ratios.limit, 1)} times the limit, ${show(ratios.emptyRequest, 1)} times an empty request, ${show(ratios.quote, 1)} times a quote`,
    )
    console.log(`    one at a time: p50 ${ms(alone.p50)}, p99 ${ms(alone.p99)}, ${alone.perSecond.toFixed(0)} a second`)
    console.log(
      `    ${loaded.lanes} at once: ${show(loaded.perSecond, 0)} a second, p50 ${ms(loaded.p50)}, p99 ${ms(loaded.p99)}; ${ms(loaded.cpu)} of processor each, ${(loaded.busy * 100).toFixed(0)} % of one processor`,
    )
  }
}
