import { cpSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import path from 'node:path'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { BrokerRefusal, GuestClient } from '@vouchsafe/client'
import { releaseRequest } from '../../attack/raw-guest.ts'
import { readyUrl, resourceOf } from '../world.ts'
import type { Drill } from './drill.ts'
import { launchedGuest } from './launched-guest.ts'

const CLOCK_BACK = fileURLToPath(new URL('../clock-back.ts', import.meta.url))

/** The operator of A's machine sets its clock back, to make what expired valid again. A copy of the store is served so. */
export const clockBack: Drill = {
  id: 'clock-back',
  title: 'The broker’s clock is set back a day',
  mustRefuseWith: 'clock.backwards',
  run: async ({ world, a, agreement, ...context }) => {
    const { guest, machine } = await launchedGuest({ world, a, agreement, ...context })
    await a.broker.stop() // its file is copied whole, and one process at a time has it open
    const copy = world.file('clinic-a-copy')
    cpSync(path.dirname(a.config), copy, { recursive: true })
    const config = path.join(copy, 'broker.json')
    writeFileSync(config, readFileSync(a.config, 'utf8').replaceAll(path.dirname(a.config), copy))
    try {
      const shifted = await world.serve('clinic-a-clock-back', config, ['--import', CLOCK_BACK])
      const client = new GuestClient({ ...a.pin, url: await readyUrl(shifted) }, { timeoutMs: 10_000 })
      const { body } = await guest.attestBody(client, machine, agreement)
      const refused = await refusalOf(() => client.attest(body))
      client.close()
      await shifted.stop()
      const logged = logLine(world.file('clinic-a-clock-back.log'), 'clock.backwards')
      return {
        code: refused ?? 'none',
        check: 'the broker’s clock against the newest entry of its own ledger',
        expected: 'a time not below the newest ledger entry',
        actual: logged ?? 'it answered as if nothing had happened',
        advice: 'Set the clock right; nothing is decided below the ledger’s own time.',
      }
    } finally {
      rmSync(copy, { recursive: true, force: true })
      world.connect(a, await readyUrl((a.broker = await world.serve(a.id, a.config))))
    }
  },
}

/** Somebody who can write A's database swaps the ciphertexts of two resources: both are genuine, and both A's own. */
export const swappedKeys: Drill = {
  id: 'swapped-keys',
  title: 'Two wrapped keys are swapped in the database',
  mustRefuseWith: 'custody.wrong-key',
  run: async (context) => {
    const { world, a, agreement } = context
    const { guest, machine } = await launchedGuest(context)
    await a.owner.putResource('patients-a/other-key', new Uint8Array(32).fill(7), 0)
    await a.broker.stop()
    const file = (JSON.parse(readFileSync(a.config, 'utf8')) as { store: { file: string } }).store.file
    swapCiphertexts(file, resourceOf(a), 'patients-a/other-key')
    world.connect(a, await readyUrl((a.broker = await world.serve(a.id, a.config))))
    const client = new GuestClient(a.pin, { timeoutMs: 10_000 })
    const refused = await refusalOf(async () => {
      const attested = await guest.attest(client, machine, agreement)
      await (await releaseRequest(client, attested, [resourceOf(a)])).send()
    })
    client.close()
    await a.broker.stop()
    swapCiphertexts(file, resourceOf(a), 'patients-a/other-key')
    world.connect(a, await readyUrl((a.broker = await world.serve(a.id, a.config))))
    return {
      code: refused ?? 'none',
      check: 'the place that the ciphertext was encrypted for',
      expected: `the ciphertext of ${a.id}, ${resourceOf(a)}, its version`,
      actual: logLine(world.file(`${a.id}.log`), 'custody.wrong-key') ?? 'it was released',
      advice:
        'Restore the database from a backup, find who can write to it, and check the ledger against kept checkpoints.',
    }
  },
}

function swapCiphertexts(file: string, one: string, other: string): void {
  const db = new DatabaseSync(file)
  try {
    const read = db.prepare('select nonce, ciphertext from resources where path = ? and version = 1')
    const write = db.prepare('update resources set nonce = ?, ciphertext = ? where path = ? and version = 1')
    const [a, b] = [read.get(one), read.get(other)] as unknown as [Row, Row]
    write.run(b.nonce, b.ciphertext, one)
    write.run(a.nonce, a.ciphertext, other)
  } finally {
    db.close()
  }
}

interface Row {
  readonly nonce: Uint8Array
  readonly ciphertext: Uint8Array
}

async function refusalOf(act: () => Promise<unknown>): Promise<string | null> {
  try {
    await act()
    return null
  } catch (error) {
    if (error instanceof BrokerRefusal) return error.code
    throw error
  }
}

/** What the broker told its operator about a refusal of that code: the guest was told the code alone. */
function logLine(file: string, code: string): string | null {
  for (const line of readFileSync(file, 'utf8').trimEnd().split('\n').toReversed()) {
    const entry = JSON.parse(line) as { code?: string; detail?: string }
    if (entry.code === code && entry.detail !== undefined) return entry.detail
  }
  return null
}
