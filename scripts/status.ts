import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { root } from './run.ts'
import { testedIds } from './tested-ids.ts'

/**
 * Prints which features, attacks and known defects are tested, partly, or not yet, from the titles of the tests
 * themselves (decision 28). An id is `tested` when a test's title carries it, `partly` when every such title says so
 * with the word "partly". The full list of ids is read from the checklist, where that is present.
 */
const tests = testedIds()

const stateOf = (id: string) => {
  const carrying = tests.get(id)
  if (carrying === undefined) return 'not yet'
  return carrying.every((t) => /\bpartly\b/.test(t.title)) ? 'partly' : 'tested'
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
  : { ids: [...tests.keys()] }
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
