import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { fileHeadGuard } from './head-guard.ts'
import { describeRaces } from './races.contract.ts'
import { describeRestarts } from './restart.contract.ts'
import { openSqliteStore } from './sqlite.ts'
import { describeStore } from './store.contract.ts'
import { refusal } from './testing/refusal.ts'
import { SqliteFiles } from './testing/sqlite-kind.ts'
import { Tenancy, testSigner } from './testing/tenancy.ts'

const sqlite = new SqliteFiles()
afterAll(() => sqlite.remove())

describeStore(sqlite)
describeRestarts(sqlite)
describeRaces(sqlite, { races: 300, kills: 3, replicas: false })

describe('a SQLite file', () => {
  let directory: string
  let file: string
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'vouchsafe-file-'))
    file = path.join(directory, 'store.db')
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  const options = () => ({ file, guard: fileHeadGuard(path.join(directory, 'heads')), clock: () => new Date() })
  /** Runs a script in a process of its own, with this file as its argument. */
  function run(script: string, shell = 'exec "$@"') {
    const imports = ['sqlite.ts', 'head-guard.ts', 'testing/tenancy.ts']
      .map((name, i) => `import * as m${i} from ${JSON.stringify(new URL(name, import.meta.url).href)}`)
      .join('\n')
    const source = `${imports}\nconst { openSqliteStore, fileHeadGuard, Tenancy } = { ...m0, ...m1, ...m2 }\n${script}`
    const program = path.join(directory, 'program.ts')
    writeFileSync(program, source)
    return spawnSync('bash', ['-c', shell, 'bash', process.execPath, program, file, path.join(directory, 'heads')], {
      encoding: 'utf8',
      cwd: fileURLToPath(new URL('.', import.meta.url)),
    })
  }
  const OPEN = `const store = await openSqliteStore({ file: process.argv[2], guard: fileHeadGuard(process.argv[3]), clock: () => new Date() })\n`

  test('is for one process: a second one, and a second connection, are told that it is locked', async () => {
    const store = await openSqliteStore(options())
    await expect(openSqliteStore(options())).rejects.toEqual(refusal('store.locked', file))
    const second = run(`try { ${OPEN} } catch (error) { console.log(error.code) }`)
    expect(second).toMatchObject({ stdout: 'store.locked\n', stderr: '' })
    await new Tenancy(store, 'clinic').begin()
    await store.close()
    const third = run(`${OPEN} console.log((await store.tenants()).length); await store.close()`)
    expect([third.stdout, third.stderr]).toEqual(['1\n', ''])
  })

  test('can be read by its owner only', async () => {
    const store = await openSqliteStore(options())
    await new Tenancy(store, 'clinic').begin()
    for (const suffix of ['', '-wal']) expect(statSync(file + suffix).mode & 0o777).toBe(0o600)
    expect(statSync(path.join(directory, 'heads', 'clinic.head')).mode & 0o777).toBe(0o600)
    await store.close()
  })

  test('that is no database is refused and left as it is', async () => {
    writeFileSync(file, 'something else entirely, and longer than a header of a database file would be: '.repeat(9))
    const before = readFileSync(file)
    await expect(openSqliteStore(options())).rejects.toEqual(refusal('store.unavailable', file))
    expect(readFileSync(file)).toEqual(before)
  })

  test('I01 I04 on a full disk nothing is answered, and what was acknowledged stays', () => {
    // files of this process may grow to 2 MiB and no further
    const script = `${OPEN}
      const t = await new Tenancy(store, 'clinic').begin()
      const acknowledged = []
      let refused
      while (refused === undefined && acknowledged.length < 10_000) {
        const wanted = await t.release()
        await store.decide(wanted).then(() => acknowledged.push(wanted.decision.id), (error) => { refused = error.code })
      }
      await store.close().catch(() => undefined)
      console.log(JSON.stringify({ acknowledged, refused }))`
    const { stdout, stderr } = run(script, 'trap "" XFSZ; ulimit -f 2048; exec "$@"')
    expect(stderr).toBe('')
    const { acknowledged, refused } = JSON.parse(stdout) as { acknowledged: string[]; refused: string }
    expect(refused).toBe('store.unavailable')
    expect(acknowledged.length).toBeGreaterThan(10)
    const after = run(`${OPEN}
      const decisions = await store.decisions('clinic', { limit: 100_000 })
      console.log(JSON.stringify(decisions.map((d) => d.id)))
      await store.close()`)
    const kept = new Set(JSON.parse(after.stdout) as string[])
    expect(acknowledged.filter((id) => !kept.has(id))).toEqual([])
  })

  test.each(['store.db', 'store.db-wal', 'heads/clinic.head'])(
    'I03 that somebody removes while it is open, %s, acknowledges nothing more',
    async (name) => {
      const store = await openSqliteStore(options())
      const t = await new Tenancy(store, 'clinic').begin()
      rmSync(path.join(directory, name))
      await expect(t.apply()).rejects.toEqual(refusal('store.unavailable', path.basename(name)))
      writeFileSync(path.join(directory, name), 'another file')
      await expect(t.apply()).rejects.toEqual(refusal('store.unavailable', path.basename(name)))
      await store.close()
    },
  )

  test('I01 while heads cannot be kept outside of it nothing is answered or written', async () => {
    const guard = path.join(directory, 'heads')
    const store = await openSqliteStore(options())
    writeFileSync(guard, 'a file where the directory should be')
    const t = new Tenancy(store, 'clinic', testSigner('clinic'))
    await expect(t.begin()).rejects.toEqual(refusal('store.unavailable', 'cannot be kept'))
    await expect(t.apply()).rejects.toEqual(refusal('store.unavailable', 'cannot be kept'))
    expect((await store.head('clinic')).size).toBe(1)
    rmSync(guard)
    expect(await t.apply()).toMatchObject({ seq: 1 })
    await store.close()
  })
})
