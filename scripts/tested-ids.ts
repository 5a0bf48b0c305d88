import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { root } from './run.ts'

/** A test whose title carries an id. */
export interface TestOfId {
  readonly title: string
  /** Relative to the repository. */
  readonly file: string
}

const ID = /\b(?:CS|TD|HD|VT|GC|KB|GU)-\d{2,3}\b|\b[A-L]\d{2}\b|\bDEF-\d{2}\b/g
const TITLE =
  /\b(?:test|it|describe)(?:\.[a-zA-Z]+(?:\([^)]*\))?)*\(\s*(?:\[[^\]]*\]\)?\s*\(?)?(['"`])((?:(?!\1)[^\\]|\\.)*)\1/g
/** Rows of `test.each` tables carry ids too: the first string of a row. */
const ROW = /^\s*\[\s*(['"`])((?:(?!\1)[^\\])*)\1/gm

/** Ids of features, attacks and defects, in order, with the tests that carry them (decision 28). */
export function testedIds(): ReadonlyMap<string, readonly TestOfId[]> {
  const found = new Map<string, TestOfId[]>()
  const files = globSync('{packages,e2e,interop,examples,scripts}/**/*.{test,contract}.ts', {
    cwd: root,
    exclude: (f) => f.includes('node_modules'),
  })
  for (const file of files.toSorted()) {
    const text = readFileSync(path.join(root, file), 'utf8')
    for (const pattern of [TITLE, ROW])
      for (const [, , title = ''] of text.matchAll(pattern))
        for (const id of new Set(title.match(ID))) found.set(id, [...(found.get(id) ?? []), { title, file }])
  }
  return new Map([...found].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
