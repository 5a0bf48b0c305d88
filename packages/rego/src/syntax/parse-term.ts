import { wellFormed } from '../value/index.ts'
import { arrayTerm, nameRef, objectTerm, refName, setTerm, type RefTerm, type TemplatePart, type Term } from './ast.ts'
import type { ParserState } from './parser-state.ts'
import { Location } from './source.ts'
import { OPERATOR_NAMES, T, tokenName, type TokenKind } from './token.ts'

/** How terms are called in messages. */
export function kindName(t: Term): string {
  switch (t.kind) {
    case 'array-comprehension':
      return 'arraycomprehension'
    case 'set-comprehension':
      return 'setcomprehension'
    case 'object-comprehension':
      return 'objectcomprehension'
    case 'template':
      return 'templatestring'
    default:
      return t.kind
  }
}

// Infix operators, loosest first; each level is left-associative, comparisons too.
const RELATIONS: readonly TokenKind[] = [T.equal, T.neq, T.lt, T.gt, T.lte, T.gte]
const LEVELS: readonly (readonly TokenKind[])[] = [RELATIONS, [T.or], [T.and], [T.add, T.sub], [T.mul, T.quo, T.rem]]

/** A term with all infix operators, also `k, v in xs`. */
export function parseInfix(p: ParserState): Term | undefined {
  return p.nested(() => parseMembership(p, true))
}

/** The same as a list element or argument: there a comma ends the term, so `k, v in xs` needs parentheses. */
export function parseListItem(p: ParserState): Term | undefined {
  return p.nested(() => parseMembership(p, false))
}

function parseMembership(p: ParserState, commaForm: boolean): Term | undefined {
  const start = p.start
  let lhs = parseLevel(p, 0)
  for (let levels = 0; lhs !== undefined; levels++) {
    p.checkDepth(levels)
    if (commaForm && p.tok === T.comma) {
      const { at } = p
      const errors = p.errors.length
      p.next()
      const value = parseLevel(p, 0)
      if (value !== undefined && p.tok === T.in) {
        const op = nameRef('internal.member_3', p.here())
        p.next()
        const rhs = parseLevel(p, 0)
        if (rhs !== undefined) {
          lhs = { kind: 'call', loc: p.since(start), op, args: [lhs, value, rhs] }
          if (readAsReference(p) || p.tok !== T.in) return lhs
          continue
        }
      }
      p.rewind(at, errors)
    }
    if (readAsReference(p) || p.tok !== T.in) return lhs
    const op = nameRef('internal.member_2', p.here())
    p.next()
    const rhs = parseLevel(p, 0)
    // what is wrong on the right has been reported; the left alone is no answer the caller could go on with
    if (rhs === undefined) return lhs
    lhs = { kind: 'call', loc: p.since(start), op, args: [lhs, rhs] }
  }
  return lhs
}

/** A keyword with `.` or `[` directly behind it is the head of a reference: the next statement begins here. */
function readAsReference(p: ParserState): boolean {
  if (!p.isKeyword || !p.startsReference) return false
  p.tok = T.ident
  return true
}

function parseLevel(p: ParserState, level: number): Term | undefined {
  const operators = LEVELS[level]
  if (operators === undefined) return parseTerm(p)
  const start = p.start
  let lhs = parseLevel(p, level + 1)
  // `1 + 1 + 1 + …` is a tree as deep as it is long
  for (let levels = 0; lhs !== undefined && operators.includes(p.tok); levels++) {
    p.checkDepth(levels)
    const op = operatorRef(p)
    const rhs = parseLevel(p, level + 1)
    if (rhs === undefined) return lhs
    lhs = { kind: 'call', loc: p.since(start), op, args: [lhs, rhs] }
  }
  return lhs
}

/** The operator at the current token as a reference to its function; the token is consumed. */
export function operatorRef(p: ParserState): RefTerm {
  const op = nameRef(OPERATOR_NAMES.get(p.tok) ?? tokenName(p.tok), p.here())
  p.next()
  return op
}

