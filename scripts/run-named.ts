import { existsSync, globSync } from 'node:fs'
import path from 'node:path'
import { root, run } from './run.ts'

/**
 * `npm run example|interop|bench|conformance|e2e -- NAME… [--option…]`: runs what has that name, with the options; without a
 * name, lists what there is.
 * Each runner ends with `N passed, N failed` and an exit status.
 */
const PLACES: Readonly<Record<string, readonly string[]>> = {
  examples: ['examples/*/run.ts'],
  interop: ['interop/*/run.ts'],
  bench: ['bench/*.ts'],
  conformance: ['packages/*/conformance/run.ts'],
  e2e: ['e2e/*.ts'],
}

const [place = '', ...rest] = process.argv.slice(2)
const names = rest.filter((arg) => !arg.startsWith('--'))
const options = rest.filter((arg) => arg.startsWith('--'))
const patterns = PLACES[place]
if (patterns === undefined) {
  console.error(`usage: run-named ${Object.keys(PLACES).join('|')} NAME…`)
  process.exit(2)
}
const available = new Map(
  globSync([...patterns], { cwd: root })
    .filter((f) => !f.endsWith('.test.ts'))
    .toSorted()
    .map((f) => [nameOf(f), f]),
)
if (names.length === 0) {
  console.log([...available.keys()].join('\n'))
  process.exit(0)
}
for (const name of names) {
  const file = available.get(name)
  if (file === undefined || !existsSync(path.join(root, file))) {
    console.error(`no ${place} ${name}; there are ${[...available.keys()].join(', ')}`)
    process.exit(2)
  }
  const status = await run(process.execPath, [file, ...options])
  if (status !== 0) process.exitCode = status
}

function nameOf(file: string): string {
  const parts = file.split('/')
  return file.endsWith('/run.ts')
    ? place === 'conformance'
      ? (parts[1] ?? '')
      : (parts.at(-2) ?? '')
    : path.basename(file, '.ts')
}
