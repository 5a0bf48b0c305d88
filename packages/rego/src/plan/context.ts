import type { Program } from '../compile/compiler.ts'
import type { RuleNode } from '../compile/tree.ts'
import type { Body, Expr, RefTerm } from '../syntax/ast.ts'
import type { Builder } from './builder.ts'
import type { Operand, Reg } from './ir.ts'
import type { Replacements } from './replacements.ts'

/** What a plan that explains collects on its way. */
export type Sites = {
  /** The expression that is being planned, and how many came before it in the clause. */
  site: Expr | undefined
  order: number
  /** The current expression's reads, which references add to. */
  reads: (readonly [string, Reg])[]
  /** The names that the text uses, for a name of the plan. */
  written: (name: string) => string
}

/** What the planning of one program shares. */
export type PlanContext = {
  readonly program: Program
  /** Number of each node of the rule tree. */
  readonly ids: ReadonlyMap<RuleNode, number>
  /** What may be replaced by a `with`: nothing else has to be asked for when it is evaluated. */
  readonly replaceable: Replacements
  /** Collects sites if the plan is to explain. */
  readonly explain: Sites | undefined
  /** Plans the expressions of a body. */
  readonly body: (body: Body, b: Builder) => void
  /** A reference into `data`. */
  readonly data: (ref: RefTerm, b: Builder) => Operand
  /** The input document at this place; fails if there is none. */
  readonly input: (b: Builder) => Operand
}
