import { refName, type Body, type Expr, type Head, type RefTerm, type Rule, type Term } from './ast.ts'
import { parseLiteral } from './parse-body.ts'
import type { ParserState } from './parser-state.ts'
import { bareRoot, kindName, parseInfix, parseRef, parseVar } from './parse-term.ts'
import type { Location } from './source.ts'
import { OPERATOR_NAMES, T } from './token.ts'
import { visitTerm } from './visit.ts'

const NO_KEYWORDS = { if: false, contains: false } as const

export function trueTerm(loc: Location): Term {
  return { kind: 'boolean', loc, value: true }
}

export function trueBody(loc: Location): Body {
  return [{ kind: 'term', loc, negated: false, with: [], term: trueTerm(loc) }]
}

type OpenHead = { -readonly [K in keyof Head]: Head[K] }

/** A rule with a body, `contains` or `default`. Undefined if it is none: then it may be a head alone, see `ruleFromBody`. */
export function parseRules(p: ParserState): Rule[] | undefined {
  const { start } = p
  if (p.isKeyword && p.startsReference) p.tok = T.ident
  const isDefault = p.tok === T.default
  if (isDefault) {
    p.next()
    if (p.isKeyword && p.startsReference) p.tok = T.ident
  }
  if (p.tok !== T.ident) return undefined
  const parsed = parseHead(p, isDefault)
  if (parsed === undefined) return undefined
  const { head, contains } = parsed
  if (isDefault) return parseDefault(p, start, head)
  const hasIf = p.tok === T.if
  settleKind(head, hasIf, contains)
  let body: Body | undefined
  let impliedBody = false
  if (hasIf) body = parseIfBody(p)
  else if (p.tok === T.lbrace) body = parseBraces(p)
  else if (contains) {
    body = trueBody(head.loc)
    impliedBody = true
  }
  if (body === undefined) return undefined
  const keywords = { if: hasIf, contains }
  let otherwise: Rule | undefined
  if (p.tok === T.else && !p.startsReference) {
    if (head.ref.path.some((step) => !isGround(step))) {
      return p.error('else keyword cannot be used on rules with variables in head')
    }
    if (head.key !== undefined) return p.error('else keyword cannot be used on multi-value rules')
    otherwise = p.nested(() => parseElse(p, head))
    if (otherwise === undefined) return undefined
  }
  const rule: Rule = {
    loc: p.since(start),
    default: false,
    head,
    body,
    impliedBody,
    else: otherwise,
    keywords,
  }
  return parseFurtherBodies(p, rule)
}

/** v0: `p { ... } { ... }` is two rules with one head. */
function parseFurtherBodies(p: ParserState, first: Rule): Rule[] | undefined {
  const rules = [first]
  while (p.tok === T.lbrace) {
    if (first.else !== undefined) return p.error('expected else keyword')
    const { start } = p
    const body = parseBraces(p)
    if (body === undefined) return undefined
    rules.push({ ...first, loc: p.since(start), head: withFreshWildcards(p, first.head), body })
  }
  return rules
}

function withFreshWildcards(p: ParserState, head: Head): Head {
  const args = head.args?.map((a) => (a.kind === 'var' && a.name.startsWith('$') ? p.wildcard(a.loc) : a))
  return { ...head, args }
}

function parseDefault(p: ParserState, start: number, head: Head): Rule[] | undefined {
  const loc = p.since(start)
  if (head.value === undefined) return p.error('illegal default rule (must have a value)', loc)
  const errors = p.errors.length
  visitTerm(head.value, (t) => {
    if (t.kind.endsWith('comprehension')) return false
    if (t.kind !== 'ref' && t.kind !== 'var' && t.kind !== 'call') return true
    p.error(`illegal default rule (value cannot contain ${kindName(t)})`, loc)
    return false
  })
  const seen = new Set<string>()
  for (const arg of head.args ?? []) {
    if (arg.kind !== 'var') p.error(`illegal default rule (arguments cannot contain ${kindName(arg)})`, loc)
    else if (seen.has(arg.name)) p.error(`illegal default rule (arguments cannot be repeated ${arg.name})`, loc)
    else seen.add(arg.name)
  }
  if (p.errors.length > errors) return undefined
  const body = trueBody(loc)
  return [{ loc, default: true, head, body, impliedBody: true, else: undefined, keywords: NO_KEYWORDS }]
}

