import { compile, RegoError, type Answer, type Policy, type PolicyOptions } from '../src/index.ts'
import {
  equal,
  formatValue,
  fromJson,
  isArray,
  isObject,
  objectEntries,
  objectGet,
  objectOf,
  RegoSet,
  sortValues,
  toJson,
  type Value,
} from '../src/value/index.ts'
import type { SuiteCase } from './cases.ts'
import { suiteHost } from './node-host.ts'

export type Backend = 'closures' | 'generated' | 'auto'

/** What came out of a case: it passed, or this is wrong with it. */
export type Verdict = { readonly passed: true } | { readonly passed: false; readonly why: string }

const PASSED: Verdict = { passed: true }
const failed = (why: string): Verdict => ({ passed: false, why })

const SEED = new Uint8Array(32).fill(7)

function sourcesOf(modules: readonly Value[]): Record<string, string> {
  return Object.fromEntries(modules.map((text, i) => [`test-${i}.rego`, String(text)]))
}

async function evaluate(policy: Policy, query: string, input: Value | undefined, strict: boolean): Promise<Answer> {
  const timeNs = BigInt(Date.now()) * 1_000_000n
  return policy.evalAsync(query, input, { strictBuiltinErrors: strict, timeNs, seed: SEED })
}

/** Input that is written as a Rego term may hold sets and keys of any type. */
async function inputOf(c: SuiteCase): Promise<Value | undefined> {
  const term = c.text('input_term')
  if (term === undefined) return c.get('input')
  const answer = await evaluate(compile({}), `x := ${term}`, undefined, true)
  return answer.rows[0]?.bindings['x']
}

/** A case of OPA's evaluation suites. */
export async function runOpaCase(c: SuiteCase, backend: Backend): Promise<Verdict> {
  const options: PolicyOptions = {
    version: c.suite === 'v0' ? 'v0' : 'v1',
    logicalOperators: c.flag('experimental_keywords'),
    backend,
    host: suiteHost,
    functions: { 'test.sleep': { args: 1, call: () => null } },
    ...(isObject(c.get('data')) ? { data: c.get('data') } : {}),
  }
  const query = c.text('query') ?? ''
  let answer: Answer
  try {
    const policy = compile(sourcesOf(c.list('modules')), options)
    answer = await evaluate(policy, query, await inputOf(c), c.flag('strict_error'))
  } catch (error) {
    return error instanceof RegoError ? checkError(c, error) : failed(`threw ${String(error)}`)
  }
  if (c.get('want_error') !== undefined || c.get('want_error_code') !== undefined) {
    return failed(`no error; wanted ${c.text('want_error_code') ?? ''} ${c.text('want_error') ?? ''}`)
  }
  return checkRows(c, answer)
}

function checkError(c: SuiteCase, error: RegoError): Verdict {
  const code = c.text('want_error_code')
  const text = c.text('want_error')
  if (code === undefined && text === undefined) return failed(error.message)
  // these cases have the words of OPA's wasm module for it
  if (c.suite === 'wasm-assets') return error.code === 'eval_conflict_error' ? PASSED : failed(error.message)
  if (code !== undefined && error.code !== code) return failed(`error ${error.message}; wanted ${code}`)
  if (text !== undefined && !error.message.includes(text)) return failed(`error ${error.message}; wanted ${text}`)
  return PASSED
}

function checkRows(c: SuiteCase, answer: Answer): Verdict {
  // a query that is one term holds unless that term is false
  const rows = answer.rows.filter((row) => row.value !== false)
  const defined = c.get('want_defined')
  if (defined !== undefined && c.get('want_result') === undefined) {
    return rows.length > 0 === defined ? PASSED : failed(`defined: ${rows.length > 0}`)
  }
  const want = RegoSet.of(c.list('want_result'))
  const got = RegoSet.of(rows.map((row) => plainRow(row.bindings, c.flag('sort_bindings'))))
  return equal(want, got) ? PASSED : failed(`got ${clip(formatValue(got))}; wanted ${clip(formatValue(want))}`)
}

/** Bindings as they are after a trip through JSON. */
function plainRow(bindings: Readonly<Record<string, Value>>, sorted: boolean): Value {
  const entries = Object.entries(bindings).filter(([name]) => !name.startsWith('__local'))
  return objectOf(
    entries.map(([name, v]): readonly [Value, Value] => {
      const plain = fromJson(toJson(v))
      return [name, sorted && isArray(plain) ? sortValues([...plain]) : plain]
    }),
  )
}

function clip(s: string): string {
  return s.length > 300 ? `${s.slice(0, 300)}…` : s
}

type ErrorAt = { readonly code: string; readonly row: number }

function errorsAt(list: readonly Value[]): string[] {
  const found = list.flatMap((e) => {
    if (!isObject(e)) return []
    return [{ code: String(objectGet(e, 'code')), row: Number(objectGet(e, 'row')) }]
  })
  return texts(found)
}

function texts(errors: readonly ErrorAt[]): string[] {
  return [...new Set(errors.map((e) => `${e.code} at row ${e.row}`))].sort()
}

function errorsOf(error: RegoError): string[] {
  return texts(error.diagnostics.map((d) => ({ code: d.code, row: d.location?.row ?? 0 })))
}

