import { describe, expect, test } from 'vitest'
import { compile, RegoError, toJson, type Value } from '../index.ts'
import { bundleModules, readBundle, writeBundle } from './bundle.ts'
import { gzip } from './gzip.ts'
import { writeTar, type TarEntry } from './tar.ts'

const bytes = (s: string): Uint8Array => new TextEncoder().encode(s)
const pack = (files: Readonly<Record<string, string>>): Promise<Uint8Array<ArrayBuffer>> =>
  gzip(writeTar(Object.entries(files).map(([name, text]): TarEntry => ({ name, bytes: bytes(text) }))))

describe('bundles', () => {
  test('hold modules, data by folder, and a manifest', async () => {
    const bundle = await readBundle(
      await pack({
        '.manifest': '{"revision":"r7","roots":["authz","lists"],"metadata":{"by":"ci"}}',
        'authz/policy.rego': 'package authz\nallow if input.user in data.lists.users\n',
        'lists/data.json': '{"users":["ann"]}',
        'lists/more/data.yaml': 'x: [1, 2]\n',
        'README.md': 'ignored',
      }),
    )
    expect(bundle.revision).toBe('r7')
    expect(toJson(bundle.data)).toBe('{"lists":{"more":{"x":[1,2]},"users":["ann"]}}')
    const policy = compile(bundleModules(bundle), { data: bundle.data })
    expect(policy.eval('data.authz.allow', { user: 'ann' }).value).toBe(true)
  })

  test('name the dialect of their modules', async () => {
    const bundle = await readBundle(
      await pack({
        '.manifest': '{"rego_version":1,"file_rego_versions":{"/old/*.rego":0}}',
        'old/a.rego': 'package a\np { true }\n',
        'new.rego': 'package b\nq if true\n',
      }),
    )
    const policy = compile(bundleModules(bundle))
    expect(policy.eval('data.a.p').value).toBe(true)
    expect(policy.eval('data.b.q').value).toBe(true)
  })

  test('come back as they were packed, and pack to the same bytes', async () => {
    const contents = { modules: { 'p.rego': 'package p\nx := 1\n' }, data: { a: [1] } as Value, revision: '3' }
    const first = await writeBundle(contents)
    expect(await writeBundle(contents)).toEqual(first)
    expect(await readBundle(first)).toMatchObject(contents)
  })

  const cases: [string, Readonly<Record<string, string>>, string][] = [
    ['a name that leaves the archive', { '../x.rego': 'package x' }, 'leaves the archive'],
    ['data that is not JSON', { 'data.json': '{' }, 'data.json'],
    ['a member given twice in one file', { 'data.json': '{"a":1,"a":2}' }, 'data.json'],
    ['data files that say different things', { 'data.json': '{"a":{"b":1}}', 'a/data.json': '{"b":2}' }, 'member "b"'],
    ['a package outside the roots', { '.manifest': '{"roots":["a"]}', 'b.rego': 'package b' }, 'outside the bundle'],
    ['data outside the roots', { '.manifest': '{"roots":["a"]}', 'data.json': '{"b":1}' }, 'outside the bundle'],
    ['roots that overlap', { '.manifest': '{"roots":["a","a/b"]}' }, 'overlap'],
    ['an unknown dialect', { '.manifest': '{"rego_version":2}' }, '0 or 1'],
  ]
  test.each(cases)('refuse %s', async (_what, files, message) => {
    await expect(readBundle(await pack(files))).rejects.toThrow(
      expect.objectContaining({ code: 'bundle_malformed', message: expect.stringContaining(message) }),
    )
  })

  test('refuse what unpacks to more than allowed, before it is in memory', async () => {
    const bomb = await gzip(new Uint8Array(8 * 1024 * 1024))
    await expect(readBundle(bomb, { maxBytes: 1024, maxFiles: 10 })).rejects.toThrow(/unpacks to more/)
  })

  test('refuse links and damaged headers', async () => {
    const tar = writeTar([{ name: 'a.rego', bytes: bytes('package a') }])
    const link = tar.slice()
    link[156] = 0x32
    link.set(
      bytes(
        `${(tar.subarray(0, 512).reduce((n, b, i) => n + (i >= 148 && i < 156 ? 32 : b), 0) + 2).toString(8).padStart(6, '0')}\0 `,
      ),
      148,
    )
    await expect(readBundle(await gzip(link))).rejects.toThrow(/links and special files/)
    await expect(readBundle(await gzip(tar.with(0, 0x62) as Uint8Array<ArrayBuffer>))).rejects.toThrow(/checksum/)
    await expect(readBundle(bytes('no gzip') as Uint8Array<ArrayBuffer>)).rejects.toBeInstanceOf(RegoError)
  })
})
