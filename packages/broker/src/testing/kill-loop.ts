import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { GuestClient, OwnerClient } from '@vouchsafe/client'
import {
  type LedgerCheck,
  checkLedger,
  parseEntry,
  parseExportedEntry,
  parseLogKey,
  toBase64Url,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { releaseRequest } from 'vouchsafe/attack/raw-guest'
import { type TwoClinics, startTwoClinics, stopClinic } from './two-clinics.ts'

const BROKER = fileURLToPath(new URL('../../bin/broker.ts', import.meta.url))

export interface KillLoopResult {
  /** Decisions that a guest got an answer for. */
  readonly acknowledged: readonly string[]
  /** Subjects of all decision entries in the ledger. */
  readonly recorded: ReadonlySet<string>
  readonly check: LedgerCheck
  readonly kills: number
}

/** A broker as a process of its own, so that it can be killed. */
async function startProcess(config: string): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [BROKER, 'serve', config], { stdio: ['ignore', 'pipe', 'ignore'] })
  const lines = createInterface({ input: child.stdout ?? process.stdin })
  for await (const line of lines) return { child, url: (JSON.parse(line) as { url: string }).url }
  throw new Error('the broker ended before it was ready')
}

/**
 * Asks for releases one after another, and kills the broker with SIGKILL at random moments while it works; each time it
 * is started again on the same files.
 */
export async function killLoop(releases: number, kills: number): Promise<KillLoopResult> {
  const world: TwoClinics = await startTwoClinics()
  try {
    await world.approve(world.a)
    await world.approve(world.b)
    await stopClinic(world.a)
    let running = await startProcess(world.a.config)
    const acknowledged: string[] = []
    const due = new Set(Array.from({ length: kills }, () => randomInt(releases)))
    let killed = 0
    let client = new GuestClient({ ...world.a.pin, url: running.url }, { timeoutMs: 10_000 })
    let by = await world.guest.attest(client, world.machine, world.agreement)
    for (let i = 0; i < releases; i++) {
      const id = toBase64Url(randomBytes(16))
      const killing = due.has(i)
      if (killing) setTimeout(() => running.child.kill('SIGKILL'), randomInt(40))
      try {
        acknowledged.push((await (await releaseRequest(client, by, ['patients/key'], id)).send()).decision)
      } catch (error) {
        if (!killing) throw error // only the kill may cost an answer
      }
      if (!killing) continue
      if (running.child.exitCode === null && running.child.signalCode === null)
        await new Promise((done) => running.child.once('exit', done))
      killed++
      client.close()
      running = await startProcess(world.a.config)
      client = new GuestClient({ ...world.a.pin, url: running.url }, { timeoutMs: 10_000 })
      by = await world.guest.attest(client, world.machine, world.agreement)
    }
    const owner = new OwnerClient({ ...world.a.pin, url: running.url }, world.a.key, { timeoutMs: 20_000 })
    const lines = (await owner.exportLedger()).trimEnd().split('\n')
    owner.close()
    client.close()
    running.child.kill('SIGTERM')
    await new Promise((done) => running.child.once('exit', done))
    const check = await checkLedger(lines, { logKey: parseLogKey(world.a.pin.log, nodeCrypto), crypto: nodeCrypto })
    const entries = lines.map((line) => parseEntry(parseExportedEntry(line).entry))
    return {
      acknowledged,
      recorded: new Set(entries.filter((e) => e.kind === 'decision').map((e) => e.subject)),
      check,
      kills: killed,
    }
  } finally {
    world.b.owner.close()
    world.b.guest.close()
    await world.b.broker.stop()
    await world.guest.stop()
  }
}
