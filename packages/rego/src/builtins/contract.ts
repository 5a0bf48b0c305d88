import type { Value } from '../value/index.ts'
import type { HostFunctions } from './host.ts'
import type { TypeDecl } from './types.ts'

export type BuiltinErrorCode = 'eval_type_error' | 'eval_builtin_error'

/**
 * A built-in cannot answer. In normal mode the call is then undefined; in strict mode the evaluation ends with
 * `code` and the message `<name>: <message>`.
 */
export class BuiltinError extends Error {
  override readonly name = 'BuiltinError'
  readonly code: BuiltinErrorCode
  constructor(message: string, code: BuiltinErrorCode = 'eval_builtin_error', options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Does this work? False for a failure of a built-in; anything else is thrown on. */
export function succeeds(attempt: () => unknown): boolean {
  try {
    attempt()
    return true
  } catch (error) {
    if (error instanceof BuiltinError) return false
    throw error
  }
}

/** A failure of a built-in gets its place in front: `<what>: <message>`. */
export function within<R>(what: string, attempt: () => R): R {
  try {
    return attempt()
  } catch (error) {
    if (!(error instanceof BuiltinError)) throw error
    throw new BuiltinError(`${what}: ${error.message}`, error.code, { cause: error })
  }
}

/**
 * What an evaluation lends to its built-ins. One context per decision: time, seed and caches do not change within it,
 * so that a decision replays.
 */
export interface BuiltinContext {
  /** The decision's time, nanoseconds since 1970. */
  readonly timeNs: bigint
  /** The decision's seed for `rand.intn` and `uuid.rfc4122`: at least 16 bytes, from the host. */
  readonly seed: Uint8Array
  /** What built-ins remember within one decision, by name and arguments. */
  readonly memo: Map<string, unknown>
  readonly host: HostFunctions
  /** Takes `steps` from the budget. Throws when it is used up; that error is fatal, never "undefined". */
  spend(steps: number): void
  /** Announces a result of about `size` characters or elements before it is built. Throws past the bound; fatal. */
  reserve(size: number): void
  /**
   * The answer of a host function, which may come later: `key` names function and arguments. When the answer is a
   * promise, this throws a private signal; the evaluation runs again once it is settled.
   */
  settle<T>(key: string, ask: () => T | Promise<T>): T
}

/** One built-in function. */
export interface Builtin {
  readonly name: string
  readonly decl: {
    readonly args: readonly TypeDecl[]
    /** Absent for functions that give nothing (`print`). */
    readonly result?: TypeDecl
    /** Any number of further operands of this type. */
    readonly variadic?: TypeDecl
  }
  readonly infix?: string
  readonly deprecated?: true
  /** The answer depends on more than the operands: it may not be computed when compiling, and explanations mark it. */
  readonly nondeterministic?: true
  /** Several answers per call: `call` returns an array of them (`walk`). */
  readonly relation?: true
  /** Exists only when the host provides the function of this name. */
  readonly host?: keyof HostFunctions
  /** Replaced by the compiler; `call` is only reached if that did not happen, and throws. */
  readonly compiled?: true
  /**
   * Checks the operands, then answers; undefined means undefined.
   *
   * @throws {BuiltinError} no answer. Anything else thrown is fatal.
   */
  call(ctx: BuiltinContext, ...args: Value[]): Value | undefined
}
