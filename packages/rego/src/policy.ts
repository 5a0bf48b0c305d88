import type { Backend } from './backend/backend.ts'
import { makeBackend, type BackendChoice } from './backend/choose.ts'
import { BUILTINS, type HostFunctions } from './builtins/index.ts'
import { compileModules, compileQuery, type CompileOptions, type Program } from './compile/compiler.ts'
import { pathText } from './compile/rule.ts'
import { RegoError } from './errors.ts'
import { Budget, type Bounds } from './eval/bounds.ts'
import { Env } from './eval/env.ts'
import { hostBuiltins, type HostFunction } from './eval/host-function.ts'
import { Machine } from './eval/machine.ts'
import { Answers, Pending } from './eval/settle.ts'
import { Engines } from './backend/engines.ts'
import type { QueryPlan } from './plan/ir.ts'
import { isGenerated, nameRef, type Body, type Module } from './syntax/ast.ts'
import { parseModule, parseQueryText, type ParseOptions } from './syntax/parse-module.ts'
import type { Location } from './syntax/source.ts'
import { adopt, isObject, newRecord, ValueError, type Value } from './value/index.ts'

/** Texts of modules by file name. A name that ends in `_v0.rego` means nothing: the dialect is an option. */
export type Sources = Readonly<Record<string, string>>

export type PolicyOptions = Omit<ParseOptions, 'isBuiltin'> &
  Omit<CompileOptions, 'functions'> & {
    /** Functions of the host, by the name under which policies call them. They win over built-ins. */
    readonly functions?: Readonly<Record<string, HostFunction>>
    /** How policies are evaluated. Default `auto`: generated code where the host allows it, closures elsewhere. */
    readonly backend?: BackendChoice
    /** Base data: any JSON value that is an object. Copied. Default `{}`. */
    readonly data?: unknown
  }

export type EvalOptions = Bounds & {
  /** Failing built-ins end the evaluation instead of being undefined. Default false. */
  readonly strictBuiltinErrors?: boolean
  /** The decision's time in nanoseconds since 1970, for `time.now_ns` and tokens. Without it they are errors. */
  readonly timeNs?: bigint
  /** At least 16 bytes for `rand.intn` and `uuid.rfc4122`. Without it they are errors. */
  readonly seed?: Uint8Array
  /** Where `print` goes, if the policy was compiled with `print`. */
  readonly onPrint?: (text: string, at: Location) => void
}

/** One answer of a query: its variables, and the value of its expression if it is a single one. */
export type Row = {
  readonly bindings: Readonly<Record<string, Value>>
  readonly value: Value | undefined
}

export type Answer = {
  /** Every way in which the query holds; none if it is undefined. */
  readonly rows: readonly Row[]
  /** The value of the query's one expression in the first row; undefined if there is none. */
  readonly value: Value | undefined
}

/** @throws {RegoError} with every finding of the first stage that has one */
export function compile(sources: Sources | readonly Module[], options: PolicyOptions = {}): Policy {
  return new Policy(sources, options)
}

const RESULT = '__result__'
const MAX_PREPARED = 256

export class Policy {
  readonly program: Program
  readonly #options: PolicyOptions
  readonly #engines: Engines
  readonly #data: Value
  readonly #prepared: Map<string, PreparedQuery>

  /** @internal Use `compile`. */
  constructor(from: Sources | readonly Module[] | Policy, options: PolicyOptions, data?: Value) {
    this.#options = options
    if (from instanceof Policy) {
      this.program = from.program
      this.#engines = from.#engines
    } else {
      const { functions, ...rest } = options
      const hosted = functions === undefined ? undefined : hostBuiltins(functions)
      const isBuiltin = (name: string): boolean => BUILTINS.has(name) || hosted?.has(name) === true
      const modules = isModules(from)
        ? from
        : Object.entries(from).map(([file, text]) => parseModule(file, text, { ...rest, isBuiltin }))
      this.program = compileModules(modules, hosted === undefined ? rest : { ...rest, functions: hosted })
      this.#engines = new Engines(this.program, options.backend ?? 'auto')
    }
    this.#data = data ?? baseData(options.data)
    this.#prepared = new Map()
  }

