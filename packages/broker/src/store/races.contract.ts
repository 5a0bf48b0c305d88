import { spawn } from 'node:child_process'
import { generateKeyPairSync, randomBytes, randomInt } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseEntry } from '@vouchsafe/core'
import { Site, type StoreKind } from './testing/harness.ts'
import { refusal } from './testing/refusal.ts'
import { Tenancy, testSigner } from './testing/tenancy.ts'

const RACER = fileURLToPath(new URL('./testing/racer.ts', import.meta.url))

/** How often each is done: a little in every run, a lot in the long one. */
export interface Rounds {
  readonly races: number
  readonly kills: number
  /** False where one process has the store for itself. */
  readonly replicas: boolean
}

/**
 * Decision 15's proof, with nothing but consume, re-check, append and sign: one winner for each nonce, no gap, every
 * acknowledged id there, every checkpoint good, whoever races and whenever the process is killed.
 */
export function describeRaces(kind: StoreKind, { races, kills, replicas }: Rounds): void {
  // a busy machine is no reason to give up
  const patience = 30_000 + 500 * races + 20_000 * kills

  describe(`races on ${kind.name}`, () => {
    let site: Site
    let keyFile: string
    let t: Tenancy
    beforeEach(async () => {
      site = new Site(await kind.database())
      const { privateKey } = generateKeyPairSync('ed25519')
      keyFile = path.join(site.directory, 'log-key.pem')
      writeFileSync(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
      t = await new Tenancy(await site.open(), 'clinic', testSigner('clinic', privateKey)).begin()
    })
    afterEach(() => site.remove())

    /** Starts a racer with a place of its own for kept heads. */
    function racer(name: string, ...task: readonly string[]) {
      const args = [
        RACER,
        '--guard',
        path.join(site.directory, name),
        '--key',
        keyFile,
        ...task,
        ...site.database.racerArguments,
      ]
      const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] })
      let out = ''
      let err = ''
      child.stdout.on('data', (data: Buffer) => (out += data.toString()))
      child.stderr.on('data', (data: Buffer) => (err += data.toString()))
      const ended = new Promise<void>((done) => child.on('close', () => done()))
      const lines = (): string[][] =>
        out
          .split('\n')
          .slice(0, -1)
          .map((line) => line.split(' '))
      return { child, ended, lines, errors: () => err }
    }

    test(
      `A17 gate 6: of two that use one nonce at once exactly one is answered, with one entry, ${races} times in one process`,
      async () => {
        const { epochs, size } = await t.store.head('clinic')
        const round = async (): Promise<void> => {
          const nonce = randomBytes(32)
          const two = [await t.release({ nonce, epochs }), await t.release({ nonce, epochs })]
          const both = await Promise.allSettled(two.map((wanted) => t.store.decide(wanted)))
          const refused = both.filter((b) => b.status === 'rejected')
          expect(refused).toHaveLength(1)
          expect(refused[0]!.reason).toEqual(refusal('evidence.stale', 'used before'))
        }
        let begun = 0
        const lane = async (): Promise<void> => {
          while (begun++ < races) await round()
        }
        await Promise.all([lane(), lane(), lane(), lane()])
        const { checkpoint } = await t.store.head('clinic')
        expect(await t.check(checkpoint)).toMatchObject({ ok: true, entries: size + races })
      },
      patience,
    )

    test.runIf(replicas)(
      `A17 J08 gate 6: of two processes that use one nonce exactly one is answered, with one entry, ${races} times`,
      async () => {
        const winners = new Set<string>()
        // a machine that is busy may let one of them lag behind through a whole round: then nothing was raced
        for (let round = 0; winners.size < 2; round++) {
          expect(round, 'rounds that one process won alone').toBeLessThan(5)
          for (const name of await raceForNonces()) winners.add(name)
        }
      },
      patience,
    )

    /** @returns Which of two processes won at least one of the nonces that both use. */
    async function raceForNonces(): Promise<readonly string[]> {
      const { size } = await t.store.head('clinic')
      const seed = randomBytes(4).toString('hex')
      const names = ['a', 'b'] as const
      const both = names.map((name) => racer(name, 'race', seed, `${races}`))
      await Promise.all(both.map(firstLine))
      for (const r of both) r.child.stdin.end()
      await Promise.all(both.map((r) => r.ended))
      expect(both.map((r) => [r.child.exitCode, r.errors()])).toEqual([
        [0, ''],
        [0, ''],
      ])
      const answers = both.flatMap((r) => r.lines().slice(1))
      const won = answers.filter(([what]) => what === 'won')
      const codes = answers.filter(([what]) => what === 'lost').map(([, , code]) => code)
      expect(new Set(codes)).toEqual(new Set(['evidence.stale']))
      expect(new Set(won.map(([, nonce]) => nonce)).size).toBe(races)
      expect(won).toHaveLength(races)
      await expectRecorded(won.map(([, , id]) => id ?? ''))
      expect(await t.store.head('clinic')).toMatchObject({ size: size + races })
      return names.filter((_, at) => both[at]?.lines().some(([what]) => what === 'won'))
    }

    test.runIf(replicas)('J08 what one process withdraws, no other releases', async () => {
      const other = new Tenancy(await site.open({ adoptHeads: true }), 'clinic', t.signer)
      for (let n = 0; n < 20; n++) {
        const wanted = await t.release()
        await other.apply({ change: 'distrust.add', rule: { id: `d${n}`, mark: 'none', request: new Uint8Array() } })
        await expect(t.store.decide(wanted)).rejects.toEqual(refusal('store.changed', 'distrust'))
      }
      // and when both come at once, the release either came first or not at all
      for (let n = 0; n < 50; n++) {
        const wanted = await t.release()
        const withdrawn = other.apply({
          change: 'distrust.add',
          rule: { id: `e${n}`, mark: 'none', request: new Uint8Array() },
        })
        const released = t.store.decide(wanted).then(
          (d) => (d.kind === 'recorded' ? d.seq : -1),
          () => Infinity,
        )
        const [{ seq }, at] = await Promise.all([withdrawn, released])
        expect(at === Infinity || at < seq).toBe(true)
      }
      expect(await t.check()).toMatchObject({ ok: true })
    })

    test(
      `J09 I05 nothing acknowledged is lost and nothing unrecorded was released, over ${kills} kill -9`,
      async () => {
        const acknowledged: string[] = []
        for (let n = 0; n < kills; n++) {
          if (!replicas) await site.close()
          const one = racer('a', 'write', '-', '0')
          await firstLine(one)
          await new Promise((done) => setTimeout(done, randomInt(60)))
          one.child.kill('SIGKILL')
          await one.ended
          acknowledged.push(...one.lines().map(([, id]) => id ?? ''))
          // the next one takes over where this one was cut off; and so does this process
          if (!replicas) t = new Tenancy(await site.open({ adoptHeads: true }), 'clinic', t.signer)
          await t.store.decide(await t.release())
        }
        expect(acknowledged.length).toBeGreaterThanOrEqual(kills)
        await expectRecorded(acknowledged)
      },
      patience,
    )

    async function firstLine(one: ReturnType<typeof racer>): Promise<void> {
      while (one.lines().length === 0) {
        const { exitCode, signalCode } = one.child
        if (exitCode !== null || signalCode !== null)
          throw new Error(`the racer ended with ${exitCode ?? signalCode} and says: ${one.errors()}`)
        await new Promise((done) => setTimeout(done, 5))
      }
    }

    /** Each of these decisions is in the ledger, once; the ledger checks; and there is no decision beside it. */
    async function expectRecorded(ids: readonly string[]): Promise<void> {
      const lines = await t.export()
      const { checkpoint, size } = await t.store.head('clinic')
      expect(await t.check(checkpoint)).toMatchObject({ ok: true, entries: size })
      const recorded = lines
        .map((line) => parseEntry(new TextEncoder().encode((JSON.parse(line) as { entry: string }).entry)))
        .filter((entry) => entry.kind === 'decision')
      const inLedger = new Map(recorded.map((entry) => [entry.subject, entry.digest]))
      expect(inLedger.size).toBe(recorded.length)
      expect(ids.filter((id) => !inLedger.has(id))).toEqual([])
      const stored = await t.store.decisions('clinic', { limit: 1_000_000 })
      expect(new Map(stored.map((d) => [d.id, d.digest]))).toEqual(inLedger)
    }
  })
}
