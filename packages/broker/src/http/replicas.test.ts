import { randomBytes } from 'node:crypto'
import { GuestClient } from '@vouchsafe/client'
import { fromUtf8, parseExportedEntry, signProof, toBase64Url, utf8 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { releaseRequest } from 'vouchsafe/attack/raw-guest'
import { readConfig } from '../config.ts'
import { type RunningBroker, serveBroker } from '../serve.ts'
import { PostgresServer, missingPostgres } from '../store/testing/postgres-server.ts'
import { replicaOf } from '../testing/nonce-races.ts'
import { type TwoClinics, postgresUrls, startTwoClinics } from '../testing/two-clinics.ts'

/** Two brokers on one PostgreSQL are one service: clinic A's broker runs twice, behind two addresses. */
describe.skipIf(missingPostgres())('KB-18 two replicas on one PostgreSQL', () => {
  let server: PostgresServer
  let world: TwoClinics
  let replica: RunningBroker
  let second: GuestClient

  beforeAll(async () => {
    server = PostgresServer.start()
    world = await startTwoClinics({ postgresUrl: await postgresUrls(server) })
    await world.approve(world.a)
    await world.approve(world.b)
    replica = await serveBroker(readConfig(replicaOf(world)), { log: () => {}, adoptHeads: true })
    second = new GuestClient({ ...world.a.pin, url: replica.url }, { timeoutMs: 20_000 })
  })

  afterAll(async () => {
    second?.close()
    await replica?.stop()
    await world?.stop()
    server?.stop()
  })

  const releases = async () => {
    const lines = (await world.a.owner.exportLedger()).trimEnd().split('\n')
    return lines.filter((line) => fromUtf8(parseExportedEntry(line).entry).includes('"outcome":"release"')).length
  }

  test('J08 a nonce of one replica, a token of one replica, are good at the other', async () => {
    const { body } = await world.guest.attestBody(world.a.guest, world.machine, world.agreement)
    const { token } = await second.attest(body)
    expect(token).toBeTypeOf('string')
    await expect(world.a.guest.attest(body)).rejects.toThrow(expect.objectContaining({ code: 'evidence.stale' }))
  })

  test('A17 J08 one nonce raced at both replicas at once releases exactly once, with one ledger entry', async () => {
    const by = await world.guest.attest(world.a.guest, world.machine, world.agreement)
    for (let round = 0; round < 10; round++) {
      const before = await releases()
      const nonce = await world.a.guest.nonce('release', by.session)
      const racers = await Promise.all(
        Array.from({ length: 10 }, async (_, i) => {
          const client = i % 2 === 0 ? world.a.guest : second
          const body = utf8(JSON.stringify({ resources: ['patients/key'], requestId: toBase64Url(randomBytes(16)) }))
          const subject = { method: 'POST', path: client.releasePath, body, token: by.token, nonce }
          const proof = await signProof(subject, by.proofKey.jwk, by.proofKey.privateKey as never, nodeCrypto)
          return () => client.release(body, by.token, proof)
        }),
      )
      const answers = await Promise.allSettled(racers.map((send) => send()))
      expect(answers.filter((a) => a.status === 'fulfilled')).toHaveLength(1)
      expect(await releases()).toBe(before + 1)
    }
  })

  test('J09 a request whose answer was lost at one replica is answered the same by the other', async () => {
    const by = await world.guest.attest(world.a.guest, world.machine, world.agreement)
    const id = toBase64Url(randomBytes(16))
    const first = await (await releaseRequest(world.a.guest, by, ['patients/key'], id)).send()
    const again = await (await releaseRequest(second, by, ['patients/key'], id)).send()
    expect(again.decision).toBe(first.decision)
  })
})
