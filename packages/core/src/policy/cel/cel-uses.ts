import type { ClaimStep } from '../../claims/claim-paths.ts'
import { claimAt } from '../../claims/claim-paths.ts'
import type { ClaimComparison, ClaimUse, Uses } from '../claim-use.ts'
import type { Place } from '../policy-finding.ts'
import type { CelProgram } from './cel-program.ts'
import { type CelExpr, literalOf, partsOf } from './syntax.ts'

type Path = readonly ClaimStep[]
/** Which claim a variable stands for; null where that is not known. */
type Scope = ReadonlyMap<string, Path | null>

const TOP: Scope = new Map([['assertion', []]])
const ORDER = new Set(['_<_', '_<=_', '_>_', '_>=_'])

/** Which claims an expression reads, and what it compares them with. */
export function usesOfCel({ terms }: CelProgram, file: string): Uses {
  const walk = new Walk(file)
  for (const term of terms) {
    walk.text = term.text
    walk.expr(term.expr, TOP)
  }
  return walk
}

/** The claims that a term reads by fixed paths, to be shown beside its answer. */
export function celReads(expr: CelExpr): readonly { readonly text: string; readonly path: Path }[] {
  const walk = new Walk('')
  walk.expr(expr, TOP)
  const known = walk.reads.filter(({ path }) => path.length > 0 && !path.includes(null))
  const byText = new Map(known.map(({ path }) => [['assertion', ...path].join('.'), path]))
  return [...byText].slice(0, 8).map(([text, path]) => ({ text, path }))
}

class Walk {
  readonly reads: ClaimUse[] = []
  readonly comparisons: ClaimComparison[] = []
  text = ''
  readonly #file: string

  constructor(file: string) {
    this.#file = file
  }

  get #place(): Place {
    return { file: this.#file, row: 0, text: this.text }
  }

  expr(expr: CelExpr, scope: Scope): void {
    const path = pathOf(expr, scope)
    if (path !== null) {
      this.reads.push({ path, place: this.#place })
      this.#indices(expr, scope)
      return
    }
    const { exprKind } = expr
    if (exprKind.case === 'comprehensionExpr') {
      const { iterRange, iterVar, accuVar, accuInit, loopCondition, loopStep, result } = exprKind.value
      const range = iterRange === undefined ? null : pathOf(iterRange, scope)
      const at = range === null ? null : claimAt(range)
      // of a list an element, of a map a key: keys are no claims
      const element = at?.kind === 'claim' && at.claim.kind === 'list' && range !== null ? [...range, null] : null
      const inner = new Map([...scope, [iterVar, element], [accuVar, null]])
      for (const part of [iterRange, accuInit]) if (part !== undefined) this.expr(part, scope)
      for (const part of [loopCondition, loopStep, result]) if (part !== undefined) this.expr(part, inner)
      return
    }
    if (exprKind.case === 'callExpr') this.#compare(exprKind.value.function, exprKind.value.args, scope)
    for (const part of partsOf(expr)) this.expr(part, scope)
  }

  /** Dynamic indices of a path are expressions of their own. */
  #indices(expr: CelExpr, scope: Scope): void {
    const { exprKind } = expr
    if (exprKind.case === 'callExpr') {
      const [on, index] = exprKind.value.args
      if (index !== undefined && literalOf(index) === undefined) this.expr(index, scope)
      if (on !== undefined) this.#indices(on, scope)
    }
    if (exprKind.case === 'selectExpr' && exprKind.value.operand !== undefined)
      this.#indices(exprKind.value.operand, scope)
  }

  #compare(name: string, args: readonly CelExpr[], scope: Scope): void {
    const [left, right] = args
    if (left === undefined || right === undefined) return
    const add = (claim: CelExpr, constant: CelExpr, operator: ClaimComparison['operator']) => {
      const path = pathOf(claim, scope)
      const value = literalOf(constant)
      if (path !== null && path.length > 0 && value !== undefined)
        this.comparisons.push({ path, operator, constant: value, place: this.#place })
    }
    const operator = name === '_==_' || name === '_!=_' ? 'equal' : ORDER.has(name) ? 'order' : null
    if (operator !== null) {
      add(left, right, operator)
      add(right, left, operator)
    }
    if (name !== '@in') return
    // a map's members are its keys: any text may be asked for
    const into = pathOf(right, scope)
    const at = into === null ? null : claimAt(into)
    if (at?.kind === 'claim' && at.claim.kind === 'list') add(right, left, 'member')
    if (right.exprKind.case === 'listExpr')
      for (const element of right.exprKind.value.elements) add(left, element, 'equal')
  }
}

/** The claim that an expression names; null when it is no plain path from one. */
function pathOf(expr: CelExpr, scope: Scope): Path | null {
  const { exprKind } = expr
  if (exprKind.case === 'identExpr') return scope.get(exprKind.value.name) ?? null
  if (exprKind.case === 'selectExpr') {
    const { operand, field } = exprKind.value
    const on = operand === undefined ? null : pathOf(operand, scope)
    return on === null ? null : [...on, field]
  }
  if (exprKind.case !== 'callExpr' || exprKind.value.function !== '_[_]') return null
  const [operand, index] = exprKind.value.args
  const on = operand === undefined ? null : pathOf(operand, scope)
  if (on === null || index === undefined) return null
  const key = literalOf(index)
  return [...on, typeof key === 'string' || typeof key === 'number' ? key : null]
}
