import { BrokerRefusal } from '@vouchsafe/client'
import { VouchsafeError } from '@vouchsafe/core'
import type { Emit } from '../events.ts'
import type { BrokerSession, Lease } from './broker-session.ts'
import { isUnanswered } from './retry.ts'

/** The part of a lease after which it is renewed; the rest is for asking again. */
const RENEW_AT = 0.5
const RETRY_MS = 1_000

export interface LeaseKeeperOptions {
  readonly session: Pick<BrokerSession, 'owner' | 'renew'>
  readonly lease: Lease
  /** Reading of `performance.now()` when the release was asked for: the broker cannot have granted it earlier. */
  readonly askedAt: number
  /** From the agreement. A lease is never believed to be longer than this, whatever the guest's clock says (A19). */
  readonly leaseSeconds: number
  readonly emit: Emit
}

/**
 * Keeps one lease alive by fresh evidence, and says when it is over: refused, or expired without an answer. It cannot
 * take a key back; whoever holds keeps runs the workload, and must end it (decision 12).
 */
export class LeaseKeeper {
  /** Resolves with the reason when the lease is over; never when `stop` came first. */
  readonly ended: Promise<VouchsafeError>
  readonly #options: LeaseKeeperOptions
  readonly #end: (why: VouchsafeError) => void
  #timer: NodeJS.Timeout | undefined
  #stopped = false
  #endsAt: number

  constructor(options: LeaseKeeperOptions) {
    this.#options = options
    const { promise, resolve } = Promise.withResolvers<VouchsafeError>()
    this.ended = promise
    this.#end = resolve
    this.#endsAt = endOf(options.lease, options.leaseSeconds, options.askedAt)
    this.#schedule((this.#endsAt - performance.now()) * RENEW_AT)
  }

  /** No more renewals. The lease runs out at the broker by itself. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  #schedule(afterMs: number): void {
    if (this.#stopped) return
    this.#timer = setTimeout(() => void this.#renew(), Math.max(0, afterMs))
  }

  async #renew(): Promise<void> {
    const { session, lease, emit } = this.#options
    const asked = performance.now()
    if (asked >= this.#endsAt)
      return this.#over(new VouchsafeError('lease.ended', 'it expired before it could be renewed'))
    const watchdog = setTimeout(
      () => this.#over(new VouchsafeError('lease.ended', 'it expired while it was being renewed')),
      this.#endsAt - asked,
    )
    try {
      const renewed = await session.renew(lease.id)
      if (this.#stopped) return
      this.#endsAt = endOf(renewed.lease, this.#options.leaseSeconds, asked)
      emit({
        event: 'lease.renewed',
        owner: session.owner.id,
        lease: lease.id,
        decision: renewed.decision,
        expires: renewed.lease.expires.toISOString(),
      })
      this.#schedule((this.#endsAt - performance.now()) * RENEW_AT)
    } catch (error) {
      if (isUnanswered(error)) this.#schedule(Math.min(RETRY_MS, this.#endsAt - performance.now()))
      else
        this.#over(
          error instanceof VouchsafeError ? error : new VouchsafeError('internal', 'renewal failed', { cause: error }),
        )
    } finally {
      clearTimeout(watchdog)
    }
  }

  #over(why: VouchsafeError): void {
    if (this.#stopped) return
    this.stop()
    this.#options.emit({
      event: 'lease.ended',
      owner: this.#options.session.owner.id,
      lease: this.#options.lease.id,
      code: why.code,
      decision: why instanceof BrokerRefusal ? why.decision : null,
    })
    this.#end(why)
  }
}

/** On the monotonic clock: the agreed length, or less where the broker gave less. */
function endOf(lease: Lease, leaseSeconds: number, from: number): number {
  const granted = lease.expires.getTime() - Date.now()
  return from + Math.min(leaseSeconds * 1000, granted)
}
