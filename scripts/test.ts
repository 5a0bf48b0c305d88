import { spawn } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { bin, root, run } from './run.ts'

/** What `npm test` does: static checks, then every test; the last line counts. `--checks-only`, `--tests-only` for one half. */
let failed = 0
let passed = 0

if (!process.argv.includes('--tests-only')) {
  for (const name of ['types', 'lint', 'imports', 'docs']) {
    if ((await run(process.execPath, ['scripts/check.ts', name])) === 0) passed++
    else failed++
  }
}
if (!process.argv.includes('--checks-only')) {
  const report = path.join(root, `node_modules/.vitest-report-${process.pid}.json`)
  const status = await vitest(report)
  const counts = readReport(report)
  passed += counts.passed
  failed += counts.failed
  if (status !== 0 && counts.failed === 0) failed++ // a file that could not be loaded, an error outside of tests
  if (counts.passed === 0) failed++
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

function vitest(report: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(bin('vitest'), ['run', '--reporter=dot', '--reporter=json', `--outputFile.json=${report}`], {
      cwd: root,
      stdio: 'inherit',
    })
    child.on('error', reject)
    child.on('exit', (code) => resolve(code ?? 1))
  })
}

function readReport(report: string): { passed: number; failed: number } {
  try {
    const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(report, 'utf8')) as {
      numPassedTests: number
      numFailedTests: number
    }
    return { passed: numPassedTests, failed: numFailedTests }
  } catch {
    return { passed: 0, failed: 1 } // no report: vitest itself failed, and that is no pass
  } finally {
    rmSync(report, { force: true })
  }
}
