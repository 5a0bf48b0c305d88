import type { Expr, With } from './ast.ts'
import type { ParserState } from './parser-state.ts'
import { operatorRef, parseInfix, parseTerm } from './parse-term.ts'
import { T } from './token.ts'

/** Wraps an expression in the negation that is in force. */
export function negate(p: ParserState, bare: Expr, withs: readonly With[], not: number | undefined): Expr {
  if (not === undefined) return { ...bare, with: withs, loc: p.since(bare.loc.start) }
  if (!p.notBodies) return { ...bare, with: withs, negated: true, loc: p.since(not) }
  const loc = p.since(not)
  return { kind: 'not', loc, negated: false, with: withs, body: [{ ...bare, loc }], braces: false }
}

/** A bare expression: a term, or two around `:=` or `=`. */
export function parseExpr(p: ParserState): Expr | undefined {
  const { start } = p
  const lhs = parseInfix(p)
  if (lhs === undefined) return undefined
  if (p.tok === T.assign || p.tok === T.unify) {
    const op = operatorRef(p)
    const rhs = parseInfix(p)
    if (rhs === undefined) return undefined
    return { kind: 'call', loc: p.since(start), negated: false, with: [], op, args: [lhs, rhs] }
  }
  const loc = p.since(start)
  if (lhs.kind === 'call') return { kind: 'call', loc, negated: false, with: [], op: lhs.op, args: lhs.args }
  return { kind: 'term', loc, negated: false, with: [], term: lhs }
}

export function attachWith(p: ParserState, expr: Expr): Expr | undefined {
  if (p.tok !== T.with) return expr
  const withs = parseWith(p)
  return withs === undefined ? undefined : { ...expr, with: withs, loc: p.since(expr.loc.start) }
}

/** At the first `with`. */
export function parseWith(p: ParserState): With[] | undefined {
  const withs: With[] = []
  while (p.tok === T.with) {
    const { start } = p
    p.next()
    if (p.tok !== T.ident) return p.unexpected('expected ident')
    const target = parseTerm(p)
    if (target === undefined) return undefined
    if (target.kind !== 'ref' && target.kind !== 'var') return p.unexpected('expected with target path')
    if (p.tok !== T.as) return p.unexpected('expected as keyword')
    p.next()
    const value = parseInfix(p)
    if (value === undefined) return undefined
    withs.push({ loc: p.since(start), target, value })
  }
  return withs
}

/** `not { body }`, with the improved negation. */
export function parseNotBody(p: ParserState, start: number): Expr | undefined {
  p.next()
  const body = p.parseBody(T.rbrace)
  if (body === undefined) return undefined
  p.next()
  return { kind: 'not', loc: p.since(start), negated: false, with: [], body, braces: true }
}
