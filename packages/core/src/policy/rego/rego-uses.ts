import type { Policy } from '@vouchsafe/rego'
import type { ClaimStep } from '../../claims/claim-paths.ts'
import type { ClaimComparison, ClaimUse, ReferenceUse, Uses } from '../claim-use.ts'
import type { Place } from '../policy-finding.ts'
import { REFERENCE_FUNCTION } from './reference-function.ts'

type Program = Policy['program']
type Node = Program['root']
type Rule = Node['rules'][number]
type Body = Rule['body']
type Expr = Body[number]
type Term = NonNullable<Rule['value']>
type Path = readonly ClaimStep[]
/** Which claim a variable stands for. What is not here is not known. */
type Scope = Map<string, Path>

const ORDER = new Set(['lt', 'lte', 'gt', 'gte'])

/** Which claims the rules behind an entry read, what they compare them with, and which reference values they ask for. Read off the compiled form, where every name is resolved. */
export function usesOfRego({ program }: Policy, entry: readonly string[]): RegoUses {
  const walk = new Walk()
  for (const node of behind(program, entry)) for (const rule of node.rules) walk.rule(rule)
  return walk
}

export interface RegoUses extends Uses {
  readonly asks: readonly ReferenceUse[]
}

/** The nodes whose rules can have a part in the entry's value: itself, what is below it, and all that those need. */
function behind(program: Program, entry: readonly string[]): ReadonlySet<Node> {
  const start = program.root.find(entry)
  const found = new Set<Node>()
  const visit = (node: Node): void => {
    if (found.has(node)) return
    found.add(node)
    for (const needed of program.graph.needs.get(node) ?? []) visit(needed)
  }
  if (start !== undefined) for (const node of start.all()) visit(node)
  return found
}

class Walk {
  readonly reads: ClaimUse[] = []
  readonly comparisons: ClaimComparison[] = []
  readonly asks: ReferenceUse[] = []

  rule(rule: Rule): void {
    for (let clause: Rule | undefined = rule; clause !== undefined; clause = clause.else) {
      const scope: Scope = new Map()
      this.#body(clause.body, scope)
      for (const term of [clause.key, clause.value, ...clause.rest]) if (term !== undefined) this.#term(term, scope)
    }
  }

