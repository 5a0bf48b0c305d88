import type { Builtin } from '../builtins/index.ts'
import { refName, type RefTerm } from '../syntax/ast.ts'

/** What the stages ask about functions, built in or of the program. */
export type Functions = {
  /** Number of operands; undefined if there is no such function. A rule that is no function has 0. */
  readonly arity: (op: RefTerm) => number | undefined
  readonly builtin: (name: string) => Builtin | undefined
}

export function builtinOf(functions: Functions, op: RefTerm): Builtin | undefined {
  const name = refName(op)
  return name === undefined ? undefined : functions.builtin(name)
}

/** Gives nothing, so it may stand as a statement only. */
export function isVoid(b: Builtin): boolean {
  return b.decl.result === undefined
}
