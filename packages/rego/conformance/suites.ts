import { opaCases, oracleCases, type SuiteCase } from './cases.ts'
import { KNOWN_DIFFERENCES } from './known-differences.ts'
import { runCompileCase, runOpaCase, runOracleCase, type Backend, type Verdict } from './run-case.ts'

export const SUITES = ['v1', 'v0', 'oracle', 'compile', 'wasm-assets'] as const
export type SuiteName = (typeof SUITES)[number]

export type SuiteResult = {
  readonly passed: readonly SuiteCase[]
  readonly failed: ReadonlyArray<{ readonly case: SuiteCase; readonly why: string }>
  readonly skipped: ReadonlyArray<{ readonly case: SuiteCase; readonly why: string }>
}

export function casesOf(suite: SuiteName): SuiteCase[] {
  return suite === 'oracle' ? oracleCases() : opaCases(suite)
}

/** Why a case is not run; undefined for those that are. */
function reasonToSkip(c: SuiteCase): string | undefined {
  return KNOWN_DIFFERENCES.find((d) => d.suite === c.suite && d.id === c.id)?.why
}

async function verdictOn(c: SuiteCase, backend: Backend): Promise<Verdict> {
  if (c.suite === 'oracle') return runOracleCase(c, backend)
  return c.suite === 'compile' ? runCompileCase(c) : runOpaCase(c, backend)
}

export async function runSuite(suite: SuiteName, backend: Backend = 'auto'): Promise<SuiteResult> {
  const passed: SuiteCase[] = []
  const failed: Array<{ case: SuiteCase; why: string }> = []
  const skipped: Array<{ case: SuiteCase; why: string }> = []
  for (const c of casesOf(suite)) {
    const skip = reasonToSkip(c)
    if (skip !== undefined) {
      skipped.push({ case: c, why: skip })
      continue
    }
    const verdict = await verdictOn(c, backend)
    if (verdict.passed) passed.push(c)
    else failed.push({ case: c, why: verdict.why })
  }
  return { passed, failed, skipped }
}