  #body(body: Body, scope: Scope): void {
    for (const expr of body) this.#expr(expr, scope)
  }

  #expr(expr: Expr, scope: Scope): void {
    for (const replacement of expr.with) this.#term(replacement.value, scope)
    switch (expr.kind) {
      case 'term':
        return this.#term(expr.term, scope)
      case 'call':
        return this.#call(expr, scope)
      case 'every': {
        this.#term(expr.domain, scope)
        const inner = new Map(scope)
        const domain = pathOf(expr.domain, scope)
        if (domain !== null) inner.set(expr.value.name, [...domain, null])
        return this.#body(expr.body, inner)
      }
      case 'not':
        return this.#body(expr.body, new Map(scope))
      case 'and':
      case 'or':
        this.#body(expr.lhs, new Map(scope))
        return this.#body(expr.rhs, new Map(scope))
      case 'some':
        return
      case 'some-in':
        return this.#term(expr.domain, scope)
    }
  }

  #call(expr: Extract<Expr, { kind: 'call' }>, scope: Scope): void {
    const name = nameOf(expr.op)
    const place = placeOf(expr)
    for (const arg of expr.args) this.#term(arg, scope)
    this.#asked(name, expr.args, place)
    const [left, right, third] = expr.args
    if (left === undefined || right === undefined) return
    if (name === 'eq' || name === 'assign') {
      // a variable that is bound to a claim stands for it from here on
      for (const [variable, claim] of [
        [left, right],
        [right, left],
      ] as const) {
        const path = pathOf(claim, scope)
        if (variable.kind === 'var' && path !== null && !expr.negated) scope.set(variable.name, path)
      }
    }
    if (name === 'object.get') return this.#get(left, right, third, scope, place)
    const operator = name === 'eq' || name === 'equal' || name === 'neq' ? 'equal' : ORDER.has(name) ? 'order' : null
    if (operator !== null) {
      this.#compare(left, right, operator, scope, place)
      this.#compare(right, left, operator, scope, place)
    }
    if (name !== 'internal.member_2') return
    this.#compare(right, left, 'member', scope, place)
    if (right.kind === 'set' || right.kind === 'array')
      for (const item of right.items) this.#compare(left, item, 'equal', scope, place)
  }

  #asked(name: string, [asked]: readonly Term[], place: Place): void {
    if (name === REFERENCE_FUNCTION && asked !== undefined)
      this.asks.push({ name: asked.kind === 'string' ? asked.value : null, place })
  }

  /** `object.get(input.launch, "image", …)` reads a claim by a text. */
  #get(on: Term, key: Term, otherwise: Term | undefined, scope: Scope, place: Place): void {
    if (otherwise !== undefined) this.#term(otherwise, scope)
    const path = pathOf(on, scope)
    const steps = key.kind === 'array' ? key.items.map(stepOf) : [stepOf(key)]
    if (path !== null) this.reads.push({ path: [...path, ...steps], place })
  }

  #compare(claim: Term, constant: Term, operator: ClaimComparison['operator'], scope: Scope, place: Place): void {
    const path = pathOf(claim, scope)
    const value = constantOf(constant)
    if (path !== null && path.length > 0 && value !== undefined)
      this.comparisons.push({ path, operator, constant: value, place })
  }

  #term(term: Term, scope: Scope): void {
    switch (term.kind) {
      case 'ref': {
        const path = pathOf(term, scope)
        // the last part of a path that leads on from a claim that was read already
        if (path !== null) this.reads.push({ path, place: placeOf(term) })
        else this.#term(term.head, scope)
        for (const step of term.path) this.#term(step, scope)
        return
      }
      case 'call':
        for (const arg of term.args) this.#term(arg, scope)
        return this.#asked(nameOf(term.op), term.args, placeOf(term))
      case 'array':
      case 'set':
        for (const item of term.items) this.#term(item, scope)
        return
      case 'object':
        for (const [key, value] of term.entries) {
          this.#term(key, scope)
          this.#term(value, scope)
        }
        return
      case 'array-comprehension':
      case 'set-comprehension': {
        const inner = new Map(scope)
        this.#body(term.body, inner)
        return this.#term(term.term, inner)
      }
      case 'object-comprehension': {
        const inner = new Map(scope)
        this.#body(term.body, inner)
        this.#term(term.key, inner)
        return this.#term(term.value, inner)
      }
      case 'template':
        for (const part of term.parts) if ('expr' in part) this.#expr(part.expr, new Map(scope))
        return
      case 'null':
      case 'boolean':
      case 'number':
      case 'string':
      case 'var':
        return
    }
  }
}

/** The claim that a term names; null when it names none. */
function pathOf(term: Term, scope: Scope): Path | null {
  if (term.kind === 'var') return term.name === 'input' ? [] : (scope.get(term.name) ?? null)
  if (term.kind !== 'ref') return null
  const head = pathOf(term.head, scope)
  return head === null ? null : [...head, ...term.path.map(stepOf)]
}

function stepOf(term: Term): ClaimStep {
  if (term.kind === 'string') return term.value
  return term.kind === 'number' ? Number(term.text) : null
}

function constantOf(term: Term): string | number | boolean | null | undefined {
  switch (term.kind) {
    case 'string':
    case 'boolean':
      return term.value
    case 'number':
      return Number(term.text)
    case 'null':
      return null
    default:
      return undefined
  }
}

function nameOf(op: Extract<Expr, { kind: 'call' }>['op']): string {
  const head = op.head.kind === 'var' ? op.head.name : ''
  return [head, ...op.path.map((s) => (s.kind === 'string' ? s.value : '?'))].join('.')
}

function placeOf({ loc }: { readonly loc: Term['loc'] }): Place {
  return { file: loc.file, row: loc.row, text: loc.text }
}