/** A set or an object? `p[x]` alone is v0's partial set; with `if` or a value it is an object. */
function settleKind(head: OpenHead, hasIf: boolean, contains: boolean): void {
  if (contains || head.value !== undefined) return
  const [only] = head.ref.path
  if (!hasIf && only !== undefined && head.ref.path.length === 1 && head.args === undefined) {
    head.key = only
    head.ref = { ...head.ref, path: [] }
    return
  }
  head.value = trueTerm(head.loc)
  head.impliedValue = true
}

/** Behind `if`: one literal, or a body in braces. Braces that read as a set are a body: a set is never undefined or false. */
function parseIfBody(p: ParserState): Body | undefined {
  p.next()
  const { at } = p
  const braces = p.tok === T.lbrace
  const errors = p.errors.length
  const expr = parseLiteral(p)
  const isSet = braces && expr?.kind === 'term' && expr.term.kind === 'set'
  if (expr !== undefined && !isSet) return [expr]
  if (!braces) return undefined
  p.rewind(at, errors)
  return parseBraces(p)
}

function parseBraces(p: ParserState): Body | undefined {
  p.next()
  const body = p.parseBody(T.rbrace)
  if (body !== undefined) p.next()
  return body
}

function parseElse(p: ParserState, first: Head): Rule | undefined {
  const { start } = p
  const at = p.here()
  p.next()
  const head: OpenHead = { ...withFreshWildcards(p, first), loc: at, impliedValue: false }
  if (p.tok === T.lbrace || p.tok === T.if) {
    head.impliedValue = true
    head.value = trueTerm(at)
  } else if (p.tok === T.assign || p.tok === T.unify) {
    head.assign = p.tok === T.assign
    p.next()
    head.value = parseInfix(p)
    if (head.value === undefined) return undefined
    head.loc = p.since(start)
  } else return p.unexpected('expected else value term or rule body')
  const hasIf = p.tok === T.if
  const impliedBody = !hasIf && p.tok !== T.lbrace
  let body: Body | undefined
  if (impliedBody) body = trueBody(at)
  else {
    if (hasIf) p.next()
    if (p.tok === T.lbrace) body = parseBraces(p)
    else if (p.tok === T.eof) return p.unexpected('rule body expected')
    else {
      const expr = parseLiteral(p)
      body = expr && [expr]
    }
  }
  if (body === undefined) return undefined
  let otherwise: Rule | undefined
  // a value alone ends the chain
  if (!impliedBody && p.tok === T.else) {
    otherwise = p.nested(() => parseElse(p, first))
    if (otherwise === undefined) return undefined
  }
  const keywords = { if: hasIf, contains: false }
  return { loc: p.since(start), default: false, head, body, impliedBody, else: otherwise, keywords }
}

function parseHead(p: ParserState, isDefault: boolean): { head: OpenHead; contains: boolean } | undefined {
  const { start } = p
  const name = parseVar(p)
  p.next()
  if (!p.gap && OPERATOR_NAMES.has(p.tok) && p.tok !== T.unify && p.tok !== T.assign) p.unexpected()
  const term = p.tok === T.lparen || p.tok === T.dot || p.tok === T.lbrack ? parseHeadRef(p, name) : bareRoot(name)
  if (term === undefined) return p.unexpected('expected rule head name')
  const parts = takeHeadApart(term)
  if (parts === undefined) return undefined
  const head: OpenHead = {
    loc: p.since(start),
    ref: parts.ref,
    args: parts.args,
    key: undefined,
    value: undefined,
    impliedValue: false,
    assign: false,
  }
  const text = p.source.text.slice(start, p.lastEnd)
  if (p.tok === T.contains) {
    if (parts.args !== undefined) {
      p.unexpected(
        `the contains keyword can only be used with multi-value rule definitions (e.g., ${text} contains <VALUE> { ... })`,
      )
    }
    p.next()
    head.key = parseInfix(p)
    if (head.key === undefined) p.unexpected(`expected rule key term (e.g., ${text} contains <VALUE> { ... })`)
    head.loc = p.since(start)
    return { head, contains: true }
  }
  if (p.tok === T.unify || p.tok === T.assign) {
    head.assign = p.tok === T.assign
    const op = head.assign ? ':=' : '='
    p.next()
    head.value = parseInfix(p)
    if (head.value === undefined) {
      const what = parts.args !== undefined ? 'function' : isDefault ? 'default rule' : 'rule'
      p.unexpected(`expected ${what} value term (e.g., ${isDefault ? 'default ' : ''}${text} ${op} <VALUE>)`)
    }
    head.loc = p.since(start)
  }
  return { head, contains: false }
}

