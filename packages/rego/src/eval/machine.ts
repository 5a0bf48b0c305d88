import { BuiltinError, printLines, type Builtin, type BuiltinContext, type HostFunctions } from '../builtins/index.ts'
import { RegoError } from '../errors.ts'
import type { Location } from '../syntax/source.ts'
import { isArray, type Value } from '../value/index.ts'
import { Budget, type Bounds } from './bounds.ts'
import { Joins } from './joins.ts'
import { Answers } from './settle.ts'

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

/** One decision: its bounds, its answers from the host, and what it lends to built-ins. Outlives the retries of one decision. */
export class Machine implements BuiltinContext {
  readonly budget: Budget
  readonly host: HostFunctions
  /** Failing built-ins end the evaluation instead of being undefined. */
  readonly strict: boolean
  readonly #options: EvalOptions
  #memo: Map<string, unknown> | undefined
  #answers: Answers | undefined
  #joins: Joins | undefined

  constructor(options: EvalOptions, host: HostFunctions) {
    this.budget = new Budget(options)
    this.host = host
    this.strict = options.strictBuiltinErrors === true
    this.#options = options
  }

  get timeNs(): bigint {
    const { timeNs } = this.#options
    if (timeNs === undefined) throw RegoError.of('host_function', 'the host gave no time')
    return timeNs
  }

  get seed(): Uint8Array {
    const { seed } = this.#options
    if (seed === undefined) throw RegoError.of('host_function', 'the host gave no seed')
    return seed
  }

  get memo(): Map<string, unknown> {
    return (this.#memo ??= new Map())
  }

  get joins(): Joins {
    return (this.#joins ??= new Joins(this.budget))
  }

  spend(steps: number): void {
    this.budget.spend(steps)
  }

  reserve(size: number): void {
    this.budget.reserve(size)
  }

  settle<R>(key: string, ask: () => R | Promise<R>): R {
    return (this.#answers ??= new Answers()).settle(key, ask)
  }

  /** Prints the operands of one call of `print`, one line for each combination of their values. */
  show(operands: Value, at: Location): void {
    const { onPrint } = this.#options
    if (onPrint === undefined || !isArray(operands)) return
    for (const line of printLines(operands)) onPrint(line, at)
  }

  /** Calls a built-in. Its failure is undefined, or in strict mode the end. */
  call(builtin: Builtin, args: Value[], at: Location): Value | undefined {
    const { budget } = this
    if (--budget.fuel < 0) budget.refuel()
    try {
      return builtin.call(this, ...args)
    } catch (e) {
      return this.failed(e, builtin, at)
    }
  }

  /** What a built-in's exception means. */
  failed(e: unknown, builtin: Builtin, at: Location): undefined {
    if (!(e instanceof BuiltinError)) throw e
    if (!this.strict) return undefined
    throw RegoError.of(e.code, `${builtin.name}: ${e.message}`, at, { cause: e })
  }
}
