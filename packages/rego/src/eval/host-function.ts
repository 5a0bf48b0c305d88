import { T, type Builtin, type TypeDecl } from '../builtins/index.ts'
import { formatValue, type Value } from '../value/index.ts'
import { Pending, hostFailure } from './settle.ts'

/** A function that the host lends to policies. */
export type HostFunction = {
  /** Types of the operands, or just their number. */
  readonly args: number | readonly TypeDecl[]
  /** Default: any. */
  readonly result?: TypeDecl
  /**
   * The answer, now or later; undefined means undefined. Called once per decision and operands. What it throws ends the
   * decision with `host_function`: no answer is never "no".
   */
  readonly call: (...args: Value[]) => Value | undefined | Promise<Value | undefined>
  /** The answer follows from the operands alone. Default false: explanations mark it as coming from outside. */
  readonly deterministic?: boolean
}

export function hostBuiltins(functions: Readonly<Record<string, HostFunction>>): ReadonlyMap<string, Builtin> {
  return new Map(Object.entries(functions).map(([name, f]) => [name, hostBuiltin(name, f)]))
}

function hostBuiltin(name: string, f: HostFunction): Builtin {
  const args = typeof f.args === 'number' ? Array.from({ length: f.args }, () => T.any) : f.args
  return {
    name,
    decl: { args, result: f.result ?? T.any },
    ...(f.deterministic === true ? {} : { nondeterministic: true as const }),
    call: (ctx, ...operands) => {
      try {
        return ctx.settle(`${name}\0${operands.map(formatValue).join('\0')}`, () => f.call(...operands))
      } catch (e) {
        if (e instanceof Pending) throw e
        throw hostFailure(name, e)
      }
    },
  }
}
