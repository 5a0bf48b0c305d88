import type { Backend } from './backend/backend.ts'
import type { HostFunctions } from './builtins/index.ts'
import { RegoError } from './errors.ts'
import { Env } from './eval/env.ts'
import { Machine, type EvalOptions } from './eval/machine.ts'
import type { ExplainOptions, Explainer } from './explain/explainer.ts'
import type { Explanation } from './explain/explanation.ts'
import { Pending } from './eval/settle.ts'
import type { QueryPlan } from './plan/ir.ts'
import { adopt, fromJson, newRecord, ValueError, type Value } from './value/index.ts'

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
  /** There if it was asked for with `explain`. */
  readonly explanation?: Explanation
}

/** A document that was checked once and can be given to many evaluations. It must not change. */
export class Input {
  readonly value: Value

  /** @internal Use `readInput` or `parseInput`. */
  constructor(value: Value) {
    this.value = value
  }
}

/**
 * Checks a JSON value for use as input. It is read in place where it can be.
 *
 * @throws {RegoError} `input_malformed`
 */
export function readInput(v: unknown): Input {
  return new Input(adopted(v, 'input', false))
}

/**
 * Reads JSON text, with all digits of its numbers. A name that is given twice in one object is refused: two readers of such a text
 * may see two different claims.
 *
 * @throws {RegoError} `input_malformed`
 */
export function parseInput(json: string): Input {
  return new Input(checked('input', () => fromJson(json, { refuseDuplicates: true })))
}

export function adopted(v: unknown, what: string, copy: boolean): Value {
  return checked(what, () => adopt(v, { copy }))
}

function checked(what: string, read: () => Value): Value {
  try {
    return read()
  } catch (e) {
    if (e instanceof ValueError) throw RegoError.of('input_malformed', `${what}: ${e.message}`, undefined, { cause: e })
    throw e
  }
}

/** The variable that holds the value of a query which is one term. */
export const RESULT = '__result__'
const NO_BINDINGS: Readonly<Record<string, Value>> = Object.freeze(newRecord())
const NO_OPTIONS: QueryOptions = {}

export type QueryOptions = EvalOptions & {
  /**
   * Explain the outcome: which rules were tried, what failed in each, and the smallest set of input facts that would change it.
   * Slower; the answer is the same.
   */
  readonly explain?: boolean | ExplainOptions
}

/** A query over a policy, ready to be asked. */
export class PreparedQuery {
  readonly #names: readonly string[]
  readonly #run: (env: Env, onRow: (values: Value[]) => boolean) => void
  readonly #resultAt: number
  readonly #data: Value
  readonly #host: HostFunctions
  readonly #rules: number

  readonly #explainer: () => Explainer

  /** @internal Use `Policy.prepare`. */
  constructor(
    backend: Backend,
    plan: QueryPlan,
    data: Value,
    host: HostFunctions | undefined,
    explainer: () => Explainer,
  ) {
    this.#explainer = explainer
    this.#names = plan.names
    this.#resultAt = plan.names.indexOf(RESULT)
    this.#run = backend.query(plan)
    this.#rules = backend.nodes.length
    this.#data = data
    this.#host = host ?? {}
  }

  /** @throws {RegoError} as `Policy.eval` */
  eval(input?: unknown, options: QueryOptions = NO_OPTIONS): Answer {
    const document = documentOf(input)
    try {
      return this.#answer(document, new Machine(options, this.#host), options)
    } catch (e) {
      if (e instanceof Pending) throw RegoError.of('host_function', 'an answer is a promise: evaluate with evalAsync')
      throw e
    }
  }

  async evalAsync(input?: unknown, options: QueryOptions = NO_OPTIONS): Promise<Answer> {
    const document = documentOf(input)
    const machine = new Machine(options, this.#host)
    for (;;) {
      try {
        return this.#answer(document, machine, options)
      } catch (e) {
        if (!(e instanceof Pending)) throw e
        machine.budget.restart()
        await e.settled
      }
    }
  }

  #answer(input: Value | undefined, machine: Machine, options: QueryOptions): Answer {
    const { explain } = options
    if (explain === undefined || explain === false) return this.#once(input, machine)
    const { rows, explanation } = this.#explainer().explain(
      input,
      this.#data,
      machine,
      explain === true ? {} : explain,
      options,
      (other) => this.#valueOf(this.#once(other, new Machine(options, this.#host))),
    )
    const answers = rows.map((values) => this.#row(values))
    return { rows: answers, value: answers[0]?.value, explanation }
  }

  /** A query that is no single expression holds or does not. */
  #valueOf(answer: Answer): Value | undefined {
    if (this.#resultAt >= 0) return answer.value
    return answer.rows.length > 0 ? true : undefined
  }

  #once(input: Value | undefined, machine: Machine): Answer {
    const env = new Env(machine, input, this.#data, new Array(this.#rules), undefined, undefined)
    const rows: Row[] = []
    onEnoughStack(() =>
      this.#run(env, (values) => {
        rows.push(this.#row(values))
        return true
      }),
    )
    return { rows, value: rows.length === 0 ? undefined : (rows[0] as Row).value }
  }

  #row(values: readonly Value[]): Row {
    const at = this.#resultAt
    const value = at < 0 ? undefined : values[at]
    if (this.#names.length === (at < 0 ? 0 : 1)) return { bindings: NO_BINDINGS, value }
    const bindings = newRecord()
    for (const [i, name] of this.#names.entries()) if (i !== at) bindings[name] = values[i] as Value
    return { bindings, value }
  }
}

function documentOf(input: unknown): Value | undefined {
  if (input instanceof Input) return input.value
  return input === undefined ? undefined : adopted(input, 'input', false)
}

/** The engine's own bounds come first; this is the last line: a stack that is used up is a bound that was hit. */
export function onEnoughStack<R>(run: () => R): R {
  try {
    return run()
  } catch (e) {
    if (!(e instanceof RangeError) || !/call stack/i.test(e.message)) throw e
    throw RegoError.of('bound_depth', 'nested too deeply', undefined, { cause: e })
  }
}
