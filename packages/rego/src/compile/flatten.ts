import type { Body, Expr, Term, With } from '../syntax/ast.ts'
import { isLiteral, nameRef } from '../syntax/ast.ts'
import { visitTerm } from '../syntax/visit.ts'
import { appendTo, capture, equation, isEquation, isOp, mapExpr, mapList, mapTerm } from './map.ts'
import type { Names } from './names.ts'
import type { WorkRule } from './rule.ts'

/**
 * Pulls nested calls out into expressions of their own in front: `f(g(x)) > 1` becomes `g(x, a); f(a, b); b > 1`. This fixes
 * the order of evaluation, and it is why the older `not` fails when an operand of a negated call is undefined.
 */
export class Flattener {
  readonly #names: Names

  constructor(names: Names) {
    this.#names = names
  }

  rule(r: WorkRule): void {
    const extra: Expr[] = []
    r.args = r.args && mapList(r.args, (t) => this.#term(t, extra))
    r.key = r.key && this.#term(r.key, extra)
    r.value = r.value && this.#term(r.value, extra)
    r.body = this.body(appendTo(r.body, extra))
  }

  body(body: Body): Body {
    const out: Expr[] = []
    for (const e of body) this.#expr(e, out)
    return out
  }

  #expr(e: Expr, out: Expr[]): void {
    const withs = mapList(e.with, (w) => {
      const value = this.#term(w.value, out)
      return value === w.value ? w : { ...w, value }
    })
    const base = withs === e.with ? e : { ...e, with: withs }
    const scoped: Expr[] = []
    let flat: Expr
    switch (base.kind) {
      case 'term':
        flat = { ...base, term: this.#term(base.term, scoped) }
        break
      case 'call':
        flat = { ...base, args: mapList(base.args, (a) => this.#term(a, scoped)) }
        break
      case 'every': {
        const domain = this.#names.fresh(base.domain.loc)
        this.#expr(equation(domain, base.domain, base.domain.loc, base), scoped)
        flat = { ...base, domain, body: this.body(base.body) }
        break
      }
      case 'not':
        flat = { ...base, body: this.body(base.body) }
        break
      case 'and':
      case 'or':
        flat = { ...base, lhs: this.body(base.lhs), rhs: this.body(base.rhs) }
        break
      default:
        flat = base
    }
    for (const x of scoped) out.push(withs.length === 0 && x.origin !== undefined ? x : scope(x, withs, e))
    out.push(flat)
  }

  #term(t: Term, out: Expr[]): Term {
    if (isLiteral(t)) return t
    switch (t.kind) {
      case 'call': {
        const args = t.args.map((a) => this.#term(a, out))
        const result = this.#names.fresh(t.loc)
        out.push({
          kind: 'call',
          loc: t.loc,
          negated: false,
          with: [],
          op: t.op,
          args: [...args, result],
          generated: true,
        })
        return result
      }
      case 'ref': {
        let head = this.#term(t.head, out)
        const path = mapList(t.path, (x) => this.#term(x, out))
        if (head.kind !== 'var' && head.kind !== 'ref') {
          const [local, e] = capture(this.#names, head)
          out.push(e)
          head = local
        }
        return head === t.head && path === t.path ? t : { ...t, head, path }
      }
      case 'array':
      case 'set':
        return { ...t, items: mapList(t.items, (x) => this.#term(x, out)) }
      case 'object':
        return {
          ...t,
          entries: mapList(t.entries, (entry) => {
            const [k, v] = entry
            const key = this.#term(k, out)
            const value = this.#term(v, out)
            return key === k && value === v ? entry : ([key, value] as const)
          }),
        }
      case 'array-comprehension':
      case 'set-comprehension': {
        const extra: Expr[] = []
        const term = this.#term(t.term, extra)
        return { ...t, term, body: this.body(appendTo(t.body, extra)) }
      }
      case 'object-comprehension': {
        const extra: Expr[] = []
        const key = this.#term(t.key, extra)
        const value = this.#term(t.value, extra)
        return { ...t, key, value, body: this.body(appendTo(t.body, extra)) }
      }
      default:
        return t
    }
  }
}

/** An expression that was part of another keeps that one's replacements. */
function scope(x: Expr, withs: readonly With[], origin: Expr): Expr {
  return { ...x, with: withs, origin: x.origin ?? origin }
}

/** True if a term's value has to be looked up or computed. */
export function requiresEvaluation(t: Term): boolean {
  let found = false
  visitTerm(t, (x) => {
    if (x.kind === 'ref' || x.kind.endsWith('comprehension')) found = true
    return !found
  })
  return found
}

/** Binds the terms of comprehensions to variables of their bodies where they need evaluation. */
export function bindComprehensionTerms(body: Body, names: Names): Body {
  const onBody = (b: Body): Body => mapList(b, onExpr)
  const onTerm = (t: Term): Term => {
    switch (t.kind) {
      case 'array-comprehension':
      case 'set-comprehension': {
        const [term, extra] = bound(t.term)
        return { ...t, term, body: appendTo(onBody(t.body), extra) }
      }
      case 'object-comprehension': {
        const [key, first] = bound(t.key)
        const [value, second] = bound(t.value)
        return { ...t, key, value, body: appendTo(onBody(t.body), [...first, ...second]) }
      }
      default:
        return mapTerm(t, onTerm, onBody)
    }
  }
  const bound = (t: Term): [Term, readonly Expr[]] => {
    if (!requiresEvaluation(t)) return [t, []]
    const [local, e] = capture(names, onTerm(t))
    return [local, [e]]
  }
  const onExpr = (e: Expr): Expr => mapExpr(e, onTerm, onBody)
  return onBody(body)
}

/** Moves head parts that need evaluation into the body: a value that is undefined makes the rule undefined. */
export function bindHead(r: WorkRule, names: Names): void {
  const bind = (t: Term): Term => {
    if (!requiresEvaluation(t)) return t
    const [local, e] = capture(names, t)
    r.body = appendTo(r.body, [e])
    return local
  }
  r.key = r.key && bind(r.key)
  r.value = r.value && bind(r.value)
  r.args = r.args && mapList(r.args, bind)
}

/**
 * Binds references and comprehensions inside other terms to variables in front: `f(data.x)` becomes `a = data.x; f(a)`.
 * References that stand alone or on one side of an equation stay, also under `not`.
 */
export class DynamicTerms {
  readonly #names: Names

  constructor(names: Names) {
    this.#names = names
  }

  body(body: Body): Body {
    const out: Expr[] = []
    for (const e of body) out.push(this.#expr(e, out))
    return out
  }

  #expr(e: Expr, out: Expr[]): Expr {
    switch (e.kind) {
      case 'call': {
        const sides = isEquation(e)
        const args = mapList(e.args, (a) => (sides ? this.#side(a, e, out) : this.#bind(a, e, out)))
        return args === e.args ? e : { ...e, args }
      }
      case 'every':
        return { ...e, domain: this.#bind(e.domain, e, out), body: this.body(e.body) }
      case 'not':
        return { ...e, body: this.body(e.body) }
      case 'and':
      case 'or':
        return { ...e, lhs: this.body(e.lhs), rhs: this.body(e.rhs) }
      case 'term': {
        const term = this.#side(e.term, e, out)
        return term === e.term ? e : { ...e, term }
      }
      default:
        return e
    }
  }

  #side(t: Term, e: Expr, out: Expr[]): Term {
    switch (t.kind) {
      case 'ref':
        return this.#steps(t, e, out)
      case 'array-comprehension':
      case 'set-comprehension':
      case 'object-comprehension':
        return { ...t, body: this.body(t.body) }
      default:
        return this.#bind(t, e, out)
    }
  }

  #steps(t: Term & { kind: 'ref' }, e: Expr, out: Expr[]): Term {
    const path = mapList(t.path, (x) => this.#bind(x, e, out))
    return path === t.path ? t : { ...t, path }
  }

  #bind(t: Term, e: Expr, out: Expr[]): Term {
    if (isLiteral(t)) return t
    switch (t.kind) {
      case 'ref':
        return this.#capture(this.#steps(t, e, out), e, out)
      case 'array':
      case 'set': {
        const items = mapList(t.items, (x) => this.#bind(x, e, out))
        return items === t.items ? t : { ...t, items }
      }
      case 'object': {
        const entries = t.entries.map(([k, v]) => [this.#bind(k, e, out), this.#bind(v, e, out)] as const)
        return { ...t, entries }
      }
      case 'array-comprehension':
      case 'set-comprehension':
      case 'object-comprehension':
        return this.#capture({ ...t, body: this.body(t.body) }, e, out)
      default:
        return t
    }
  }

  #capture(t: Term, e: Expr, out: Expr[]): Term {
    const [local, bound] = capture(this.#names, t, e, e.with)
    out.push(bound)
    return local
  }
}

/** `==` as a statement is `=`: its operands are ground by now, and references in it stay in place. */
export function equalsToEquations(body: Body): Body {
  const onBody = (b: Body): Body =>
    mapList(b, (e) => {
      const mapped = mapExpr(e, onTerm, onBody)
      if (mapped.kind !== 'call' || mapped.args.length !== 2) return mapped
      return isOp(mapped.op, 'equal') ? { ...mapped, op: nameRef('eq', mapped.op.loc) } : mapped
    })
  const onTerm = (t: Term): Term => mapTerm(t, onTerm, onBody)
  return onBody(body)
}
