import { BrokerRefusal } from '@vouchsafe/client'
import { VouchsafeError } from '@vouchsafe/core'
import { TpmError } from '@vouchsafe/tpm'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { AgentEvent } from '../events.ts'
import type { BrokerSession } from './broker-session.ts'
import { LeaseKeeper } from './lease-keeper.ts'

const START = Date.parse('2026-06-01T00:00:00Z')
beforeEach(() => void vi.useFakeTimers({ now: START }))
afterEach(() => void vi.useRealTimers())

type Renewal = () => Promise<{ decision: string; lease: { id: string; expires: Date } }>

const granted =
  (seconds: number): Renewal =>
  async () => ({ decision: 'd', lease: { id: 'l', expires: new Date(Date.now() + seconds * 1000) } })
const refused: Renewal = () =>
  Promise.reject(new BrokerRefusal('agreement.withdrawn', 'no', { status: 403, requestId: 'r', decision: 'd-9' }))
const unanswered: Renewal = () => Promise.reject(new VouchsafeError('peer.unreachable', 'no answer'))
const hanging: Renewal = () => new Promise(() => undefined)

function keep(
  renewals: readonly Renewal[],
  lease: { readonly seconds: number; readonly agreed: number; readonly askedSecondsAgo?: number } = {
    seconds: 60,
    agreed: 60,
  },
) {
  const events: AgentEvent[] = []
  const asked: number[] = []
  const renew: Renewal = () => {
    asked.push((Date.now() - START) / 1000)
    return (renewals[asked.length - 1] ?? renewals.at(-1) ?? refused)()
  }
  const session = { owner: { id: 'clinic-a' }, renew } as unknown as BrokerSession
  const keeper = new LeaseKeeper({
    session,
    lease: { id: 'l', expires: new Date(START + lease.seconds * 1000) },
    askedAt: performance.now() - (lease.askedSecondsAgo ?? 0) * 1000,
    leaseSeconds: lease.agreed,
    emit: (event) => void events.push(event),
  })
  let over: { why: string; at: number } | undefined
  void keeper.ended.then((why) => (over = { why: why.code, at: (Date.now() - START) / 1000 }))
  const pass = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000)
  return { keeper, events, asked, pass, over: () => over }
}

describe('a lease is', () => {
  test('renewed at half of its time, again and again', async () => {
    const kept = keep([granted(60)])
    await kept.pass(100)
    expect(kept.asked).toEqual([30, 60, 90])
    expect(kept.events.map((e) => e.event)).toEqual(['lease.renewed', 'lease.renewed', 'lease.renewed'])
    expect(kept.over()).toBeUndefined()
    kept.keeper.stop()
  })

  test('G16 over at once when its renewal is refused, with code and decision', async () => {
    const kept = keep([refused])
    await kept.pass(31)
    expect(kept.over()).toEqual({ why: 'agreement.withdrawn', at: 30 })
    expect(kept.events).toEqual([
      { event: 'lease.ended', owner: 'clinic-a', lease: 'l', code: 'agreement.withdrawn', decision: 'd-9' },
    ])
  })

  test('asked for again while the broker is silent, and over when its time is', async () => {
    const kept = keep([unanswered])
    await kept.pass(120)
    expect(kept.asked.length).toBeGreaterThan(20)
    expect(kept.over()).toEqual({ why: 'lease.ended', at: 60 })
  })

  test('asked for again when the TPM is silent, too', async () => {
    const kept = keep([() => Promise.reject(new TpmError('tpm.unavailable', 'busy')), granted(60)])
    await kept.pass(40)
    expect(kept.asked).toEqual([30, 31])
    expect(kept.over()).toBeUndefined()
    kept.keeper.stop()
  })

  test('saved by an answer that comes late', async () => {
    const kept = keep([unanswered, unanswered, granted(60)])
    await kept.pass(59)
    expect(kept.asked.slice(0, 3)).toEqual([30, 31, 32])
    expect(kept.over()).toBeUndefined()
    kept.keeper.stop()
  })

  test('over in time although a renewal hangs', async () => {
    const kept = keep([hanging])
    await kept.pass(61)
    expect(kept.over()).toEqual({ why: 'lease.ended', at: 60 })
  })

  test('over on an error that nobody foresaw: no answer is not a yes (K04)', async () => {
    const kept = keep([() => Promise.reject(new TypeError('bug'))])
    await kept.pass(31)
    expect(kept.over()).toEqual({ why: 'internal', at: 30 })
  })

  test('A19 never taken to be longer than agreed, whatever clock its end was read on', async () => {
    const kept = keep([unanswered], { seconds: 86_400, agreed: 60 })
    await kept.pass(61)
    expect(kept.over()).toEqual({ why: 'lease.ended', at: 60 })
  })

  test('counted from when it was asked for, however late the answer came', async () => {
    const kept = keep([unanswered], { seconds: 60, agreed: 60, askedSecondsAgo: 20 })
    await kept.pass(61)
    expect(kept.over()).toEqual({ why: 'lease.ended', at: 40 })
  })

  test('taken to be as short as the broker made it', async () => {
    const kept = keep([unanswered], { seconds: 10, agreed: 60 })
    await kept.pass(11)
    expect(kept.over()).toEqual({ why: 'lease.ended', at: 10 })
  })

  test('no longer renewed once nobody needs it', async () => {
    const kept = keep([granted(60)])
    kept.keeper.stop()
    await kept.pass(300)
    expect(kept.asked).toEqual([])
    expect(kept.events).toEqual([])
  })
})
