import { parseArgs } from 'node:util'
import { haveVectors, vectorsRoot } from '@vouchsafe/testkit'
import type { SuiteCase } from './cases.ts'
import { runSuite, SUITES, type SuiteName, type SuiteResult } from './suites.ts'

const { values } = parseArgs({
  options: {
    suite: { type: 'string', multiple: true, default: [...SUITES] },
    backend: { type: 'string', default: 'auto' },
    category: { type: 'string' },
  },
})

function isSuite(name: string): name is SuiteName {
  return SUITES.some((s) => s === name)
}

function tally(result: SuiteResult): Map<string, { passed: number; failed: number; skipped: number }> {
  const out = new Map<string, { passed: number; failed: number; skipped: number }>()
  const at = (c: SuiteCase): { passed: number; failed: number; skipped: number } => {
    const known = out.get(c.category) ?? { passed: 0, failed: 0, skipped: 0 }
    out.set(c.category, known)
    return known
  }
  for (const c of result.passed) at(c).passed++
  for (const f of result.failed) at(f.case).failed++
  for (const s of result.skipped) at(s.case).skipped++
  return out
}

function report(suite: SuiteName, result: SuiteResult): void {
  console.log(`\n${suite}`)
  for (const [category, n] of [...tally(result)].sort(([a], [b]) => (a < b ? -1 : 1))) {
    console.log(`  ${category.padEnd(44)} ${n.passed} passed, ${n.failed} failed, ${n.skipped} skipped`)
  }
  for (const f of result.failed) {
    if (values.category === undefined || f.case.category === values.category) {
      console.log(`  FAILED  ${f.case.id} (${f.case.text('note') ?? ''}): ${f.why}`)
    }
  }
  for (const s of result.skipped) console.log(`  skipped ${s.case.id} (${s.case.text('note') ?? ''}): ${s.why}`)
  console.log(line(suite, result))
}

function line(suite: SuiteName, r: SuiteResult): string {
  return `${suite}: ${r.passed.length} passed, ${r.failed.length} failed, ${r.skipped.length} skipped`
}

if (!haveVectors) {
  console.error(`no vectors at ${vectorsRoot}; set VOUCHSAFE_VECTORS`)
  process.exit(2)
}
const { backend } = values
if (backend !== 'auto' && backend !== 'closures' && backend !== 'generated') {
  console.error('--backend is auto, closures or generated')
  process.exit(2)
}
const lines: string[] = []
let passed = 0
let failures = 0
for (const suite of values.suite.filter(isSuite)) {
  const result = await runSuite(suite, backend)
  report(suite, result)
  lines.push(line(suite, result))
  passed += result.passed.length
  failures += result.failed.length
}
console.log(`\n${lines.join('\n')}\n${passed} passed, ${failures} failed`)
process.exitCode = failures === 0 ? 0 : 1
