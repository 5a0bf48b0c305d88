import { randomBytes } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { BrokerRefusal, GuestClient, OwnerClient } from '@vouchsafe/client'
import { VouchsafeError, signProof, toBase64Url, utf8 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { RawAttestation } from 'vouchsafe/attack/raw-guest'
import { readConfig } from '../config.ts'
import { type BrokerProcess, startBroker } from './broker-process.ts'
import { type Recorded, readRecorded } from './recorded.ts'
import { type TwoClinics, startTwoClinics, stopClinic } from './two-clinics.ts'

const LANES = 4
/** Well within the life of a token. */
const TOKEN_AGE_MS = 60_000
/** How many times as many nonces may be raced until each broker was first with one. */
const PATIENCE = 16

export interface RaceResult extends Recorded {
  /** Nonces that were raced: as many as were asked for, and more where one broker was first with all of those. */
  readonly races: number
  /** Decisions of the requests that were answered, by the broker that answered. */
  readonly won: readonly (readonly string[])[]
  /** Decisions of those that were refused because the nonce was used. */
  readonly refused: readonly string[]
  /** Whatever else came of a race, in words. */
  readonly otherwise: readonly string[]
  /** How often a connection broke before the answer, and the same bytes were sent again. */
  readonly resent: number
}

/**
 * Two requests with one nonce at the same time, again and again, until each broker was first. With one broker both go to it; with two, which are
 * replicas on one PostgreSQL, each gets one of them.
 */
export async function raceNonces(
  races: number,
  options: Pick<NonNullable<Parameters<typeof startTwoClinics>[0]>, 'postgresUrl'> & { readonly replicas: 1 | 2 },
): Promise<RaceResult> {
  const world: TwoClinics = await startTwoClinics(options)
  const brokers: BrokerProcess[] = []
  const clients: GuestClient[] = []
  try {
    await world.approve(world.a)
    await world.approve(world.b)
    await stopClinic(world.a)
    brokers.push(await startBroker(world.a.config))
    if (options.replicas === 2) brokers.push(await startBroker(replicaOf(world), '--adopt-heads'))
    clients.push(...brokers.map(({ url }) => new GuestClient({ ...world.a.pin, url }, { timeoutMs: 60_000 })))
    const [first = world.a.guest, second = first] = clients

    let resent = 0
    // a kept connection that the broker closes just when it is used again: a client asks once more
    const insistently = async <T>(ask: () => Promise<T>): Promise<T> => {
      try {
        return await ask()
      } catch (error) {
        if (!(error instanceof VouchsafeError && error.code === 'peer.unreachable')) throw error
        resent++
        return await ask()
      }
    }

    let token: { readonly at: number; readonly by: Promise<RawAttestation> } | undefined
    const attested = (): Promise<RawAttestation> => {
      if (token === undefined || Date.now() - token.at > TOKEN_AGE_MS)
        token = { at: Date.now(), by: insistently(() => world.guest.attest(first, world.machine, world.agreement)) }
      return token.by
    }
    const won = brokers.map(() => [] as string[])
    const refused: string[] = []
    const otherwise: string[] = []
    let begun = 0
    // a busy machine may let one broker be first for a while
    const goesOn = (): boolean =>
      begun < races || (begun < PATIENCE * races && won.some((byBroker) => byBroker.length === 0))
    const lane = async (): Promise<void> => {
      while (goesOn()) {
        const n = begun++
        const by = await attested()
        const nonce = await insistently(() => (n % 2 === 0 ? first : second).nonce('release', by.session))
        // each is asked first as often as the other, whichever of them issued the nonce
        const order = n % 4 < 2 ? [0, 1] : [1, 0]
        const ready = await Promise.all(order.map((i) => requestWith(i === 0 ? first : second, by, nonce)))
        const answers = await Promise.allSettled(ready.map(insistently))
        for (const [place, answer] of answers.entries()) {
          if (answer.status === 'fulfilled') won[(order[place] ?? 0) % brokers.length]?.push(answer.value.decision)
          else if (answer.reason instanceof BrokerRefusal && answer.reason.code === 'token.replayed')
            refused.push(answer.reason.decision ?? `race ${n} was refused without a decision`)
          else otherwise.push(`race ${n}: ${String(answer.reason)}`)
        }
      }
    }
    await Promise.all(Array.from({ length: LANES }, lane))

    const owner = new OwnerClient({ ...world.a.pin, url: brokers[0]?.url ?? '' }, world.a.key, { timeoutMs: 60_000 })
    const lines = (await owner.exportLedger()).trimEnd().split('\n')
    owner.close()
    for (const broker of brokers) await broker.end('SIGTERM')
    return {
      ...(await readRecorded(lines, world.a.pin, world.a.config)),
      races: begun,
      won,
      refused,
      otherwise,
      resent,
    }
  } finally {
    for (const client of clients) client.close()
    for (const broker of brokers) await broker.end('SIGKILL')
    world.b.owner.close()
    world.b.guest.close()
    await world.b.broker.stop()
    await world.guest.stop()
    rmSync(world.directory, { recursive: true, force: true })
  }
}

/** The same broker's second process: custody and identity are shared, the kept heads are its own. */
export function replicaOf(world: TwoClinics): string {
  const file = path.join(world.directory, 'replica.json')
  const headGuard = path.join(world.directory, 'replica-heads')
  writeFileSync(file, JSON.stringify({ ...readConfig(world.a.config), headGuard }))
  return file
}

/** A request of its own, with a proof over a nonce that others have too. */
async function requestWith(client: GuestClient, by: RawAttestation, nonce: string) {
  const body = utf8(JSON.stringify({ resources: ['patients/key'], requestId: toBase64Url(randomBytes(16)) }))
  const subject = { method: 'POST', path: client.releasePath, body, token: by.token, nonce }
  const proof = await signProof(subject, by.proofKey.jwk, by.proofKey.privateKey as never, nodeCrypto)
  return () => client.release(body, by.token, proof)
}
