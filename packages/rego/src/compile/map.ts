import type { Body, CallExpr, Expr, RefTerm, Term, With } from '../syntax/ast.ts'
import type { Names } from './names.ts'
import { nameRef } from '../syntax/ast.ts'
import type { Location } from '../syntax/source.ts'

type OnTerm = (t: Term) => Term
type OnBody = (b: Body) => Body

/** A term with its parts replaced; itself if none changed. Operators of calls are left alone. */
export function mapTerm(t: Term, onTerm: OnTerm, onBody: OnBody): Term {
  switch (t.kind) {
    case 'ref': {
      const head = onTerm(t.head)
      const path = mapList(t.path, onTerm)
      return head === t.head && path === t.path ? t : { ...t, head, path }
    }
    case 'call': {
      const args = mapList(t.args, onTerm)
      return args === t.args ? t : { ...t, args }
    }
    case 'array':
    case 'set': {
      if (t.ground) return t
      const items = mapList(t.items, onTerm)
      return items === t.items ? t : { ...t, items }
    }
    case 'object': {
      if (t.ground) return t
      const entries = mapEntries(t.entries, onTerm)
      return entries === t.entries ? t : { ...t, entries }
    }
    case 'array-comprehension':
    case 'set-comprehension': {
      const body = onBody(t.body)
      const term = onTerm(t.term)
      return body === t.body && term === t.term ? t : { ...t, term, body }
    }
    case 'object-comprehension': {
      const body = onBody(t.body)
      const key = onTerm(t.key)
      const value = onTerm(t.value)
      return body === t.body && key === t.key && value === t.value ? t : { ...t, key, value, body }
    }
    case 'template': {
      const parts = mapList(t.parts, (part) => {
        if (!('expr' in part)) return part
        const expr = mapExpr(part.expr, onTerm, onBody)
        return expr === part.expr ? part : { expr }
      })
      return parts === t.parts ? t : { ...t, parts }
    }
    default:
      return t
  }
}

export function mapExpr(e: Expr, onTerm: OnTerm, onBody: OnBody): Expr {
  const withs = mapWith(e.with, onTerm)
  const base = withs === e.with ? e : { ...e, with: withs }
  switch (base.kind) {
    case 'term': {
      const term = onTerm(base.term)
      return term === base.term ? base : { ...base, term }
    }
    case 'call': {
      const args = mapList(base.args, onTerm)
      return args === base.args ? base : { ...base, args }
    }
    case 'some':
      return base
    case 'some-in': {
      const key = base.key && onTerm(base.key)
      return { ...base, key, value: onTerm(base.value), domain: onTerm(base.domain) }
    }
    case 'every': {
      const domain = onTerm(base.domain)
      const body = onBody(base.body)
      return domain === base.domain && body === base.body ? base : { ...base, domain, body }
    }
    case 'not': {
      const body = onBody(base.body)
      return body === base.body ? base : { ...base, body }
    }
    case 'and':
    case 'or': {
      const lhs = onBody(base.lhs)
      const rhs = onBody(base.rhs)
      return lhs === base.lhs && rhs === base.rhs ? base : { ...base, lhs, rhs }
    }
  }
}

function mapWith(withs: readonly With[], onTerm: OnTerm): readonly With[] {
  return mapList(withs, (w) => {
    const target = onTerm(w.target)
    const value = onTerm(w.value)
    return target === w.target && value === w.value ? w : { ...w, target, value }
  })
}

/** The same array if no element changed. */
export function mapList<E>(list: readonly E[], f: (e: E) => E): readonly E[] {
  let out: E[] | undefined
  for (const [i, was] of list.entries()) {
    const is = f(was)
    if (out === undefined && is !== was) out = list.slice(0, i)
    out?.push(is)
  }
  return out ?? list
}

function mapEntries(entries: readonly (readonly [Term, Term])[], onTerm: OnTerm): readonly (readonly [Term, Term])[] {
  return mapList(entries, (entry) => {
    const [k, v] = entry
    const key = onTerm(k)
    const value = onTerm(v)
    return key === k && value === v ? entry : [key, value]
  })
}

/** `a = b`, made by the compiler. */
export function equation(a: Term, b: Term, loc: Location, origin?: Expr, withs: readonly With[] = []): CallExpr {
  const op = nameRef('eq', loc)
  const base = { kind: 'call', loc, negated: false, with: withs, op, args: [a, b] } as const
  return origin === undefined ? base : { ...base, origin }
}

/** A fresh variable and the expression that gives it the value of a term. */
export function capture(names: Names, t: Term, origin?: Expr, withs: readonly With[] = []): [Term, CallExpr] {
  const local = names.fresh(t.loc)
  return [local, equation(local, t, t.loc, origin, withs)]
}

/** Adds expressions to a body; the body `true`, which stands for none, gives way. */
export function appendTo(body: Body, added: readonly Expr[]): Body {
  if (added.length === 0) return body
  return isTrueBody(body) ? added : [...body, ...added]
}

export function isTrueBody(body: Body): boolean {
  const [only] = body
  if (body.length !== 1 || only?.kind !== 'term' || only.negated || only.with.length > 0) return false
  return only.term.kind === 'boolean' && only.term.value
}

export function isScalar(t: Term): boolean {
  return t.kind === 'string' || t.kind === 'number' || t.kind === 'boolean' || t.kind === 'null'
}

/** True for `name` as operator of a call. */
export function isOp(op: RefTerm, name: string): boolean {
  return op.path.length === 0 && op.head.kind === 'var' && op.head.name === name
}

/** An equation, whoever made it: `=`, `:=` after its variables got their names, or the compiler's own. */
export function isEquation(e: Expr): boolean {
  return e.kind === 'call' && e.args.length === 2 && isOp(e.op, 'eq')
}
