import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { MUTANTS, type Mutant } from './mutants-list.ts'
import { bin, root } from './run.ts'

/**
 * Removes one check at a time, in a copy of the tree, and expects exactly the named test to fail (decision 26). A mutant
 * whose test still passes is a check that no test holds; a mutant whose text is not found is a list that fell behind.
 * `npm run mutants -- NAME…` runs some, without names all.
 */
const wanted = process.argv.slice(2)
const mutants = wanted.length === 0 ? MUTANTS : MUTANTS.filter((m) => wanted.includes(m.name))
if (mutants.length === 0) {
  console.error(`no such mutant; there are ${MUTANTS.map((m) => m.name).join(', ')}`)
  process.exit(2)
}

const copy = mkdtempSync(path.join(tmpdir(), 'vouchsafe-mutants-'))
let killed = 0
let survived = 0
try {
  copyTree(copy)
  for (const mutant of mutants) {
    const verdict = judge(mutant)
    console.log(`${verdict === null ? 'killed  ' : 'SURVIVED'} ${mutant.name}${verdict === null ? '' : `: ${verdict}`}`)
    if (verdict === null) killed++
    else survived++
  }
} finally {
  rmSync(copy, { recursive: true, force: true })
}
console.log(`${killed} passed, ${survived} failed`)
process.exitCode = survived === 0 ? 0 : 1

/** Null when the named test fails under the mutant, and passes without it. */
function judge(mutant: Mutant): string | null {
  const file = path.join(copy, mutant.file)
  const original = readFileSync(file, 'utf8')
  if (original.split(mutant.find).length !== 2)
    return `${mutant.file} has the text ${original.split(mutant.find).length - 1} times, wanted once`
  writeFileSync(
    file,
    original.replace(mutant.find, () => mutant.replace),
  )
  try {
    const { failed, passed, output } = runTest(mutant)
    if (failed > 0) return null
    return passed === 0 ? `no test ran for ${mutant.test}: ${output}` : `${mutant.test} still passes`
  } finally {
    writeFileSync(file, original)
  }
}

function runTest({ testFile, test }: Mutant): { failed: number; passed: number; output: string } {
  const report = path.join(copy, 'mutant-report.json')
  const pattern = test.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
  const args = ['run', '--project', 'all', testFile, '-t', pattern, '--reporter=json', `--outputFile.json=${report}`]
  const run = spawnSync(bin('vitest'), args, { cwd: copy, encoding: 'utf8', timeout: 180_000 })
  if (!existsSync(report)) return { failed: 0, passed: 0, output: (run.stderr || run.stdout).slice(-500) }
  const { numFailedTests, numPassedTests } = JSON.parse(readFileSync(report, 'utf8')) as {
    numFailedTests: number
    numPassedTests: number
  }
  rmSync(report)
  return { failed: numFailedTests, passed: numPassedTests, output: '' }
}

/** The tree without what was installed; packages of ours are linked to the copies, all others to where they are. */
function copyTree(to: string): void {
  for (const name of [
    'packages',
    'e2e',
    'interop',
    'scripts',
    'package.json',
    'vitest.config.ts',
    'tsconfig.json',
    'tsconfig.base.json',
  ])
    cpSync(path.join(root, name), path.join(to, name), {
      recursive: true,
      filter: (from) => !from.includes(`${path.sep}node_modules${path.sep}`),
    })
  const installed = path.join(root, 'node_modules')
  mkdirSync(path.join(to, 'node_modules/@vouchsafe'), { recursive: true })
  for (const name of readdirSync(installed)) {
    if (name === '@vouchsafe' || name === 'vouchsafe') continue
    symlinkSync(path.join(installed, name), path.join(to, 'node_modules', name))
  }
  for (const name of readdirSync(path.join(to, 'packages'))) {
    const link = name === 'cli' ? 'vouchsafe' : `@vouchsafe/${name}`
    symlinkSync(path.join(to, 'packages', name), path.join(to, 'node_modules', link))
  }
}
