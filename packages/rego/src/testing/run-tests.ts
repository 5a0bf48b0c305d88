import { Closures } from '../backend/closures.ts'
import { compileQuery, type Program } from '../compile/compiler.ts'
import { pathText } from '../compile/rule.ts'
import { RegoError } from '../errors.ts'
import { Env } from '../eval/env.ts'
import { Machine, type EvalOptions } from '../eval/machine.ts'
import { Pending } from '../eval/settle.ts'
import type { FailedExpression } from '../explain/explanation.ts'
import { planProgram, planQuery } from '../plan/planner.ts'
import { compile, type Policy, type PolicyOptions, type Sources } from '../policy.ts'
import { RESULT } from '../query.ts'
import type { Module } from '../syntax/ast.ts'
import { parseQueryText } from '../syntax/parse-module.ts'
import { Location } from '../syntax/source.ts'
import { isObject, objectEntries, formatValue, type Value } from '../value/index.ts'
import { CoverageHooks, type FileCoverage } from './coverage.ts'

export type TestOptions = EvalOptions & {
  /** Only tests whose path (`data.authz_test.test_admin`) matches. */
  readonly filter?: (path: string) => boolean
  /** Note which rows the tests reach. Slower. Default false. */
  readonly coverage?: boolean
}

export type TestOutcome = 'pass' | 'fail' | 'error' | 'skip'

export type TestResult = {
  /** `data.authz_test.test_admin` */
  readonly path: string
  readonly location: Location
  readonly outcome: TestOutcome
  /** For a rule with cases (`test_x[name] := …`), those that do not hold. */
  readonly failedCases: readonly string[]
  /** Of a test that failed: where its bodies ended. */
  readonly failed: readonly FailedExpression[]
  readonly error: RegoError | undefined
  /** What the test printed. */
  readonly output: readonly string[]
}

export type TestReport = {
  readonly results: readonly TestResult[]
  /** No test failed or had an error. */
  readonly passed: boolean
  /** There if it was asked for. Files that hold tests are not counted. */
  readonly coverage: readonly FileCoverage[] | undefined
}

/**
 * Runs the tests of modules as OPA does: a rule whose name begins with `test_` passes if it is defined and not false; one that
 * begins with `todo_test_` is skipped. A rule with keys (`test_x[case]`) passes if all its values do.
 *
 * @throws {RegoError} if the modules do not compile
 */
export async function runTests(
  sources: Sources | readonly Module[],
  policyOptions: PolicyOptions = {},
  options: TestOptions = {},
): Promise<TestReport> {
  const policy = compile(sources, { print: true, ...policyOptions })
  const tests = testsOf(policy.program).filter((t) => options.filter?.(t.path) ?? true)
  const runner = new TestRunner(policy, policyOptions, options)
  const results: TestResult[] = []
  for (const t of tests) results.push(await runner.run(t))
  const testFiles = new Set(testsOf(policy.program).map((t) => t.location.file))
  return {
    results,
    passed: results.every((r) => r.outcome === 'pass' || r.outcome === 'skip'),
    coverage: runner.coverage((file) => !testFiles.has(file)),
  }
}

type Test = { readonly path: string; readonly location: Location; readonly skip: boolean }

function testsOf(program: Program): Test[] {
  const tests = new Map<string, Test>()
  for (const module of program.modules) {
    for (const rule of module.rules) {
      const name = rule.head.ref.head.kind === 'var' ? rule.head.ref.head.name : ''
      const skip = name.startsWith('todo_test_')
      if ((!skip && !name.startsWith('test_')) || rule.head.args !== undefined) continue
      const path = pathText([...module.package.path, name])
      if (!tests.has(path)) tests.set(path, { path, location: rule.loc, skip })
    }
  }
  return [...tests.values()]
}

class TestRunner {
  readonly #policy: Policy
  readonly #policyOptions: PolicyOptions
  readonly #options: TestOptions
  readonly #hooks: CoverageHooks | undefined
  readonly #closures: Closures | undefined
  readonly #plan: ReturnType<typeof planProgram> | undefined

  constructor(policy: Policy, policyOptions: PolicyOptions, options: TestOptions) {
    this.#policy = policy
    this.#policyOptions = policyOptions
    this.#options = options
    if (options.coverage !== true) return
    this.#hooks = new CoverageHooks()
    this.#plan = planProgram(policy.program, true)
    this.#closures = new Closures(this.#plan, this.#hooks)
  }

  async run(test: Test): Promise<TestResult> {
    const output: string[] = []
    const nothing = { failedCases: [], failed: [], error: undefined, output }
    const { path, location } = test
    if (test.skip) return { path, location, outcome: 'skip', ...nothing }
    const options: EvalOptions = { ...this.#options, onPrint: (line) => void output.push(line) }
    try {
      const value = await this.#evaluate(path, options)
      const failedCases = value === undefined ? [] : casesThatFail(value, [])
      if (value !== undefined && failedCases.length === 0 && value !== false) {
        return { path, location, outcome: 'pass', ...nothing }
      }
      const failed = await this.#whereItFailed(path)
      return { path, location, outcome: 'fail', failedCases, failed, error: undefined, output }
    } catch (e) {
      if (!(e instanceof RegoError)) throw e
      return { path, location, outcome: 'error', failedCases: [], failed: [], error: e, output }
    }
  }

  coverage(isCounted: (file: string) => boolean): readonly FileCoverage[] | undefined {
    if (this.#hooks === undefined || this.#plan === undefined) return undefined
    return this.#hooks.report(this.#plan, isCounted)
  }

  async #evaluate(path: string, options: EvalOptions): Promise<Value | undefined> {
    if (this.#closures === undefined || this.#plan === undefined) {
      return (await this.#policy.evalAsync(path, undefined, options)).value
    }
    const compiled = compileQuery(parseQueryText(`${RESULT} = ${path}`), this.#policy.program)
    const plan = planQuery(compiled.body, compiled.names, this.#plan)
    const query = this.#closures.query(plan)
    const at = plan.names.indexOf(RESULT)
    const machine = new Machine(options, this.#policyOptions.host ?? {})
    for (;;) {
      let value: Value | undefined
      try {
        const env = new Env(
          machine,
          undefined,
          this.#policy.data,
          new Array(this.#plan.nodes.length),
          undefined,
          undefined,
        )
        query(env, (values) => {
          value = values[at]
          return false
        })
        return value
      } catch (e) {
        if (!(e instanceof Pending)) throw e
        machine.budget.restart()
        await e.settled
      }
    }
  }

  /** The failures of the test's own bodies. */
  async #whereItFailed(path: string): Promise<readonly FailedExpression[]> {
    const { explanation } = await this.#policy.evalAsync(path, undefined, {
      ...this.#options,
      explain: { maxTries: 0 },
    })
    const own = explanation?.rules.find((r) => r.path === path)
    return (own?.bodies ?? []).flatMap((b) => (b.failed === undefined ? [] : [b.failed]))
  }
}

/** The keys of a test with cases whose values do not hold. */
function casesThatFail(v: Value, path: readonly string[]): string[] {
  if (!isObject(v)) return v === false && path.length > 0 ? [path.join('/')] : []
  return objectEntries(v).flatMap(([k, x]) => casesThatFail(x, [...path, typeof k === 'string' ? k : formatValue(k)]))
}
