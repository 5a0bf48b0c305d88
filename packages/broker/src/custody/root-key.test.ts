import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Secret, toBase64, toHex, utf8 } from '@vouchsafe/core'
import { RootKey, createCustodyFile, openCustodyFile, readPassphrase } from './root-key.ts'

const refused = (code: string, why = '') => expect.objectContaining({ code, message: expect.stringContaining(why) })

let directory: string
let custody: string
let root: RootKey
const passphrase = new Secret(utf8('correct horse battery'))
beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'vouchsafe-custody-'))
  custody = path.join(directory, 'custody.json')
  root = createCustodyFile(custody, passphrase)
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

function file(name: string, content: string | Uint8Array, mode = 0o600): string {
  const at = path.join(directory, name)
  writeFileSync(at, content)
  chmodSync(at, mode)
  return at
}

describe('a custody file', () => {
  test('gives the same root to whoever has its passphrase', () => {
    const again = openCustodyFile(custody, passphrase)
    expect(again.checkValue()).toEqual(root.checkValue())
    expect(again.unwrap(['a'], root.wrap(['a'], utf8('secret')))).toEqual(utf8('secret'))
  })

  test('G15 can be read by its owner only, is never overwritten, and holds no key in clear', () => {
    expect(statSync(custody).mode & 0o777).toBe(0o600)
    expect(() => createCustodyFile(custody, passphrase)).toThrow(expect.objectContaining({ code: 'EEXIST' }))
    const text = readFileSync(custody, 'utf8')
    for (const form of [toHex, toBase64]) expect(text).not.toContain(form(root.checkValue()))
  })

  test('does not open with another passphrase', () => {
    const other = new Secret(utf8('correct horse batterz'))
    expect(() => openCustodyFile(custody, other)).toThrow(refused('custody.passphrase'))
  })

  const edit = (change: (content: Record<string, any>) => void): string => {
    const content = JSON.parse(readFileSync(custody, 'utf8')) as Record<string, any>
    change(content)
    return file('edited.json', JSON.stringify(content))
  }
  test.each<[string, (content: Record<string, any>) => void, string]>([
    ['the sealed root', (c) => (c['root'] = `AA${c['root'].slice(2)}`), 'custody.passphrase'],
    ['the salt', (c) => (c['kdf'].salt = `AA${c['kdf'].salt.slice(2)}`), 'custody.passphrase'],
    ['the cost', (c) => (c['kdf'].n = 65_536), 'custody.passphrase'],
    ['a cost that is too low', (c) => (c['kdf'].n = 1024), 'input.malformed'],
    ['a cost that would take all memory', (c) => (c['kdf'].n = 2 ** 24), 'input.malformed'],
    ['the algorithm', (c) => (c['kdf'].name = 'pbkdf2'), 'input.malformed'],
    ['an unknown member', (c) => (c['hint'] = 'horse'), 'input.unknown-member'],
  ])('that was edited is refused: %s', (_what, change, code) => {
    expect(() => openCustodyFile(edit(change), passphrase)).toThrow(refused(code))
  })

  test('that is cut short or something else is refused', () => {
    const text = readFileSync(custody, 'utf8')
    expect(() => openCustodyFile(file('cut', text.slice(0, -9)), passphrase)).toThrow(refused('input.malformed'))
    expect(() => openCustodyFile(file('other', '{}'), passphrase)).toThrow(refused('input.malformed'))
  })
})

describe('a root key', () => {
  test('G07 opens what it wrapped only at its own place', () => {
    const wrapped = root.wrap(['tenant-a', 'token', 'k1'], utf8('key'))
    expect(root.unwrap(['tenant-a', 'token', 'k1'], wrapped)).toEqual(utf8('key'))
    const places = [
      ['tenant-b', 'token', 'k1'],
      ['tenant-a', 'log', 'k1'],
      ['tenant-a', 'token', 'k2'],
      ['tenant-a', 'token'],
      ['tenant-a', 'tokenk1'],
      [],
    ]
    for (const place of places) expect(() => root.unwrap(place, wrapped)).toThrow(refused('custody.wrong-key'))
  })

  test('G07 does not open what was changed, at any byte, or wrapped under another root', () => {
    const wrapped = root.wrap(['p'], utf8('key'))
    for (let at = 0; at < wrapped.length; at++)
      expect(() => root.unwrap(['p'], wrapped.with(at, wrapped[at]! ^ 1)), `byte ${at}`).toThrow(
        refused('custody.wrong-key'),
      )
    for (const length of [0, 11, 12, 27, wrapped.length - 1])
      expect(() => root.unwrap(['p'], wrapped.subarray(0, length))).toThrow(refused('custody.wrong-key'))
    const other = new RootKey(new Uint8Array(32))
    expect(() => other.unwrap(['p'], wrapped)).toThrow(refused('custody.wrong-key'))
    expect(other.checkValue()).not.toEqual(root.checkValue())
  })

  test('wraps the same thing differently each time', () => {
    expect(root.wrap(['p'], utf8('key'))).not.toEqual(root.wrap(['p'], utf8('key')))
  })

  test('that was sealed wraps, unwraps and tells nothing', () => {
    const sealed = new RootKey(new Uint8Array(32).fill(1))
    const wrapped = sealed.wrap(['p'], utf8('key'))
    sealed.seal()
    expect(() => sealed.unwrap(['p'], wrapped)).toThrow(refused('custody.sealed'))
    expect(() => sealed.wrap(['p'], utf8('key'))).toThrow(refused('custody.sealed'))
    expect(() => sealed.checkValue()).toThrow(refused('custody.sealed'))
    expect(() => sealed.assertOpen()).toThrow(refused('custody.sealed'))
  })

  test('G11 does not show itself when printed', () => {
    const key = new RootKey(utf8('canary-canary-canary-canary-1234'))
    const printed = `${inspect(key, { showHidden: true, depth: 9 })} ${JSON.stringify(key)} ${String(key)}`
    expect(printed).not.toContain('canary')
    expect(printed).not.toContain('99, 97')
  })
})

describe('a passphrase', () => {
  test('is a file’s content without one newline', () => {
    expect(readPassphrase(file('a', 'twelve bytes\n')).expose()).toEqual(utf8('twelve bytes'))
    expect(readPassphrase(file('b', 'twelve bytes')).expose()).toEqual(utf8('twelve bytes'))
    expect(readPassphrase(file('c', 'two newlines\n\n')).expose()).toEqual(utf8('two newlines\n'))
  })

  test.each([
    ['nothing', ''],
    ['a newline only', '\n'],
    ['seven bytes', '1234567\n'],
    ['a whole book', 'x'.repeat(1025)],
  ])('of %s is refused', (_what, content) => {
    expect(() => readPassphrase(file('d', content))).toThrow(refused('input.malformed', 'wanted 8 to 1024'))
  })

  test('that every user can read is refused', () => {
    expect(() => readPassphrase(file('e', 'twelve bytes', 0o644))).toThrow(refused('input.malformed', 'chmod 600'))
  })
})
