import { createPrivateKey, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { VouchsafeError } from '@vouchsafe/core'
import { fileHeadGuard } from '../head-guard.ts'
import { openPostgresStore } from '../postgres.ts'
import { openSqliteStore } from '../sqlite.ts'
import type { Store } from '../store.ts'
import { Tenancy, testSigner } from './tenancy.ts'

/*
 * A process of its own against a store that others use too, or that is killed at any moment. Prints one line for each
 * answer, only after it was given: `won NONCE DECISION`, `lost NONCE CODE`, or `ack DECISION SEQ`.
 *
 *   racer.ts --guard DIR --key FILE race SEED COUNT sqlite FILE
 *   racer.ts --guard DIR --key FILE write - 0 postgres SOCKET_DIRECTORY DATABASE
 */
const { values, positionals } = parseArgs({
  options: { guard: { type: 'string' }, key: { type: 'string' } },
  allowPositionals: true,
})
const [task, seed = '', count = '0', kind, location = '', database = ''] = positionals

async function open(): Promise<Store> {
  const options = { guard: fileHeadGuard(values.guard ?? ''), clock: () => new Date(), adoptHeads: true }
  return kind === 'sqlite'
    ? await openSqliteStore({ file: location, ...options })
    : await openPostgresStore({ connection: { host: location, user: 'postgres', database }, ...options })
}

const store = await open()
const signer = testSigner('clinic', createPrivateKey(readFileSync(values.key ?? '')))
const tenancy = new Tenancy(store, 'clinic', signer)

/** Says that it is there, and waits until the others are: standard input ends. */
async function together(): Promise<void> {
  console.log('ready')
  for await (const _ of process.stdin) continue
}

/** Everybody who is given the same seed tries the same nonces in the same order. */
async function race(): Promise<void> {
  const { epochs } = await store.head('clinic')
  await together()
  const numbers = Array.from({ length: Number(count) }, (_, i) => i)
  const lane = async (): Promise<void> => {
    for (let n = numbers.shift(); n !== undefined; n = numbers.shift()) {
      const nonce = Buffer.from(`${seed}-${n}`.padEnd(32, '.'))
      try {
        const wanted = await tenancy.release({ nonce, epochs, id: randomBytes(12).toString('hex') })
        await store.decide(wanted)
        console.log(`won ${n} ${wanted.decision.id}`)
      } catch (error) {
        if (!(error instanceof VouchsafeError)) throw error
        console.log(`lost ${n} ${error.code}`)
      }
    }
  }
  await Promise.all([lane(), lane(), lane(), lane()])
}

/** Releases until it is killed. */
async function write(): Promise<never> {
  const { epochs } = await store.head('clinic')
  const lane = async (): Promise<never> => {
    for (;;) {
      const wanted = await tenancy.release({ epochs })
      const decided = await store.decide(wanted)
      if (decided.kind === 'recorded') process.stdout.write(`ack ${wanted.decision.id} ${decided.seq}\n`)
    }
  }
  return await Promise.race([lane(), lane(), lane()])
}

await (task === 'race' ? race() : write())
await store.close()
