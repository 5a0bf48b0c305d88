import type { Diagnostic, RegoErrorCode } from '../errors.ts'
import type { Body, Module, Rule, Term } from '../syntax/ast.ts'
import type { Location } from '../syntax/source.ts'

/** One rule while the stages work on it. Stages replace its parts; `else` clauses are rules of their own kind. */
export type WorkRule = {
  readonly module: Module
  readonly source: Rule
  /** Strings from `data`'s first member on: package, name, and as many further strings as the head begins with. */
  readonly path: readonly string[]
  /** What follows in the head's reference: scalars and variables. */
  rest: readonly Term[]
  readonly default: boolean
  args: readonly Term[] | undefined
  /** Of `contains`. */
  key: Term | undefined
  value: Term | undefined
  body: Body
  readonly loc: Location
  else: WorkRule | undefined
}

export type RuleKind = 'complete' | 'set' | 'partial' | 'function'

/** How a rule adds to its document: `partial` has variables in its head's reference. */
export function ruleKind(r: WorkRule): RuleKind {
  if (r.args !== undefined) return 'function'
  if (r.rest.length > 0) return 'partial'
  return r.key === undefined ? 'complete' : 'set'
}

/** A rule and its `else` clauses. */
export function* clauses(rule: WorkRule): Generator<WorkRule> {
  for (let r: WorkRule | undefined = rule; r !== undefined; r = r.else) yield r
}

/** What the stages share: where findings go. */
export class Findings {
  readonly list: Diagnostic[] = []

  add(code: RegoErrorCode, message: string, location: Location): void {
    this.list.push({ code, message, location })
  }
}

/** A document path as OPA writes it. */
export function pathText(path: readonly string[]): string {
  return path.reduce(
    (s, p) => (/^[A-Za-z_][A-Za-z0-9_]*$/.test(p) ? `${s}.${p}` : `${s}[${JSON.stringify(p)}]`),
    'data',
  )
}