  /** The same policy over other base data, without compiling again. */
  withData(data: unknown): Policy {
    return new Policy(this, this.#options, baseData(data))
  }

  /** The paths of all rules, as references: `data.authz.allow`. Functions are not in it. */
  get rules(): readonly string[] {
    const paths: string[] = []
    for (const node of this.program.root.all()) {
      if (node.rules.some((r) => r.args === undefined)) paths.push(pathText(node.path))
    }
    return paths
  }

  /**
   * Compiles a query over this policy. Queries are v1 text. They are kept, so asking again costs nothing.
   *
   * @throws {RegoError}
   */
  prepare(query: string): PreparedQuery {
    const known = this.#prepared.get(query)
    if (known !== undefined) return known
    const body = parseQueryText(query, { logicalOperators: this.#options.logicalOperators === true })
    const compiled = compileQuery(asEquation(body), this.program)
    const { backend, plan } = this.#engines.planned(compiled)
    const prepared = new PreparedQuery(backend, plan, this.#data, this.#options.host)
    if (this.#prepared.size >= MAX_PREPARED) this.#prepared.clear()
    this.#prepared.set(query, prepared)
    return prepared
  }

  /**
   * Evaluates a query, for example `data.authz.allow`.
   *
   * @param input - A JSON value; undefined means that there is no input document. It is read in place where it can be, so it
   *   must not change during the call.
   * @throws {RegoError} A conflict, a bound that was hit, an interruption, a failing host function, and in strict mode a
   *   failing built-in. `host_function` if an answer is a promise: use `evalAsync`.
   */
  eval(query: string, input?: unknown, options: EvalOptions = {}): Answer {
    return this.prepare(query).eval(input, options)
  }

  /** The same where host functions may answer later. */
  async evalAsync(query: string, input?: unknown, options: EvalOptions = {}): Promise<Answer> {
    return this.prepare(query).evalAsync(input, options)
  }
}

function isModules(from: Sources | readonly Module[]): from is readonly Module[] {
  return Array.isArray(from)
}

/** A query that is one term gives that term's value, also if it is false. */
function asEquation(body: Body): Body {
  const [only] = body
  if (only === undefined || body.length > 1 || only.negated) return body
  const { loc } = only
  const result = { kind: 'var', loc, name: RESULT } as const
  if (only.kind === 'term') {
    return [{ kind: 'call', loc, negated: false, with: only.with, op: nameRef('eq', loc), args: [result, only.term] }]
  }
  return body
}

function baseData(data: unknown): Value {
  if (data === undefined) return newRecord()
  const value = adopted(data, 'data', true)
  if (!isObject(value)) throw RegoError.of('input_malformed', 'base data must be an object')
  return value
}

function adopted(v: unknown, what: string, copy: boolean): Value {
  try {
    return adopt(v, { copy })
  } catch (e) {
    if (e instanceof ValueError) throw RegoError.of('input_malformed', `${what}: ${e.message}`, undefined, { cause: e })
    throw e
  }
}

/** A query over a policy, ready to be asked. */
export class PreparedQuery {
  readonly #names: readonly string[]
  readonly #run: (env: Env, onRow: (values: Value[]) => boolean) => void
  readonly #resultAt: number
  readonly #data: Value
  readonly #host: HostFunctions

  /** @internal Use `Policy.prepare`. */
  constructor(backend: Backend, plan: QueryPlan, data: Value, host: HostFunctions | undefined) {
    this.#names = plan.names
    this.#resultAt = plan.names.indexOf(RESULT)
    this.#run = backend.query(plan)
    this.#data = data
    this.#host = host ?? {}
  }

  /** @throws {RegoError} as `Policy.eval` */
  eval(input?: unknown, options: EvalOptions = {}): Answer {
    const adoptedInput = input === undefined ? undefined : adopted(input, 'input', false)
    try {
      return this.#once(adoptedInput, options, new Budget(options), new Answers(), new Map())
    } catch (e) {
      if (e instanceof Pending) throw RegoError.of('host_function', 'an answer is a promise: evaluate with evalAsync')
      throw e
    }
  }

  async evalAsync(input?: unknown, options: EvalOptions = {}): Promise<Answer> {
    const adoptedInput = input === undefined ? undefined : adopted(input, 'input', false)
    const budget = new Budget(options)
    const answers = new Answers()
    const memo = new Map<string, unknown>()
    for (;;) {
      try {
        return this.#once(adoptedInput, options, budget, answers, memo)
      } catch (e) {
        if (!(e instanceof Pending)) throw e
        budget.restart()
        await e.settled
      }
    }
  }

  #once(
    input: Value | undefined,
    options: EvalOptions,
    budget: Budget,
    answers: Answers,
    memo: Map<string, unknown>,
  ): Answer {
    const context = {
      get timeNs(): bigint {
        if (options.timeNs === undefined) throw RegoError.of('host_function', 'the host gave no time')
        return options.timeNs
      },
      get seed(): Uint8Array {
        if (options.seed === undefined) throw RegoError.of('host_function', 'the host gave no seed')
        return options.seed
      },
      memo,
      host: this.#host,
      spend: (steps: number) => budget.spend(steps),
      reserve: (size: number) => budget.reserve(size),
      settle: <R>(key: string, ask: () => R | Promise<R>) => answers.settle(key, ask),
    }
    const machine = new Machine(budget, context, options.strictBuiltinErrors === true, options.onPrint)
    const env = new Env(machine, input, this.#data, [], undefined, undefined)
    const rows: Row[] = []
    try {
      this.#run(env, (values) => {
        rows.push(this.#row(values))
        return true
      })
    } catch (e) {
      if (isStackOverflow(e))
        throw RegoError.of('bound_depth', 'the evaluation is nested too deeply', undefined, { cause: e })
      throw e
    }
    return { rows, value: rows[0]?.value }
  }

  #row(values: readonly Value[]): Row {
    const bindings = newRecord()
    for (const [i, name] of this.#names.entries()) {
      if (i !== this.#resultAt && !isGenerated(name)) bindings[name] = values[i] as Value
    }
    return { bindings, value: this.#resultAt < 0 ? undefined : values[this.#resultAt] }
  }
}

function isStackOverflow(e: unknown): boolean {
  return e instanceof RangeError && /call stack/i.test(e.message)
}
