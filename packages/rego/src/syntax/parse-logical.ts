import { refName, type Body, type Expr, type LogicalExpr } from './ast.ts'
import { attachWith, negate, parseExpr, parseNotBody } from './parse-expr.ts'
import type { ParserState } from './parser-state.ts'
import { parseInfix, parseTerm } from './parse-term.ts'
import type { Location } from './source.ts'
import { T } from './token.ts'

// The experimental operators `and` and `or`. Their operands are bodies: one expression, or several in braces. `and` binds
// tighter. Braces that could also be a set or object, and parentheses that could also group a term, are tried as a body first
// and given back to the term grammar when no operator follows.

export type Operand = { readonly body: Body; readonly braces: boolean; readonly start: number }
/** `no`: it was something else, nothing is consumed. `failed`: it is wrong, and the error is reported. */
export type Outcome<R> = R | 'no' | 'failed'

function atOperator(p: ParserState): boolean {
  return p.tok === T.logicalAnd || p.tok === T.logicalOr
}

/** Reads the operators behind a first operand. Without any, the operand's own expression. */
export function foldLogical(p: ParserState, first: Operand): Expr | undefined {
  if (!atOperator(p)) return first.body[0]
  return p.nested(() => {
    let lhs: Operand | undefined = foldAnd(p, first)
    for (let levels = 0; lhs !== undefined && p.tok === T.logicalOr; levels++) {
      p.checkDepth(levels)
      p.next()
      const operand = parseOperand(p, 'or')
      const rhs = operand && foldAnd(p, operand)
      lhs = rhs && join(p, 'or', lhs, rhs)
    }
    return lhs?.body[0]
  })
}

function foldAnd(p: ParserState, first: Operand): Operand | undefined {
  let lhs: Operand | undefined = first
  for (let levels = 0; lhs !== undefined && p.tok === T.logicalAnd; levels++) {
    p.checkDepth(levels)
    p.next()
    const rhs = parseOperand(p, 'and')
    lhs = rhs && join(p, 'and', lhs, rhs)
  }
  return lhs
}

function join(p: ParserState, kind: 'and' | 'or', lhs: Operand, rhs: Operand): Operand {
  for (const { body } of [lhs, rhs]) {
    if (body.every(isPrint)) {
      p.error(`operand of \`${kind}\` cannot consist only of calls to \`print\``, body[0]?.loc)
    }
  }
  const expr: LogicalExpr = {
    kind,
    loc: p.since(lhs.start),
    negated: false,
    with: [],
    lhs: lhs.body,
    rhs: rhs.body,
    lhsBraces: lhs.braces,
    rhsBraces: rhs.braces,
  }
  return { body: [expr], braces: false, start: lhs.start }
}

function isPrint(expr: Expr): boolean {
  return expr.kind === 'call' && !expr.negated && refName(expr.op) === 'print'
}

/** `op` is missing where the operand is only tried. */
function parseOperand(p: ParserState, op: string | undefined): Operand | undefined {
  const { start } = p
  if (p.tok === T.lbrace) return parseBracesOperand(p, op)
  let not: number | undefined
  if (p.tok === T.not && !p.startsReference) {
    not = start
    p.next()
  }
  if (not !== undefined && p.notBodies && p.tok === T.lbrace) {
    const negation = parseNotBody(p, not)
    return negation && { body: [negation], braces: false, start }
  }
  if (p.tok === T.lparen && (not === undefined || p.notBodies)) {
    const group = parseLogicalGroup(p, true)
    if (group === 'failed') return undefined
    if (group !== 'no') {
      if (not === undefined) return { ...group, start }
      const { body, braces } = group
      return {
        body: [{ kind: 'not', loc: p.since(not), negated: false, with: [], body, braces }],
        braces: false,
        start,
      }
    }
  }
  const bare = parseExpr(p)
  return bare && { body: [negate(p, bare, [], not)], braces: false, start }
}

function parseBracesOperand(p: ParserState, op: string | undefined): Operand | undefined {
  const { start, at } = p
  const open = p.here()
  const errors = p.errors.length
  p.next()
  const empty = p.tok === T.rbrace
  const body = p.parseBody(T.rbrace)
  if (body === undefined) {
    if (empty || op === undefined) return undefined
    const failures = p.errors.slice(errors)
    p.rewind(at, errors)
    if (parseInfix(p) !== undefined) return braceLed(p, open, p.since(start).text, op)
    p.rewind(at, errors)
    p.errors.push(...failures)
    return undefined
  }
  p.next()
  if (isAmbiguousUnion(p, body)) ambiguousUnion(p, open)
  return { body, braces: true, start }
}

function braceLed(p: ParserState, at: Location, text: string, op: string): undefined {
  p.hint(`wrap the operand to keep the value: \`(${text}) ${op} ...\``)
  return p.error(`operand of \`${op}\` cannot begin with \`{\` unless the braces hold a body`, at)
}

