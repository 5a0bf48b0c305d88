import { randomBytes, randomInt } from 'node:crypto'
import { rmSync } from 'node:fs'
import { GuestClient, OwnerClient } from '@vouchsafe/client'
import { toBase64Url } from '@vouchsafe/core'
import { releaseRequest } from 'vouchsafe/attack/raw-guest'
import { startBroker } from './broker-process.ts'
import { type Recorded, readRecorded } from './recorded.ts'
import { type TwoClinics, startTwoClinics, stopClinic } from './two-clinics.ts'

export interface KillLoopResult extends Recorded {
  /** The decision that each request was answered with in the end: one for each. */
  readonly acknowledged: readonly string[]
  readonly kills: number
  /** Requests that got no answer the first time. */
  readonly lost: number
}

/**
 * Asks for releases one after another, and kills the broker with SIGKILL at random moments while it works; each time it
 * is started again on the same store, and a request that got no answer is sent again.
 */
export async function killLoop(
  releases: number,
  kills: number,
  options: Pick<NonNullable<Parameters<typeof startTwoClinics>[0]>, 'postgresUrl'> = {},
): Promise<KillLoopResult> {
  const world: TwoClinics = await startTwoClinics(options)
  try {
    await world.approve(world.a)
    await world.approve(world.b)
    await stopClinic(world.a)
    const clientOf = (url: string): GuestClient => new GuestClient({ ...world.a.pin, url }, { timeoutMs: 30_000 })
    let running = await startBroker(world.a.config)
    let client = clientOf(running.url)
    let by = await world.guest.attest(client, world.machine, world.agreement)
    const acknowledged: string[] = []
    const due = new Set<number>()
    while (due.size < Math.min(kills, releases)) due.add(randomInt(releases))
    let lost = 0
    for (let i = 0; i < releases; i++) {
      const id = toBase64Url(randomBytes(16))
      const ask = async (): Promise<number> =>
        acknowledged.push((await (await releaseRequest(client, by, ['patients/key'], id)).send()).decision)
      if (!due.has(i)) {
        await ask()
        continue
      }
      setTimeout(() => running.child.kill('SIGKILL'), randomInt(40))
      const answered = await ask().then(
        () => true,
        () => false, // only the kill may cost an answer: the second asking tells
      )
      await running.ended()
      client.close()
      running = await startBroker(world.a.config)
      client = clientOf(running.url)
      if (!answered) {
        lost++
        await ask()
      }
      by = await world.guest.attest(client, world.machine, world.agreement)
    }
    client.close()
    const owner = new OwnerClient({ ...world.a.pin, url: running.url }, world.a.key, { timeoutMs: 20_000 })
    const lines = (await owner.exportLedger()).trimEnd().split('\n')
    owner.close()
    await running.end('SIGTERM')
    return { ...(await readRecorded(lines, world.a.pin, world.a.config)), acknowledged, kills: due.size, lost }
  } finally {
    world.b.owner.close()
    world.b.guest.close()
    await world.b.broker.stop()
    await world.guest.stop()
    rmSync(world.directory, { recursive: true, force: true })
  }
}
