import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isPrivate, keepCompiledCode } from './code-cache.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'vs-code-'))
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

describe('a folder for compiled code', () => {
  test('is made for its owner alone', () => {
    expect(isPrivate(path.join(home, 'a/b'))).toBe(true)
  })

  test('is not used where others can write, by a link, or where there is a file', () => {
    const shared = path.join(home, 'shared')
    mkdirSync(shared)
    chmodSync(shared, 0o777)
    symlinkSync(mkdtempSync(path.join(home, 'mine-')), path.join(home, 'link'))
    writeFileSync(path.join(home, 'file'), '')
    expect(['shared', 'link', 'file', 'file/below'].map((name) => isPrivate(path.join(home, name)))).toEqual([
      false,
      false,
      false,
      false,
    ])
  })

  test('is not asked for when the user said where, or not to', () => {
    for (const said of [{ NODE_COMPILE_CACHE: '/elsewhere' }, { NODE_DISABLE_COMPILE_CACHE: '1' }]) {
      const env = { XDG_CACHE_HOME: home, ...said }
      keepCompiledCode(env)
      expect(env).toEqual({ XDG_CACHE_HOME: home, ...said })
      expect(existsSync(path.join(home, 'vouchsafe'))).toBe(false)
    }
  })
})
