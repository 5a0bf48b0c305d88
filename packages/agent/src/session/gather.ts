import { setTimeout as sleep } from 'node:timers/promises'
import { BrokerRefusal } from '@vouchsafe/client'
import { type Agreement, type Secret, VouchsafeError } from '@vouchsafe/core'
import { AgentError } from '../errors.ts'
import type { Emit } from '../events.ts'
import type { BrokerSession } from './broker-session.ts'
import { LeaseKeeper } from './lease-keeper.ts'
import { type BackOff, isUnanswered, pauses } from './retry.ts'
import type { SessionKey } from './session-keys.ts'

const PAUSES: BackOff = { firstMs: 500, longestMs: 10_000 }

/** What one owner released, while its lease is kept. */
export interface OwnersRelease {
  readonly session: BrokerSession
  readonly decision: string
  /** By resource path of that owner. */
  readonly secrets: ReadonlyMap<string, Secret>
  readonly keeper: LeaseKeeper
  /** The key of the attestation that the release rests on: it signs the result. */
  readonly proofKey: SessionKey
}

export interface GatherOptions {
  readonly agreement: Agreement
  readonly sessions: readonly BrokerSession[]
  readonly machine: string
  /** How long to wait for owners to approve. */
  readonly waitMs: number
  readonly emit: Emit
  readonly signal: AbortSignal
}

/** Everything the agreement grants, by owner. What one owner's broker releases, another's need not (decision 1). */
export function resourcesOf(agreement: Agreement, owner: string): readonly string[] {
  return [...new Set(agreement.body.grants.filter((g) => g.owner === owner).flatMap((g) => g.resources))]
}

/**
 * Attests to every owner's broker and collects everything that the agreement grants. There is no atomic release across
 * brokers, so nothing is given to anybody before all of it is there (decision 2); leases that are won early are renewed
 * meanwhile. A refusal other than waiting ends it at once.
 *
 * @throws {BrokerRefusal} the first refusal
 * @throws {AgentError} `wait.expired`
 */
export async function gatherReleases(options: GatherOptions): Promise<readonly OwnersRelease[]> {
  const deadline = performance.now() + options.waitMs
  const releases = new Map<BrokerSession, OwnersRelease>()
  const lost = Promise.withResolvers<never>()
  lost.promise.catch(() => undefined) // it is raced below; until then nobody listens
  try {
    for (const pause of pauses(PAUSES)) {
      for (const session of options.sessions) {
        if (releases.has(session)) continue
        options.signal.throwIfAborted()
        const release = await ask(session, options)
        if (release === null) continue
        releases.set(session, release)
        void release.keeper.ended.then(lost.reject)
      }
      if (releases.size === options.sessions.length) return options.sessions.flatMap((s) => releases.get(s) ?? [])
      if (performance.now() + pause > deadline)
        throw new AgentError('wait.expired', `after ${options.waitMs / 1000} s not every owner had released`)
      await Promise.race([sleep(pause, undefined, { signal: options.signal }), lost.promise])
    }
    throw new VouchsafeError('internal', 'pauses do not end')
  } catch (error) {
    discard([...releases.values()])
    throw error
  }
}

/** Wipes what was released and stops keeping its leases. */
export function discard(releases: readonly OwnersRelease[]): void {
  for (const { keeper, secrets } of releases) {
    keeper.stop()
    for (const secret of secrets.values()) secret.wipe()
  }
}

/** One attempt at one broker; null when it is worth another. */
async function ask(session: BrokerSession, { agreement, machine, emit }: GatherOptions): Promise<OwnersRelease | null> {
  const owner = session.owner.id
  const resources = resourcesOf(agreement, owner)
  try {
    const attested = await refusalAs('attest.refused', owner, emit, () => session.attest())
    emit({ event: 'attest.accepted', owner, decision: attested.decision, machine })
    const askedAt = performance.now()
    const { decision, lease, secrets } = await refusalAs('release.denied', owner, emit, () =>
      session.release(attested, resources),
    )
    emit({ event: 'release.granted', owner, decision, resources: secrets.size })
    const keeper = new LeaseKeeper({ session, lease, askedAt, leaseSeconds: agreement.body.leaseSeconds, emit })
    return { session, decision, secrets, keeper, proofKey: attested.keys.proof }
  } catch (error) {
    if (error instanceof BrokerRefusal && error.code === 'agreement.waiting') return null
    if (!isUnanswered(error)) throw error
    emit({ event: 'broker.unreachable', owner, code: error.code })
    return null
  }
}

async function refusalAs<T>(
  event: 'attest.refused' | 'release.denied',
  owner: string,
  emit: Emit,
  ask: () => Promise<T>,
): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof BrokerRefusal && !isUnanswered(error)) {
      const { code, decision } = error
      emit({ event: code === 'agreement.waiting' ? 'release.waiting' : event, owner, code, decision })
    }
    throw error
  }
}