/** In a head, a blank may stand between name and `(`, `[` or `.`: the token is read as if there were none. */
function parseHeadRef(p: ParserState, name: Term): Term | undefined {
  if (!p.gap) return parseRef(p, name)
  const gaps = p.tokens.gaps as number[]
  const before = gaps[p.at] as number
  gaps[p.at] = 0
  const term = parseRef(p, name)
  if (term === undefined) gaps[p.at] = before
  return term
}

function takeHeadApart(term: Term): { ref: RefTerm; args: readonly Term[] | undefined } | undefined {
  if (term.kind === 'var') return { ref: { kind: 'ref', loc: term.loc, head: term, path: [] }, args: undefined }
  if (term.kind === 'call') return { ref: term.op, args: term.args }
  if (term.kind === 'ref' && term.head.kind === 'var') return { ref: term, args: undefined }
  return undefined
}

/** No variables, references or calls. */
export function isGround(term: Term): boolean {
  let ground = true
  visitTerm(term, (t) => {
    if (t.kind === 'var' || t.kind === 'ref' || t.kind === 'call') ground = false
    return ground
  })
  return ground
}

/** A head that stands alone was read as a query. @returns the rule, or what is wrong with it */
export function ruleFromBody(body: Body, isBuiltin: (name: string) => boolean): Rule | string {
  const [expr] = body
  if (expr === undefined || body.length > 1) return 'multiple expressions cannot be used for rule head'
  if (expr.with.length > 0) return 'expressions using with keyword cannot be used for rule head'
  if (expr.negated || expr.kind === 'not') return 'negated expressions cannot be used for rule head'
  if (expr.kind === 'some' || expr.kind === 'some-in') return "'some' declarations cannot be used for rule head"
  if (expr.kind === 'term') return ruleFromTerm(expr.term, expr)
  if (expr.kind !== 'call') return 'expression cannot be used for rule head'
  const name = refName(expr.op)
  const [lhs, rhs] = expr.args
  if ((name === 'eq' || name === 'assign') && lhs !== undefined && rhs !== undefined) {
    return ruleFromEquation(lhs, rhs, expr, name === 'assign')
  }
  if (name !== undefined && isBuiltin(name)) return 'rule name conflicts with built-in function'
  if (expr.op.head.kind !== 'var') return 'invalid rule head'
  if (expr.args.length === 0) return 'rule argument list must take at least one argument'
  return bareRule(expr, { ref: expr.op, args: expr.args, value: trueTerm(expr.loc) })
}

function bareRule(expr: Expr, parts: Partial<Head> & { readonly ref: RefTerm }): Rule {
  const { loc } = expr
  return {
    loc,
    default: false,
    head: { loc, args: undefined, key: undefined, value: undefined, impliedValue: false, assign: false, ...parts },
    body: trueBody(loc),
    impliedBody: true,
    else: undefined,
    keywords: NO_KEYWORDS,
  }
}

function ruleFromTerm(term: Term, expr: Expr): Rule | string {
  if (term.kind !== 'ref') return `${kindName(term)} cannot be used for rule name`
  if (term.head.kind !== 'var') return 'invalid rule head'
  const [key] = term.path
  if (key === undefined) return 'refs cannot be used for rule head'
  if (term.path.length > 1) return bareRule(expr, { ref: term, value: trueTerm(expr.loc), impliedValue: true })
  return bareRule(expr, { ref: { ...term, path: [] }, key })
}

function ruleFromEquation(lhs: Term, rhs: Term, expr: Expr, assign: boolean): Rule | string {
  const parts = takeHeadApart(lhs)
  if (parts !== undefined) return bareRule(expr, { ...parts, value: rhs, assign })
  return lhs.kind === 'ref' ? 'invalid rule head' : `${kindName(lhs)} cannot be used for rule name`
}
