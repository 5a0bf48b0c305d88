import { refName, type Body, type Expr, type Term, type VarTerm } from './ast.ts'
import { attachWith, negate, parseExpr, parseNotBody, parseWith } from './parse-expr.ts'
import { foldLogical, parseLeadingBraces, parseLeadingGroup, rejectBraceLed, withOnOperand } from './parse-logical.ts'
import type { ParserState } from './parser-state.ts'
import { parseInfix, parseVar } from './parse-term.ts'
import { T, tokenName, type TokenKind } from './token.ts'

/** Gives the state the two rules that terms need (comprehensions and templates hold bodies). */
export function connect(p: ParserState): void {
  p.parseBody = (end) => p.nested(() => parseQuery(p, end, false))
  p.parseLiteral = () => parseLiteral(p)
}

/**
 * Expressions up to `end`, which stays current. They are separated by `;` or a line break.
 *
 * @param statement - At the top level, where a line break ends the query.
 */
export function parseQuery(p: ParserState, end: TokenKind, statement: boolean): Body | undefined {
  if (p.tok === end) return p.error('found empty body')
  const body: Expr[] = []
  for (;;) {
    const expr = parseLiteral(p)
    if (expr === undefined) return undefined
    body.push(expr)
    if (p.tok === T.semicolon) {
      p.next()
      continue
    }
    if (p.tok === end || statement) return body
    if (!p.lineBreak) {
      if (p.errors.length === 0) p.unexpected(`expected \\n or ; or ${tokenName(end)}`)
      return undefined
    }
  }
}

export function parseLiteral(p: ParserState): Expr | undefined {
  if (p.active.has(T.logicalAnd) || p.active.has(T.logicalOr)) {
    const outcome = p.tok === T.lbrace ? parseLeadingBraces(p) : p.tok === T.lparen ? parseLeadingGroup(p) : 'no'
    if (outcome !== 'no') return outcome === 'failed' ? undefined : attachWith(p, outcome)
  }
  if (p.isKeyword && p.startsReference) {
    p.tok = T.ident
    return parseExprLiteral(p, undefined)
  }
  let not: number | undefined
  if (p.tok === T.not) {
    not = p.start
    p.next()
    if (p.notBodies && p.tok === T.lbrace) {
      const negation = parseNotBody(p, not)
      if (negation === undefined) return undefined
      const folded = foldLogical(p, { body: [negation], braces: false, start: not })
      return folded && attachWith(p, folded)
    }
  }
  if (p.tok === T.some || p.tok === T.every) {
    const word = p.tok === T.some ? 'some' : 'every'
    if (not !== undefined) return p.unexpected(`illegal negation of '${word}'`)
    return p.tok === T.some ? parseSome(p) : parseEvery(p)
  }
  return parseExprLiteral(p, not)
}

/** An expression with its `with` and, where they are switched on, `and` and `or`. */
function parseExprLiteral(p: ParserState, not: number | undefined): Expr | undefined {
  const { start } = p
  if (not !== undefined && p.notBodies && p.tok === T.lparen) {
    const outcome = parseLeadingGroup(p, not)
    if (outcome !== 'no') return outcome === 'failed' ? undefined : attachWith(p, outcome)
  }
  const bare = parseExpr(p)
  if (bare === undefined) return undefined
  const withAt = p.tok === T.with ? p.here() : undefined
  const withs = withAt === undefined ? [] : parseWith(p)
  if (withs === undefined) return undefined
  const expr = negate(p, bare, withs, not)
  if (p.tok !== T.logicalAnd && p.tok !== T.logicalOr) return expr
  if (withAt !== undefined) return withOnOperand(p, withAt)
  if (not === undefined && p.source.text[start] === '{') return rejectBraceLed(p, expr)
  const folded = foldLogical(p, { body: [expr], braces: false, start: not ?? start })
  return folded && attachWith(p, folded)
}

type Membership = { readonly key: Term | undefined; readonly value: Term; readonly domain: Term }

/** Takes `x in xs` and `k, v in xs` apart. */
function membership(term: Term): Membership | undefined {
  if (term.kind !== 'call') return undefined
  const name = refName(term.op)
  const [a, b, c] = term.args
  if (name === 'internal.member_2' && a !== undefined && b !== undefined) {
    return { key: undefined, value: a, domain: b }
  }
  if (name === 'internal.member_3' && a !== undefined && b !== undefined && c !== undefined) {
    return { key: a, value: b, domain: c }
  }
  return undefined
}

function parseSome(p: ParserState): Expr | undefined {
  const { start, at } = p
  const errors = p.errors.length
  p.next()
  const term = parseInfix(p)
  if (term?.kind === 'call') {
    const parts = membership(term)
    if (parts === undefined) return p.unexpected('expected `x in xs` or `x, y in xs` expression')
    return attachWith(p, { kind: 'some-in', loc: p.since(start), negated: false, with: [], ...parts })
  }
  p.rewind(at, errors)
  const symbols: VarTerm[] = []
  do {
    p.next()
    if (p.tok !== T.ident) return p.unexpected('expected var')
    symbols.push(parseVar(p) as VarTerm)
    p.next()
  } while (p.tok === T.comma)
  return { kind: 'some', loc: p.since(start), negated: false, with: [], symbols }
}

function parseEvery(p: ParserState): Expr | undefined {
  const { start } = p
  p.next()
  const term = parseInfix(p)
  if (term === undefined) return undefined
  const parts = membership(term)
  if (parts === undefined) return p.unexpected('expected `x[, y] in xs { ... }` expression')
  const { key, value, domain } = parts
  if (key !== undefined && key.kind !== 'var') return p.unexpected('expected key to be a variable')
  if (value.kind !== 'var') return p.unexpected('expected value to be a variable')
  if (p.tok !== T.lbrace) return p.unexpected('missing body')
  p.next()
  const body = p.parseBody(T.rbrace)
  if (body === undefined) return undefined
  p.next()
  return attachWith(p, { kind: 'every', loc: p.since(start), negated: false, with: [], key, value, domain, body })
}