/** A term without infix operators. */
export function parseTerm(p: ParserState): Term | undefined {
  return p.remembered(() => p.nested(() => parseFreshTerm(p)))
}

function parseFreshTerm(p: ParserState): Term | undefined {
  if ((p.tok === T.logicalAnd || p.tok === T.logicalOr) && p.peek() === T.lparen && p.tokens.gaps[p.at + 1] === 0) {
    p.tok = T.ident
  }
  const loc = p.here()
  switch (p.tok) {
    case T.null:
      return finish(p, { kind: 'null', loc })
    case T.true:
    case T.false:
      return finish(p, { kind: 'boolean', loc, value: p.tok === T.true })
    case T.number:
      return parseNumber(p, '', p.start)
    case T.sub:
      return parseMinus(p)
    case T.string:
      return parseString(p)
    case T.rawString:
      return finish(p, { kind: 'string', loc, value: p.text.slice(1, -1) })
    case T.templatePart:
    case T.templateEnd:
      return parseTemplate(p, false)
    case T.rawTemplatePart:
    case T.rawTemplateEnd:
      return parseTemplate(p, true)
    case T.ident:
    case T.contains:
      return finish(p, parseVar(p))
    case T.lbrack:
      return parseArray(p)
    case T.lbrace:
      return parseBraces(p)
    case T.lparen:
      return parseGroup(p)
    default:
      return p.unexpected()
  }
}

/** The variable at the current token, which stays current. */
export function parseVar(p: ParserState): Term {
  const loc = p.here()
  const name = p.text
  if (name === '_') return p.wildcard(loc)
  return { kind: 'var', loc, name }
}

/** Steps over the last token of a term and reads what follows it without a gap: `.x`, `[x]`, `(x)`. */
function finish(p: ParserState, head: Term): Term | undefined {
  p.next()
  return finishRef(p, head)
}

export function finishRef(p: ParserState, head: Term): Term | undefined {
  if (!p.gap && (p.tok === T.dot || p.tok === T.lbrack || p.tok === T.lparen)) return parseRef(p, head)
  return bareRoot(head)
}

export function bareRoot(head: Term): Term {
  if (head.kind === 'var' && (head.name === 'input' || head.name === 'data')) {
    return { kind: 'ref', loc: head.loc, head, path: [] }
  }
  return head
}

/** At `.`, `[` or `(` behind `head`. */
export function parseRef(p: ParserState, head: Term): Term | undefined {
  return p.nested(() => {
    switch (head.kind) {
      case 'var':
      case 'array':
      case 'object':
      case 'set':
      case 'call':
      case 'array-comprehension':
      case 'object-comprehension':
      case 'set-comprehension':
        break
      default:
        return p.error(`illegal ref (head cannot be ${kindName(head)})`, head.loc)
    }
    const start = head.loc.start
    const path: Term[] = []
    for (;;) {
      if (p.tok === T.dot && !p.gap) {
        p.next()
        if ((p.tok !== T.ident && !p.isKeyword) || p.gap) return p.unexpected('expected identifier')
        path.push({ kind: 'string', loc: p.here(), value: p.text })
        p.next()
      } else if (p.tok === T.lbrack && !p.gap) {
        p.next()
        const step = parseInfix(p)
        if (step === undefined) return undefined
        if (p.tok !== T.rbrack) return p.unexpected('expected ]')
        path.push(step)
        p.next()
      } else if (p.tok === T.lparen && !p.gap) {
        const call = parseCall(p, { kind: 'ref', loc: p.since(start), head, path }, start)
        if (call === undefined || p.gap || (p.tok !== T.dot && p.tok !== T.lbrack)) return call
        return parseRef(p, call)
      } else {
        return { kind: 'ref', loc: p.since(start), head, path }
      }
    }
  })
}

function parseCall(p: ParserState, op: RefTerm, start: number): Term | undefined {
  p.next()
  if (p.tok === T.rparen) {
    p.next()
    if (refName(op) === 'set') return setTerm(p.since(start), [])
    return { kind: 'call', loc: p.since(start), op, args: [] }
  }
  const args = parseList(p, T.rparen, [])
  if (args === undefined) return undefined
  p.next()
  return { kind: 'call', loc: p.since(start), op, args }
}

