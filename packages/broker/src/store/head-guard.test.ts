import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { fileHeadGuard } from './head-guard.ts'
import { refusal } from './testing/refusal.ts'

const head = (size: number) => ({ size, root: new Uint8Array(32).fill(size) })

describe('heads kept in files', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'vouchsafe-heads-'))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))
  const file = (): string => path.join(directory, 'clinic.head')
  /** What another process would find. */
  const found = () => fileHeadGuard(directory).kept('clinic')

  test('are there for the next process, by tenant', async () => {
    const guard = fileHeadGuard(directory)
    expect(await guard.kept('clinic')).toBeNull()
    await guard.keep('clinic', head(3))
    await guard.keep('bank', head(9))
    expect(await found()).toEqual(head(3))
    await guard.close()
    const next = fileHeadGuard(directory)
    await next.kept('clinic')
    await next.keep('clinic', head(4))
    expect(await found()).toEqual(head(4))
    await next.close()
  })

  test('never go back, but for a restore that was accepted', async () => {
    const guard = fileHeadGuard(directory)
    await guard.keep('clinic', head(5))
    await guard.keep('clinic', head(4))
    expect(await found()).toEqual(head(5))
    await guard.replace('clinic', head(2))
    expect(await found()).toEqual(head(2))
    await guard.close()
  })

  test('that come together are kept by the time each is answered', async () => {
    const guard = fileHeadGuard(directory)
    const kept = Array.from({ length: 50 }, async (_, i) => {
      await guard.keep('clinic', head(i + 1))
      expect((await found())?.size).toBeGreaterThanOrEqual(i + 1)
    })
    await Promise.all(kept)
    await guard.close()
  })

  test('survive a write that was cut off at any byte: the head before is still there', async () => {
    const guard = fileHeadGuard(directory)
    await guard.keep('clinic', head(1))
    await guard.keep('clinic', head(2))
    const before = readFileSync(file())
    await guard.keep('clinic', head(3))
    const after = readFileSync(file())
    await guard.close()
    for (let cut = 0; cut <= after.length; cut += 7) {
      writeFileSync(file(), Buffer.concat([after.subarray(0, cut), before.subarray(cut)]))
      const kept = await found()
      expect([head(2), head(3)], `cut at ${cut}`).toContainEqual(kept)
    }
  })

  test('G14 that are damaged in both places, or another tenant’s, seal the store', async () => {
    const guard = fileHeadGuard(directory)
    await guard.keep('clinic', head(1))
    await guard.keep('bank', head(1))
    await guard.close()
    writeFileSync(file(), readFileSync(path.join(directory, 'bank.head')))
    await expect(found()).rejects.toEqual(refusal('ledger.regressed', 'damaged'))
    for (const content of ['', 'x'.repeat(1024), '{}']) {
      writeFileSync(file(), content)
      await expect(found()).rejects.toEqual(refusal('ledger.regressed', 'damaged'))
    }
  })

  test('of a tenant with an odd name stay in their directory', async () => {
    const guard = fileHeadGuard(path.join(directory, 'in'))
    for (const tenant of ['..', '../clinic', 'a/b', 'é', '%2e']) {
      await guard.keep(tenant, head(7))
      expect(await fileHeadGuard(path.join(directory, 'in')).kept(tenant)).toEqual(head(7))
    }
    expect(await found()).toBeNull()
    await guard.close()
  })

  test('that cannot be written say so, and can be written later', async () => {
    const blocked = path.join(directory, 'blocked')
    writeFileSync(blocked, '')
    const guard = fileHeadGuard(blocked)
    await expect(guard.keep('clinic', head(1))).rejects.toEqual(refusal('store.unavailable', 'cannot be kept'))
    rmSync(blocked)
    await guard.keep('clinic', head(1))
    expect(await fileHeadGuard(blocked).kept('clinic')).toEqual(head(1))
    await guard.close()
  })
})
