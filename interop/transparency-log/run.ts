import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { formatLogKey, fromUtf8, toBase64 } from '@vouchsafe/core'
import { fileHeadGuard } from '../../packages/broker/src/store/head-guard.ts'
import { openSqliteStore } from '../../packages/broker/src/store/sqlite.ts'
import { Tenancy } from '../../packages/broker/src/store/testing/tenancy.ts'

/*
 * Peer: Go's checksum-database note package and the Merkle library of the Certificate Transparency project, pinned in
 * verifier/go.sum. They verify our vectors and a log that a store has just written, and must refuse both when altered.
 */
const here = fileURLToPath(new URL('.', import.meta.url))
const vector = path.join(here, '../../vectors/ledger/log.json')
const directory = mkdtempSync(path.join(tmpdir(), 'vouchsafe-interop-'))
let passed = 0
let failed = 0

function check(what: string, file: string, wanted: boolean): void {
  const { status, stdout, stderr } = spawnSync(path.join(directory, 'verifier'), [file], { encoding: 'utf8' })
  const good = (status === 0) === wanted
  console.log(`${good ? 'ok' : 'FAILED'}  ${what}: ${(stdout + stderr).trim()}`)
  if (good) passed++
  else failed++
}

function altered(file: string, name: string, change: (log: any) => void): string {
  const log: unknown = JSON.parse(readFileSync(file, 'utf8'))
  change(log)
  const out = path.join(directory, `${name}.json`)
  writeFileSync(out, JSON.stringify(log))
  return out
}

/** A log of 400 entries as a store has it, with proofs between many of its states. */
async function fromStore(): Promise<string> {
  const store = await openSqliteStore({
    file: path.join(directory, 'store.db'),
    guard: fileHeadGuard(path.join(directory, 'heads')),
    clock: () => new Date(),
  })
  const t = await new Tenancy(store, 'clinic').begin()
  while ((await t.apply()).seq < 399) continue
  const entries = await store.entries('clinic', 0, 1000)
  const proofs = { inclusion: [] as unknown[], consistency: [] as unknown[] }
  for (let n = 1; n <= 400; n += 7) {
    const inclusion = await store.inclusionProof('clinic', n - 1, 400)
    proofs.inclusion.push({ index: n - 1, size: 400, proof: inclusion.map(toBase64) })
    const consistency = await store.consistencyProof('clinic', n, 400)
    proofs.consistency.push({ earlier: n, later: 400, proof: consistency.map(toBase64) })
  }
  await store.close()
  const out = path.join(directory, 'store.json')
  const log = {
    logKey: formatLogKey(t.signer.key),
    entries: entries.map((e) => fromUtf8(e.entry)),
    checkpoints: entries.map((e) => e.checkpoint),
    proofs,
  }
  writeFileSync(out, JSON.stringify(log))
  return out
}

try {
  const build = spawnSync('go', ['build', '-o', path.join(directory, 'verifier'), '.'], {
    cwd: path.join(here, 'verifier'),
    encoding: 'utf8',
  })
  if (build.status !== 0) throw new Error(`go build: ${build.error?.message ?? build.stderr}`)
  check('our vectors', vector, true)
  const stored = await fromStore()
  check('a log from a store', stored, true)
  for (const [name, file] of [
    ['vectors', vector],
    ['store', stored],
  ] as const) {
    check(
      `${name}, an entry edited`,
      altered(file, 'entry', (l) => (l.entries[3] += ' ')),
      false,
    )
    check(
      `${name}, a proof edited`,
      altered(file, 'proof', (l) => (l.proofs.inclusion[9].proof[0] = toBase64(new Uint8Array(32)))),
      false,
    )
    check(
      `${name}, a checkpoint edited`,
      altered(file, 'checkpoint', (l) => (l.checkpoints[5] = l.checkpoints[5].replace('\n6\n', '\n7\n'))),
      false,
    )
  }
} finally {
  rmSync(directory, { recursive: true, force: true })
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
