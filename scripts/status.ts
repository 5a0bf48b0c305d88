import { existsSync, globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { root } from './run.ts'

/**
 * Prints which features, attacks and known defects are tested, partly, or not yet, from the titles of the tests
 * themselves (decision 28). An id is `tested` when a test's title carries it, `partly` when every such title says so
 * with the word "partly". The full list of ids is read from the checklist, where that is present.
 */
const ID = /\b(?:CS|TD|HD|VT|GC|KB|GU)-\d{2,3}\b|\b[A-L]\d{2}\b|\bDEF-\d{2}\b/g
const TITLE =
  /\b(?:test|it|describe)(?:\.[a-zA-Z]+(?:\([^)]*\))?)*\(\s*(?:\[[^\]]*\]\)?\s*\(?)?(['"`])((?:(?!\1)[^\\]|\\.)*)\1/g

const titles = new Map<string, string[]>()
for (const file of globSync('{packages,e2e,interop,examples,scripts}/**/*.{test,contract}.ts', {
  cwd: root,
  exclude: (f) => f.includes('node_modules'),
})) {
  const text = readFileSync(path.join(root, file), 'utf8')
  const found = [...text.matchAll(TITLE)].map((m) => m[2] ?? '')
  // rows of test.each tables carry ids too: the first string of a row
  found.push(...[...text.matchAll(/^\s*\[\s*(['"`])((?:(?!\1)[^\\])*)\1/gm)].map((m) => m[2] ?? ''))
  for (const title of found) for (const id of title.match(ID) ?? []) titles.set(id, [...(titles.get(id) ?? []), title])
}

const stateOf = (id: string) => {
  const carrying = titles.get(id)
  if (carrying === undefined) return 'not yet'
  return carrying.every((t) => /\bpartly\b/.test(t)) ? 'partly' : 'tested'
}

const checklist = path.resolve(root, '../shared/facts/checklist.json')
const json = process.argv.includes('--json')
interface Checklist {
  readonly features: readonly { readonly id: string }[]
  readonly attacks: readonly { readonly id: string }[]
  readonly defects: readonly { readonly id: string }[]
}
const lists: Readonly<Record<string, readonly string[]>> = existsSync(checklist)
  ? fromChecklist(checklist)
  : { ids: [...titles.keys()].toSorted() }
const report = Object.fromEntries(
  Object.entries(lists).map(([kind, ids]) => [kind, Object.fromEntries(ids.map((id) => [id, stateOf(id)]))]),
)
if (json) console.log(JSON.stringify(report))
else
  for (const [kind, states] of Object.entries(report)) {
    const by = (state: string) =>
      Object.entries(states)
        .filter(([, s]) => s === state)
        .map(([id]) => id)
    console.log(
      `${kind}: ${by('tested').length} tested, ${by('partly').length} partly, ${by('not yet').length} not yet`,
    )
    for (const state of ['tested', 'partly', 'not yet'])
      if (by(state).length > 0) console.log(`  ${state}: ${by(state).join(' ')}`)
  }

function fromChecklist(file: string): Readonly<Record<string, readonly string[]>> {
  const list = JSON.parse(readFileSync(file, 'utf8')) as Checklist
  return Object.fromEntries(
    (['features', 'attacks', 'defects'] as const).map((kind) => [
      kind,
      list[kind].map((entry) => (kind === 'defects' && !entry.id.startsWith('DEF') ? `DEF-${entry.id}` : entry.id)),
    ]),
  )
}