/** `{a | b}` written as an operand: a set comprehension to the eye, a union to the grammar. */
function isAmbiguousUnion(p: ParserState, body: Body): boolean {
  const first = body[0]
  if (first?.kind !== 'call' || refName(first.op) !== 'or') return false
  const { source } = p
  return source.text[first.op.loc.start] === '|' && source.text[first.loc.start] !== '('
}

function ambiguousUnion(p: ParserState, at: Location): undefined {
  return p.error(
    'ambiguous `{ ... | ... }` operand: read as a body holding a set-union expression, not as a comprehension',
    at,
  )
}

/** A literal that begins with a brace: an operand in braces if an operator follows. */
export function parseLeadingBraces(p: ParserState): Outcome<Expr> {
  const { start, at } = p
  const open = p.here()
  const errors = p.errors.length
  p.next()
  const body = p.parseBody(T.rbrace)
  if (body !== undefined) {
    p.next()
    if (atOperator(p)) {
      if (isAmbiguousUnion(p, body)) {
        ambiguousUnion(p, open)
        return 'failed'
      }
      return foldLogical(p, { body, braces: true, start }) ?? 'failed'
    }
  }
  p.rewind(at, errors)
  return 'no'
}

/** A literal that begins with a parenthesis, perhaps behind `not`: a group if operators are in or behind it. */
export function parseLeadingGroup(p: ParserState, not?: number): Outcome<Expr> {
  const { start } = p
  const group = parseLogicalGroup(p, not !== undefined)
  if (group === 'no' || group === 'failed') return group
  if (not === undefined) return foldLogical(p, { ...group, start }) ?? 'failed'
  const { body, braces } = group
  const negation: Expr = { kind: 'not', loc: p.since(not), negated: false, with: [], body, braces }
  return foldLogical(p, { body: [negation], braces: false, start: not }) ?? 'failed'
}

/** An operand that begins with a brace but is a value. */
export function rejectBraceLed(p: ParserState, expr: Expr): undefined {
  if (expr.kind === 'term' && expr.term.kind === 'object' && expr.term.entries.length === 0) {
    return p.error('found empty body', expr.loc)
  }
  return braceLed(p, expr.loc, expr.loc.text, p.tok === T.logicalAnd ? 'and' : 'or')
}

export function withOnOperand(p: ParserState, at: Location): undefined {
  const op = p.tok === T.logicalAnd ? 'and' : 'or'
  p.hint(
    `wrap the operand in \`(...)\` or \`{...}\` to scope, or move \`with\` after the \`${op}\` expression to apply it to all of it`,
  )
  return p.error(`\`with\` modifier is not allowed on operand of \`${op}\``, at)
}

/** At `(`. `operand`: behind `and`, `or` or `not`, where parentheses hold a group sooner than a term. */
function parseLogicalGroup(p: ParserState, operand: boolean): Outcome<Operand> {
  const result = p.nested(() => parseOpenGroup(p, operand))
  return result ?? 'failed'
}

function parseOpenGroup(p: ParserState, operand: boolean): Outcome<Operand> {
  const { start, at } = p
  const open = p.here()
  const errors = p.errors.length
  const giveBack = (): 'no' => {
    p.rewind(at, errors)
    return 'no'
  }
  const closed = (group: Operand): Outcome<Operand> => {
    if (p.tok !== T.rparen) {
      p.error('expected ) to close parenthesized group')
      return 'failed'
    }
    p.next()
    return group
  }
  p.next()
  if (p.tok === T.rparen) {
    if (!operand) return giveBack()
    p.error('empty parenthesized group', open)
    return 'failed'
  }
  const lhs = parseOperand(p, undefined)
  if (lhs === undefined) return giveBack()
  const [only] = lhs.body
  if (atOperator(p)) {
    const folded = foldLogical(p, lhs)
    const whole = folded && attachWith(p, folded)
    return whole === undefined ? 'failed' : closed({ body: [whole], braces: false, start })
  }
  if (p.tok === T.with && !lhs.braces && only !== undefined) {
    const withAt = p.here()
    const scoped = attachWith(p, only)
    if (scoped === undefined) return 'failed'
    if (atOperator(p)) return withOnOperand(p, withAt) ?? 'failed'
    const group = closed({ body: [scoped], braces: false, start })
    return group === 'failed' || operand || atOperator(p) ? group : giveBack()
  }
  if (lhs.braces) {
    p.rewind(at, errors)
    p.next()
    const term = parseTerm(p)
    p.rewind(at, errors)
    if (term !== undefined) return 'no'
    p.error('`(...)` in an operand position cannot contain a body', open)
    return 'failed'
  }
  const group = only?.kind === 'and' || only?.kind === 'or' || only?.kind === 'not' || only?.negated === true
  return group ? closed({ ...lhs, braces: false, start }) : giveBack()
}
