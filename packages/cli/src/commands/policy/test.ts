import { REFERENCE_FUNCTION, REGO_BOUNDS, VouchsafeError, referenceFunction } from '@vouchsafe/core'
import { RegoError, type TestReport, type TestResult, runTests } from '@vouchsafe/rego'
import { type Command, InvalidArgumentError } from 'commander'
import pc from 'picocolors'
import { EXIT, UsageError } from '../../output.ts'
import { readData, readModules } from '../../policy/policy-files.ts'
import { type Done, outputOf, verb } from '../options.ts'

/** `vouchsafe policy test`: rules whose names begin with `test_`, as other Rego tools run them. */
export function testVerb(done: Done): Command {
  return verb('test', 'run the tests of Rego modules')
    .argument('<files...>', '.rego files, or folders; tests are rules called test_…')
    .option('--data <file>', 'base data')
    .option('--only <text>', 'only tests whose path holds this text')
    .option('--coverage', 'tell which lines no test reached')
    .option('--least <percent>', 'with less coverage than this the answer is no', percent)
    .addHelpText('after', '\nExample:\n  $ vouchsafe policy test policies/ --coverage --least 90')
    .action(
      async (
        files: string[],
        options: { json?: boolean; data?: string; only?: string; coverage?: boolean; least?: number },
      ) => {
        const measured = options.coverage === true || options.least !== undefined
        const report = await run(readModules(files, 'with tests'), options, measured)
        if (report.results.length === 0)
          throw new UsageError('there are no tests', 'write rules whose names begin with test_')
        const covered = coverageOf(report)
        const enough = options.least === undefined || (covered !== null && covered >= options.least)
        const passed = report.passed && enough
        outputOf(options).answer(
          {
            passed,
            results: report.results.map(({ path, outcome, failedCases, output, error }) => ({
              path,
              outcome,
              failedCases,
              output,
              error: error?.message ?? null,
            })),
            ...(report.coverage === undefined ? {} : { covered, coverage: report.coverage }),
          },
          text(report, covered, enough ? undefined : options.least),
        )
        done(passed ? EXIT.yes : EXIT.no)
      },
    )
}

async function run(
  modules: Record<string, string>,
  options: { readonly data?: string; readonly only?: string },
  coverage: boolean,
): Promise<TestReport> {
  const { only } = options
  try {
    return await runTests(
      modules,
      // there are no sets here: tests say what it answers, with `with query_reference_value as …`
      { data: readData(options.data), host: {}, functions: { [REFERENCE_FUNCTION]: referenceFunction } },
      { ...REGO_BOUNDS, coverage, ...(only === undefined ? {} : { filter: (path: string) => path.includes(only) }) },
    )
  } catch (error) {
    if (!(error instanceof RegoError)) throw error
    throw new VouchsafeError('policy.invalid', error.message, { cause: error })
  }
}

/** Rows reached of all rows that count, in percent. */
function coverageOf({ coverage }: TestReport): number | null {
  if (coverage === undefined) return null
  const reached = coverage.reduce((n, f) => n + f.covered.length, 0)
  const all = coverage.reduce((n, f) => n + f.covered.length + f.notCovered.length, 0)
  return all === 0 ? 100 : Math.round((reached / all) * 1000) / 10
}

function text(report: TestReport, covered: number | null, missed: number | undefined): string {
  const lines = report.results.flatMap(resultLines)
  for (const f of report.coverage ?? [])
    lines.push(
      `${f.file}: ${f.percent} % covered${f.notCovered.length === 0 ? '' : `; not reached: ${f.notCovered.join(', ')}`}`,
    )
  const count = (outcome: TestResult['outcome']) => report.results.filter((r) => r.outcome === outcome).length
  lines.push(`${count('pass')} passed, ${count('fail') + count('error')} failed, ${count('skip')} skipped`)
  if (missed !== undefined) lines.push(pc.red(`${covered} % covered, wanted ${missed} %`))
  return lines.join('\n')
}

function resultLines({ path, outcome, failed, failedCases, error, output }: TestResult): readonly string[] {
  const colour = outcome === 'pass' ? pc.green : outcome === 'skip' ? pc.yellow : pc.red
  return [
    `${colour(outcome.padEnd(5))} ${path}${failedCases.length === 0 ? '' : ` (${failedCases.join(', ')})`}`,
    ...failed.map((f) => `        ${f.location.file}:${f.location.row}: ${f.text}`),
    ...(error === undefined ? [] : [`        ${error.message}`]),
    ...output.map((line) => `        ${pc.dim(line)}`),
  ]
}

function percent(text: string): number {
  const value = Number(text)
  if (text === '' || !Number.isFinite(value) || value < 0 || value > 100)
    throw new InvalidArgumentError('a number from 0 to 100')
  return value
}
