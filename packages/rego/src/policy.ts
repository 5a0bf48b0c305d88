import { Engines } from './backend/engines.ts'
import type { BackendChoice } from './backend/choose.ts'
import { BUILTINS } from './builtins/index.ts'
import { compileModules, compileQuery, type CompileOptions, type Program } from './compile/compiler.ts'
import { pathText } from './compile/rule.ts'
import { RegoError } from './errors.ts'
import { hostBuiltins, type HostFunction } from './eval/host-function.ts'
import { Explainer } from './explain/explainer.ts'
import { adopted, onEnoughStack, PreparedQuery, RESULT, type Answer, type QueryOptions } from './query.ts'
import { nameRef, type Body, type Module } from './syntax/ast.ts'
import { parseModule, parseQueryText, type ParseOptions } from './syntax/parse-module.ts'
import { isObject, newRecord, type Value } from './value/index.ts'

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

/** @throws {RegoError} with every finding of the first stage that has one */
export function compile(sources: Sources | readonly Module[], options: PolicyOptions = {}): Policy {
  return onEnoughStack(() => new Policy(sources, options))
}

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

  /** @internal The base data. */
  get data(): Value {
    return this.#data
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
    return onEnoughStack(() => this.#prepare(query))
  }

  #prepare(query: string): PreparedQuery {
    const body = parseQueryText(query, { logicalOperators: this.#options.logicalOperators === true })
    const compiled = compileQuery(asEquation(body), this.program)
    const { backend, plan } = this.#engines.planned(compiled)
    let explainer: Explainer | undefined
    const prepared = new PreparedQuery(backend, plan, this.#data, this.#options.host, () => {
      explainer ??= new Explainer(this.program, compiled, RESULT, this.#options.host ?? {})
      return explainer
    })
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
  eval(query: string, input?: unknown, options: QueryOptions = {}): Answer {
    return this.prepare(query).eval(input, options)
  }

  /** The same where host functions may answer later. */
  async evalAsync(query: string, input?: unknown, options: QueryOptions = {}): Promise<Answer> {
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
