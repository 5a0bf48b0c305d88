import { createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SqliteFiles } from '../store/testing/sqlite-kind.ts'
import { IDENTITY, testSigner } from '../store/testing/tenancy.ts'
import { Site } from '../store/testing/harness.ts'
import type { Store } from '../store/store.ts'
import { rawPublicKey } from './log-signer.ts'
import { RootKey } from './root-key.ts'
import { openTenantKeys } from './tenant-keys.ts'

const at = new Date()
const root = new RootKey(new Uint8Array(32).fill(5))
const refused = (code: string) => expect.objectContaining({ code })

describe('a tenant’s keys', () => {
  let files: SqliteFiles
  let site: Site
  let store: Store
  let file: string
  beforeEach(async () => {
    files = new SqliteFiles()
    const database = await files.database()
    file = database.file
    site = new Site(database)
    store = await site.open()
    await store.initialise(IDENTITY)
    for (const id of ['a', 'b']) await store.createTenant({ id, name: id }, testSigner(id))
  })
  afterEach(async () => {
    await site.remove()
    files.remove()
  })

  test('are made once and are the same ever after', async () => {
    const first = await openTenantKeys(store, root, 'a', at)
    const again = await openTenantKeys(store, root, 'a', at)
    for (const kind of ['token', 'sealing', 'log', 'decision'] as const) {
      expect(again[kind].id).toBe(first[kind].id)
      expect(again[kind].key.equals(first[kind].key)).toBe(true)
    }
    expect(again.nonce.key.expose()).toEqual(first.nonce.key.expose())
    expect(again.resource.key.expose()).toEqual(first.resource.key.expose())
  })

  test('are the same for two who open them at once', async () => {
    const [one, two] = await Promise.all([openTenantKeys(store, root, 'a', at), openTenantKeys(store, root, 'a', at)])
    expect(one.log.key.equals(two.log.key)).toBe(true)
    expect(await store.keys('a')).toHaveLength(7)
  })

  test('are another tenant’s in nothing', async () => {
    const [a, b] = [await openTenantKeys(store, root, 'a', at), await openTenantKeys(store, root, 'b', at)]
    expect(a.log.key.equals(b.log.key)).toBe(false)
    expect(a.nonce.key.expose()).not.toEqual(b.nonce.key.expose())
    expect(a.resource.key.expose()).not.toEqual(a.nonce.key.expose())
  })

  test('have the public halves that the store says', async () => {
    const keys = await openTenantKeys(store, root, 'a', at)
    for (const kind of ['token', 'sealing', 'log', 'decision'] as const) {
      const stored = (await store.key('a', kind))!
      const spki = createPublicKey(keys[kind].key).export({ format: 'der', type: 'spki' })
      expect(new Uint8Array(spki)).toEqual(stored.publicKey)
    }
  })

  test('do not open under another root', async () => {
    await openTenantKeys(store, root, 'a', at)
    const other = new RootKey(new Uint8Array(32).fill(6))
    await expect(openTenantKeys(store, other, 'a', at)).rejects.toEqual(refused('custody.wrong-key'))
  })

  test('do not open while custody is sealed', async () => {
    const sealed = new RootKey(new Uint8Array(32).fill(5))
    sealed.seal()
    await expect(openTenantKeys(store, sealed, 'a', at)).rejects.toEqual(refused('custody.sealed'))
  })

  test.each([
    [
      'one tenant’s for another’s',
      `update tenant_keys set wrapped = (select wrapped from tenant_keys where tenant = 'b' and kind = 'log') where tenant = 'a' and kind = 'log'`,
    ],
    [
      'one kind for another',
      `update tenant_keys set wrapped = (select wrapped from tenant_keys where tenant = 'a' and kind = 'decision') where tenant = 'a' and kind = 'log'`,
    ],
    ['one id for another', `update tenant_keys set id = 'log-000000000000' where tenant = 'a' and kind = 'log'`],
    [
      'a whole tenant for another',
      `update tenant_keys set wrapped = (select k.wrapped from tenant_keys k where k.tenant = 'b' and k.kind = tenant_keys.kind), id = (select k.id from tenant_keys k where k.tenant = 'b' and k.kind = tenant_keys.kind) where tenant = 'a'`,
    ],
  ])('G07 do not open when the storage swaps %s', async (_what, sql) => {
    for (const tenant of ['a', 'b']) await openTenantKeys(store, root, tenant, at)
    await site.close()
    await site.database.meddle(sql)
    store = await site.open()
    await expect(openTenantKeys(store, root, 'a', at)).rejects.toEqual(refused('custody.wrong-key'))
  })

  test('G15 are nowhere in the store’s files in clear', async () => {
    const keys = await openTenantKeys(store, root, 'a', at)
    await site.close()
    const content = readFileSync(file)
    const secrets = [keys.nonce.key.expose(), keys.resource.key.expose()]
    for (const kind of ['token', 'sealing', 'log', 'decision'] as const) {
      const { d = '' } = keys[kind].key.export({ format: 'jwk' })
      secrets.push(new Uint8Array(Buffer.from(d, 'base64url')))
    }
    for (const secret of secrets) {
      for (const form of ['hex', 'base64', 'base64url'] as const)
        expect(content.includes(Buffer.from(secret).toString(form))).toBe(false)
      expect(content.includes(Buffer.from(secret))).toBe(false)
    }
    // the search would find them: the public half is there
    expect(content.includes(Buffer.from(rawPublicKey(keys.log.key)))).toBe(true)
  })
})
