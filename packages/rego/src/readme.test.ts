import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import * as api from './index.ts'

const folder = fileURLToPath(new URL('..', import.meta.url))
const readme = readFileSync(`${folder}README.md`, 'utf8')

test('the example of the README decides and says what would change the decision', async () => {
  const example = /```ts\n([^]*?)```/.exec(readme)?.[1] ?? ''
  expect(example.trim().split('\n').length).toBeLessThanOrEqual(11)
  const options = ['--input-type=module-typescript', '--eval', example]
  const { stdout } = await promisify(execFile)(process.execPath, options, { cwd: folder })
  const [value, ...words] = stdout.trim().split('\n')
  expect(value).toBe('false')
  expect(words).toContain('  input.tcb.svn were 7 (is 5)')
}, 60_000)

test('every function that the README names exists', () => {
  const names = [...readme.matchAll(/`([a-z]\w+)(?:\([^`]*\))?`/g)].map(([, name = '']) => name)
  const table = readme.slice(readme.indexOf('## API'), readme.indexOf('Options of `compile`'))
  const calls = names.filter((n) => table.includes(`\`${n}(`) || table.includes(`\`${n}\``))
  const known = new Set([...Object.keys(api), 'nodeSignatures', 'value', 'undefined', 'host', 'test_', 'false'])
  expect(calls.filter((n) => !known.has(n))).toEqual([])
  expect(calls.length).toBeGreaterThan(8)
})
