import { spawn } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { bin, root, run } from './run.ts'

/** What `npm test` does: static checks, then every test; the last line counts. `--checks-only`, `--tests-only` for one half. */
let failed = 0
let passed = 0

if (!process.argv.includes('--tests-only')) {
  // side by side: each leaves a processor idle at times
  const checks = ['types', 'lint', 'imports', 'docs'].map((name) => run(process.execPath, ['scripts/check.ts', name]))
  for (const status of await Promise.all(checks)) {
    if (status === 0) passed++
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
if (!process.argv.includes('--checks-only')) {
  // the README's first command, as a newcomer runs it
  if (await demo()) passed++
  else failed++
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

function vitest(report: string): Promise<number> {
  return run(bin('vitest'), ['run', '--reporter=json', `--outputFile.json=${report}`])
}

/** Runs the demo without a terminal; its last line says whether everything went as it must, refusals included. */
function demo(): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['packages/cli/bin/vouchsafe.ts', 'demo', '--headless', '--json'], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let out = ''
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.on('error', reject)
    child.on('close', (code) => {
      const lines = out.trimEnd().split('\n')
      const { ok, drills } = JSON.parse(lines.at(-1) ?? '{}') as { ok?: boolean; drills?: unknown[] }
      const good = code === 0 && ok === true && drills?.length === 10
      console.log(`demo: ${good ? 'ok' : 'FAILED'}`)
      if (!good) console.error(lines.filter((l) => l.includes('"failed"') || l.includes('"refused":false')).join('\n'))
      resolve(good)
    })
  })
}

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly message: string
    readonly assertionResults: readonly {
      readonly status: string
      readonly fullName: string
      readonly failureMessages: readonly string[]
    }[]
  }[]
}

/** Counts, and the failures in full; what passed needs no line. */
function readReport(report: string): { passed: number; failed: number } {
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, 'utf8')) as Report
    for (const file of testResults.filter((f) => f.status !== 'passed')) {
      const failures = file.assertionResults.filter((t) => t.status === 'failed')
      if (failures.length === 0) console.error(`FAILED ${path.relative(root, file.name)}: ${file.message}`)
      for (const t of failures)
        console.error(
          `FAILED ${path.relative(root, file.name)}: ${t.fullName}\n  ${t.failureMessages.join('\n  ').slice(0, 2000)}`,
        )
    }
    return { passed: numPassedTests, failed: numFailedTests }
  } catch {
    return { passed: 0, failed: 1 } // no report: vitest itself failed, and that is no pass
  } finally {
    rmSync(report, { force: true })
  }
}
