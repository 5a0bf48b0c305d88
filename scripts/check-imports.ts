import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { root } from './run.ts'

/**
 * Which package may import which (design, section 3). Tests may import testkit and whatever they test with.
 * What is not listed is forbidden.
 */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  rego: [],
  tpm: [],
  testkit: [],
  core: ['rego', 'tpm'],
  image: ['core'],
  client: ['core'],
  broker: ['client', 'core', 'image', 'tpm'],
  agent: ['client', 'core', 'image', 'tpm'],
  console: ['client', 'core'],
  simulator: ['tpm'],
  cli: ['client', 'core', 'image', 'tpm', 'rego', 'simulator'],
}

/** Packages of ours that `core` may use only in part: subpaths that run anywhere. */
const PORTABLE = ['@vouchsafe/tpm/codec', '@vouchsafe/tpm/verify', '@vouchsafe/tpm/eventlog', '@vouchsafe/rego']

/** What whoever writes a workload of their own may import: published packages by name, the simulator, and what stands in the example. */
const FOR_EXAMPLES = ['core', 'image', 'client', 'rego', 'simulator', 'tpm']

/** Inside core a folder imports only what stands to its left; `flow.ts` and `index.ts` may import all. */
const LINE = [
  'base',
  'x509',
  'ledger',
  'evidence',
  'claims',
  'agreement',
  'appraisal',
  'token',
  'policy',
  'release',
  'wire',
]

const IMPORT = /(?:^|\n)\s*(?:import|export)\s[^'"]*?from\s+'([^']+)'|(?:^|\n)import\s+'([^']+)'|import\('([^']+)'\)/g

/** Prints every import against the pictures; true when there is none. */
export function checkImports(): boolean {
  const wrong: string[] = []
  for (const file of globSync(['packages/*/{src,bin,node}/**/*.{ts,tsx}', 'examples/**/*.ts'], {
    cwd: root,
    exclude: (f) => f.includes('node_modules'),
  })) {
    const text = readFileSync(path.join(root, file), 'utf8')
    for (const match of text.matchAll(IMPORT)) {
      const target = match[1] ?? match[2] ?? match[3] ?? ''
      const why = refusal(file, target)
      if (why !== null) wrong.push(`${file}: imports ${target}: ${why}`)
    }
  }
  for (const line of wrong) console.error(line)
  return wrong.length === 0
}

function refusal(file: string, target: string): string | null {
  if (file.startsWith('examples/')) return exampleRefusal(file, target)
  const [, from = ''] = file.split('/')
  const isTest = /\.(?:test|contract|properties|fixture)\.ts$/.test(file) || file.includes('/testing/')
  if (target.startsWith('@vouchsafe/') || target === 'vouchsafe') {
    const to = target === 'vouchsafe' ? 'cli' : (target.split('/')[1] ?? '')
    if (isTest) return null
    if (!(PACKAGES[from] ?? []).includes(to))
      return `${from} may import ${PACKAGES[from]?.join(', ') || 'nothing of ours'}`
    if (from === 'core' && file.includes('/src/') && !PORTABLE.includes(target))
      return 'core takes only what runs anywhere'
    return null
  }
  if (target.startsWith('node:') && !isTest && from === 'core' && file.includes('/src/'))
    return 'core runs without Node'
  if (!target.startsWith('.')) return null
  const resolved = path.posix.normalize(path.posix.join(path.posix.dirname(file), target))
  if (!resolved.startsWith(`packages/${from}/`)) return isTest ? null : 'reach another package by its name'
  if (from !== 'core' || isTest) return null
  const [, , , here = '', ...rest] = file.split('/')
  const [, , area, there = '', ...deeper] = resolved.split('/')
  if (area === 'node' || file.startsWith('packages/core/node/'))
    return file.startsWith('packages/core/node/') ? null : 'core/src may not import core/node'
  if (rest.length === 0 || here === there) return null
  if (deeper.length === 0) return 'only flow.ts and index.ts stand above the stages'
  return LINE.indexOf(there) < LINE.indexOf(here) && LINE.includes(there) ? null : `${here} stands left of ${there}`
}

function exampleRefusal(file: string, target: string): string | null {
  if (file.endsWith('.test.ts')) return null
  if (target.startsWith('@vouchsafe/'))
    return FOR_EXAMPLES.includes(target.split('/')[1] ?? '') ? null : `examples may import ${FOR_EXAMPLES.join(', ')}`
  if (!target.startsWith('.')) return null
  const [, name = ''] = file.split('/')
  const resolved = path.posix.normalize(path.posix.join(path.posix.dirname(file), target))
  const isShared = path.posix.dirname(resolved) === 'examples'
  return isShared || resolved.startsWith(`examples/${name}/`)
    ? null
    : 'an example stands alone: reach packages by their names'
}
