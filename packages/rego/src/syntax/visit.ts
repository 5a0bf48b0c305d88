import type { Body, Expr, Term } from './ast.ts'

/**
 * Walks a term and everything in it but the insides of literals, bodies of comprehensions included. `enter` says whether to go
 * inside.
 */
export function visitTerm(term: Term, enter: (t: Term) => boolean, enterExpr?: (e: Expr) => boolean): void {
  if (!enter(term)) return
  switch (term.kind) {
    case 'ref':
      visitTerm(term.head, enter, enterExpr)
      for (const step of term.path) visitTerm(step, enter, enterExpr)
      break
    case 'call':
      visitTerm(term.op, enter, enterExpr)
      for (const arg of term.args) visitTerm(arg, enter, enterExpr)
      break
    case 'array':
    case 'set':
      if (term.ground) return
      for (const item of term.items) visitTerm(item, enter, enterExpr)
      break
    case 'object':
      if (term.ground) return
      for (const [k, v] of term.entries) {
        visitTerm(k, enter, enterExpr)
        visitTerm(v, enter, enterExpr)
      }
      break
    case 'array-comprehension':
    case 'set-comprehension':
      visitTerm(term.term, enter, enterExpr)
      visitBody(term.body, enter, enterExpr)
      break
    case 'object-comprehension':
      visitTerm(term.key, enter, enterExpr)
      visitTerm(term.value, enter, enterExpr)
      visitBody(term.body, enter, enterExpr)
      break
    case 'template':
      for (const part of term.parts) if ('expr' in part) visitExpr(part.expr, enter, enterExpr)
      break
    default:
  }
}

export function visitBody(body: Body, enter: (t: Term) => boolean, enterExpr?: (e: Expr) => boolean): void {
  for (const e of body) visitExpr(e, enter, enterExpr)
}

export function visitExpr(e: Expr, enter: (t: Term) => boolean, enterExpr?: (e: Expr) => boolean): void {
  if (enterExpr !== undefined && !enterExpr(e)) return
  switch (e.kind) {
    case 'term':
      visitTerm(e.term, enter, enterExpr)
      break
    case 'call':
      visitTerm(e.op, enter, enterExpr)
      for (const arg of e.args) visitTerm(arg, enter, enterExpr)
      break
    case 'some':
      for (const s of e.symbols) visitTerm(s, enter, enterExpr)
      break
    case 'some-in':
      if (e.key !== undefined) visitTerm(e.key, enter, enterExpr)
      visitTerm(e.value, enter, enterExpr)
      visitTerm(e.domain, enter, enterExpr)
      break
    case 'every':
      if (e.key !== undefined) visitTerm(e.key, enter, enterExpr)
      visitTerm(e.value, enter, enterExpr)
      visitTerm(e.domain, enter, enterExpr)
      visitBody(e.body, enter, enterExpr)
      break
    case 'not':
      visitBody(e.body, enter, enterExpr)
      break
    case 'and':
    case 'or':
      visitBody(e.lhs, enter, enterExpr)
      visitBody(e.rhs, enter, enterExpr)
      break
  }
  for (const w of e.with) {
    visitTerm(w.target, enter, enterExpr)
    visitTerm(w.value, enter, enterExpr)
  }
}