/** A case of OPA's compiler suite: the same errors, with column and words. */
export function runCompileCase(c: SuiteCase): Verdict {
  const version = c.text('rego_version')
  let found: RegoError | undefined
  try {
    compile(sourcesOf(c.list('modules')), {
      version: version === 'v0' ? 'v0' : 'v1',
      strict: c.flag('strict'),
      print: c.flag('print_statements'),
      logicalOperators: c.flag('experimental_keywords'),
    })
  } catch (error) {
    if (!(error instanceof RegoError)) return failed(`threw ${String(error)}`)
    found = error
  }
  const want = c.list('want_errors').map((e) => {
    const at = (name: string): string => (isObject(e) ? String(objectGet(e, name) ?? '') : '')
    return `${at('row')}:${at('col')}: ${at('code')}: ${at('message')}`
  })
  const got = (found?.diagnostics ?? []).map(
    (d) => `${d.location?.row ?? ''}:${d.location?.col ?? ''}: ${d.code}: ${d.message}`,
  )
  const missing = want.filter((w) => !got.includes(w))
  const extra = c.flag('exhaustive') ? got.filter((g) => !want.includes(g)) : []
  if (missing.length + extra.length === 0) return PASSED
  return failed(`got ${got.join(' | ')}; wanted ${want.join(' | ')}`)
}

/** A recorded answer of a real OPA: the same terms, or the same errors. */
export async function runOracleCase(c: SuiteCase, backend: Backend): Promise<Verdict> {
  const question = c.get('case')
  const opa = c.get('opa')
  if (!isObject(question) || !isObject(opa)) return failed('not a case')
  const modules = objectGet(question, 'modules')
  const sources = isObject(modules)
    ? Object.fromEntries(objectEntries(modules).map(([k, v]) => [String(k), String(v)]))
    : {}
  const query = objectGet(question, 'query')
  const data = objectGet(question, 'data')
  try {
    const policy = compile(sources, {
      version: objectGet(question, 'version') === 'v0' ? 'v0' : 'v1',
      strict: objectGet(question, 'strict') === true,
      backend,
      host: suiteHost,
      ...(data === undefined ? {} : { data }),
    })
    if (typeof query !== 'string' || query === '') return checkOracle(opa, { ok: true })
    const strict = objectGet(question, 'strict_builtin') === true
    const answer = await evaluate(policy, query, objectGet(question, 'input'), strict)
    return checkOracle(opa, { answer })
  } catch (error) {
    return error instanceof RegoError ? checkOracle(opa, { error }) : failed(`threw ${String(error)}`)
  }
}

type Outcome = { readonly ok: true } | { readonly answer: Answer } | { readonly error: RegoError }

function checkOracle(opa: Parameters<typeof objectGet>[0], outcome: Outcome): Verdict {
  const result = objectGet(opa, 'result')
  if (isArray(result)) return checkTerms(result, outcome)
  if (objectGet(opa, 'ok') === true) return 'error' in outcome ? failed(outcome.error.message) : PASSED
  const evalError = objectGet(opa, 'eval_error')
  if (isObject(evalError)) return checkEvalError(evalError, outcome)
  const compileError = objectGet(opa, 'compile_error') ?? objectGet(opa, 'parse_error')
  if (compileError !== undefined) return checkRefusal(compileError, outcome)
  // OPA crashed, or could not print its own answer: anything but a crash of ours will do
  return PASSED
}

function checkTerms(result: readonly Value[], outcome: Outcome): Verdict {
  if (!('answer' in outcome)) return failed('error' in outcome ? outcome.error.message : 'no answer')
  const want = result.map((row) => {
    const entries = isObject(row) ? objectEntries(row) : []
    return entries.map(([name, v]) => `${String(name)} = ${isObject(v) ? String(objectGet(v, 'term')) : ''}`).join(', ')
  })
  const got = outcome.answer.rows
    .filter((row) => row.value !== false)
    .map((row) =>
      Object.entries(row.bindings)
        .map(([name, v]) => `${name} = ${formatValue(v)}`)
        .sort()
        .join(', '),
    )
  const same = want.toSorted().join('\n') === got.toSorted().join('\n')
  return same ? PASSED : failed(`got ${clip(got.join(' | '))}; wanted ${clip(want.join(' | '))}`)
}

function checkEvalError(want: Parameters<typeof objectGet>[0], outcome: Outcome): Verdict {
  const wanted = `${String(objectGet(want, 'code'))}: ${String(objectGet(want, 'message'))}`
  if (!('error' in outcome)) return failed(`no error; wanted ${wanted}`)
  const [first] = outcome.error.diagnostics
  const got = `${first.code}: ${first.message}`
  return got === wanted ? PASSED : failed(`got ${got}; wanted ${wanted}`)
}

function checkRefusal(want: Value, outcome: Outcome): Verdict {
  if (!('error' in outcome)) return failed(`no error; wanted ${formatValue(want)}`)
  if (typeof want === 'string') {
    return want.includes(outcome.error.code) ? PASSED : failed(`got ${outcome.error.message}; wanted ${want}`)
  }
  const wanted = isArray(want) ? errorsAt(want) : []
  const got = errorsOf(outcome.error)
  return wanted.join() === got.join() ? PASSED : failed(`got ${got.join(', ')}; wanted ${wanted.join(', ')}`)
}
