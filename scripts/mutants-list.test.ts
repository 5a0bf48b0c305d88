import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { MUTANTS } from './mutants-list.ts'
import { root } from './run.ts'

const read = (file: string) => (existsSync(path.join(root, file)) ? readFileSync(path.join(root, file), 'utf8') : '')

test('each mutant has a name of its own, a check that still stands where it says, and a test file', () => {
  expect(MUTANTS.length).toBeGreaterThan(0)
  expect(MUTANTS.filter((m, i) => MUTANTS.findIndex((o) => o.name === m.name) !== i).map((m) => m.name)).toEqual([])
  const stale = MUTANTS.filter((m) => !read(m.file).includes(m.find) || read(m.testFile) === '')
  expect(stale.map((m) => `${m.name}: ${m.file} without ${m.find}`)).toEqual([])
})