function parseMinus(p: ParserState): Term | undefined {
  const minus = p.here()
  p.next()
  if (p.tok === T.ident || p.tok === T.contains) {
    const operand = finish(p, parseVar(p))
    if (operand === undefined) return undefined
    const zero: Term = { kind: 'number', loc: minus, text: '0' }
    return { kind: 'call', loc: p.since(minus.start), op: nameRef('minus', minus), args: [zero, operand] }
  }
  if (p.tok !== T.number) return p.unexpected('expected number')
  return parseNumber(p, '-', minus.start)
}

/** A number's text may stand for at most this many bits, so that nobody pays for its digits: 1e100000 costs a million. */
const MAX_EXPONENT_DIGITS = 30_000

function parseNumber(p: ParserState, sign: string, start: number): Term | undefined {
  const { text } = p
  if (/^0[0-9]/.test(text)) return p.unexpected('expected number without leading zero')
  const exponent = /[eE]([+-]?\d+)$/.exec(text)?.[1]
  if (exponent !== undefined && Math.abs(Number(exponent)) > MAX_EXPONENT_DIGITS) return p.error('number too big')
  p.next()
  return finishRef(p, { kind: 'number', loc: p.since(start), text: sign + text })
}

function parseString(p: ParserState): Term | undefined {
  const value = unquote(p.text)
  if (value === undefined) return p.error(`illegal string literal: ${p.text}`)
  return finish(p, { kind: 'string', loc: p.here(), value })
}

function unquote(literal: string): string | undefined {
  if (!literal.includes('\\')) return literal.slice(1, -1)
  try {
    return wellFormed(JSON.parse(literal) as string)
  } catch (e) {
    if (e instanceof SyntaxError) return undefined
    throw e
  }
}

function parseTemplate(p: ParserState, raw: boolean): Term | undefined {
  const start = p.start
  const parts: TemplatePart[] = []
  for (;;) {
    const last = p.tok === T.templateEnd || p.tok === T.rawTemplateEnd
    if (!last && p.tok !== T.templatePart && p.tok !== T.rawTemplatePart) return p.unexpected()
    const note = p.tokens.notes.get(p.at) ?? ''
    const text = raw ? note : unquote(`"${note}"`)
    if (text === undefined) return p.error(`illegal template-string part: ${p.text}`)
    if (text !== '') parts.push({ text })
    p.next()
    if (last) return finishRef(p, { kind: 'template', loc: p.since(start), raw, parts })
    const expr = p.parseLiteral()
    if (expr === undefined) return p.error('invalid template-string expression')
    const wrong = notPrintable(expr)
    if (wrong !== undefined) return p.error(`unexpected ${wrong} in template-string expression`, expr.loc)
    parts.push({ expr })
    if (p.tok !== T.rbrace) return p.error('expected } to end template string expression')
    p.next()
  }
}

function notPrintable(expr: { kind: string; negated: boolean; op?: RefTerm }): string | undefined {
  if (expr.negated) return "negation ('not')"
  if (expr.kind === 'every' || expr.kind === 'some') return `'${expr.kind}'`
  if (expr.kind === 'some-in') return `'some'`
  const name = expr.kind === 'call' && expr.op !== undefined ? refName(expr.op) : undefined
  if (name === 'eq') return "unification ('=')"
  if (name === 'assign') return "assignment (':=')"
  return undefined
}

function parseGroup(p: ParserState): Term | undefined {
  p.next()
  const inner = parseInfix(p)
  if (inner === undefined) return undefined
  if (p.tok !== T.rparen) return p.error('non-terminated expression')
  return finish(p, inner)
}

