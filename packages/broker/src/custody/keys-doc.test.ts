import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../../../', import.meta.url))
const page = readFileSync(`${root}docs/spec/keys.md`, 'utf8')
const sources = globSync('packages/{core,broker,agent,client}/src/**/*.ts', { cwd: root })
  .filter((file) => !/\.test\.ts$|\.contract\.ts$|\/testing\//.test(file))
  .map((file) => readFileSync(root + file, 'utf8'))

/** Quoted strings of our own that say what a signature is for. */
function typesIn(text: string): readonly string[] {
  return [
    ...text.matchAll(
      /['`"](vouchsafe-[a-z]+\+jw[tse]|[a-z]+\+jwt|application\/vnd\.vouchsafe\.[a-z0-9.]+\+json)['`"]/g,
    ),
  ].map(([, type]) => type ?? '')
}

test('the table of keys names every type that our code signs or verifies, and no others', () => {
  const used = new Set(sources.flatMap(typesIn))
  expect(used.size).toBeGreaterThan(8)
  expect(new Set(typesIn(page))).toEqual(used)
})

test('the table of keys names every kind of key in the store', () => {
  const rows = readFileSync(`${root}packages/broker/src/store/rows.ts`, 'utf8')
  const kinds = /export type KeyKind = (.*)/.exec(rows)?.[1]?.match(/'[a-z]+'/g) ?? []
  expect(kinds.length).toBeGreaterThan(5)
  for (const kind of kinds) expect(page).toContain(`| \`${kind.slice(1, -1)}\` |`)
})
