import { BuiltinError, printLines, type Builtin, type BuiltinContext } from '../builtins/index.ts'
import { RegoError } from '../errors.ts'
import type { Location } from '../syntax/source.ts'
import { isArray, type Value } from '../value/index.ts'
import type { Budget } from './bounds.ts'

/** What one run of an evaluation has: its bounds, and what it lends to built-ins. */
export class Machine {
  readonly budget: Budget
  readonly context: BuiltinContext
  /** Failing built-ins end the evaluation instead of being undefined. */
  readonly strict: boolean
  /** Where `print` goes. */
  readonly print: ((text: string, at: Location) => void) | undefined

  constructor(
    budget: Budget,
    context: BuiltinContext,
    strict: boolean,
    print: ((text: string, at: Location) => void) | undefined,
  ) {
    this.budget = budget
    this.context = context
    this.strict = strict
    this.print = print
  }

  /** Prints the operands of one call of `print`, one line for each combination of their values. */
  show(operands: Value, at: Location): void {
    if (this.print === undefined || !isArray(operands)) return
    for (const line of printLines(operands)) this.print(line, at)
  }

  /** Calls a built-in. Its failure is undefined, or in strict mode the end. */
  call(builtin: Builtin, args: Value[], at: Location): Value | undefined {
    const { budget } = this
    if (--budget.fuel < 0) budget.refuel()
    try {
      return builtin.call(this.context, ...args)
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