function parseArray(p: ParserState): Term | undefined {
  const { start } = p
  p.next()
  if (p.tok === T.rbrack) return close(p, start, [])
  let comprehension = true
  if (p.tok === T.comma) {
    // `[, 1]` is an accident of OPA's grammar that its users may rely on
    comprehension = false
    p.next()
  }
  const { at } = p
  const errors = p.errors.length
  // a bare term first, so that `[x | x]` is a comprehension and not a union
  const head = parseTerm(p)
  if (head === undefined) return undefined
  if (p.tok === T.or && comprehension) {
    p.next()
    const body = p.parseBody(T.rbrack)
    if (body !== undefined) {
      p.next()
      return finishRef(p, { kind: 'array-comprehension', loc: p.since(start), term: head, body })
    }
    if (p.tok !== T.comma) return undefined
  }
  p.rewind(at, errors)
  const items = parseList(p, T.rbrack, [])
  return items === undefined ? undefined : close(p, start, items)

  function close(state: ParserState, from: number, list: readonly Term[]): Term | undefined {
    state.next()
    return finishRef(state, arrayTerm(state.since(from), list))
  }
}

/** Items up to `end`, which stays current. A trailing comma is fine. */
function parseList(p: ParserState, end: TokenKind, items: Term[]): Term[] | undefined {
  while (p.tok !== end) {
    const item = parseListItem(p)
    if (item === undefined) return undefined
    items.push(item)
    if (p.tok === T.comma) p.next()
    else if (p.tok !== end) return p.unexpected(`expected "," or "${tokenName(end)}"`)
  }
  return items
}

function parseBraces(p: ParserState): Term | undefined {
  const { start } = p
  p.next()
  if (p.tok === T.rbrace) {
    p.next()
    return finishRef(p, objectTerm(p.since(start), []))
  }
  let comprehension = true
  if (p.tok === T.comma) {
    comprehension = false
    p.next()
  }
  const { at } = p
  const errors = p.errors.length
  const head = parseTerm(p)
  if (head === undefined) return undefined
  if (p.tok === T.or && comprehension) {
    p.next()
    const body = p.parseBody(T.rbrace)
    if (body !== undefined) {
      p.next()
      return finishRef(p, { kind: 'set-comprehension', loc: p.since(start), term: head, body })
    }
    if (p.tok !== T.comma) return undefined
  }
  if (p.tok === T.colon) return parseObject(p, start, head, comprehension)
  p.rewind(at, errors)
  const key = parseListItem(p)
  if (key === undefined) return undefined
  if (p.tok === T.colon) return parseObject(p, start, key, comprehension)
  if (p.tok !== T.comma && p.tok !== T.rbrace) return p.unexpected('non-terminated set')
  if (p.tok === T.comma) p.next()
  const items = parseList(p, T.rbrace, [key])
  if (items === undefined) return undefined
  p.next()
  return finishRef(p, setTerm(p.since(start), items))
}

/** At the colon behind the first key. */
function parseObject(p: ParserState, start: number, key: Term, comprehension: boolean): Term | undefined {
  p.next()
  const { at } = p
  const errors = p.errors.length
  const value = parseTerm(p)
  if (value === undefined) return undefined
  if (p.tok === T.or && comprehension) {
    p.next()
    const body = p.parseBody(T.rbrace)
    if (body !== undefined) {
      p.next()
      return finishRef(p, { kind: 'object-comprehension', loc: p.since(start), key, value, body })
    }
  }
  p.rewind(at, errors)
  const entries: [Term, Term][] = []
  let nextKey: Term | undefined = key
  for (;;) {
    if (nextKey === undefined) return undefined
    const item = parseListItem(p)
    if (item === undefined) return undefined
    entries.push([nextKey, item])
    if (p.tok === T.comma) p.next()
    else if (p.tok !== T.rbrace) {
      return p.unexpected(entries.length === 1 ? 'non-terminated object' : 'expected "," or "}"')
    }
    if (p.tok === T.rbrace) break
    nextKey = parseListItem(p)
    if (nextKey !== undefined && p.tok !== T.colon) {
      return p.unexpected(entries.length === 1 ? 'non-terminated object' : 'expected ":"')
    }
    p.next()
  }
  p.next()
  return finishRef(p, objectTerm(new Location(p.source, start, p.lastEnd), entries))
}
