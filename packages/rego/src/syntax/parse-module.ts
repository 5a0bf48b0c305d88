import { RegoError, type Diagnostic } from '../errors.ts'
import { refName, type Body, type Import, type Module, type Package, type RegoVersion, type Rule } from './ast.ts'
import { connect, parseQuery } from './parse-body.ts'
import { ParseBound, ParserState } from './parser-state.ts'
import { kindName, parseTerm } from './parse-term.ts'
import { parseRules, ruleFromBody } from './parse-rule.ts'
import { Location, Source } from './source.ts'
import { KEYWORDS, T, type TokenKind } from './token.ts'

export type ParseOptions = {
  /** Default `v1`. v0 text with `import rego.v1` is read as v1 all the same. */
  readonly version?: RegoVersion
  /**
   * Negation holds whenever its expression has no answer, as if every module said `import future.keywords.not`.
   * Default false: OPA's older negation, which fails when an operand of a negated call is undefined.
   */
  readonly improvedNot?: boolean
  /** Allow `import future.keywords.and` and `.or`, OPA's experimental operators. Default false. */
  readonly logicalOperators?: boolean
  /** Names that a bare call at the top level may not define. */
  readonly isBuiltin?: (name: string) => boolean
}

const V1_KEYWORDS: readonly TokenKind[] = [T.in, T.every, T.contains, T.if]
const V1_KEYWORD_NAMES: ReadonlySet<string> = new Set(['in', 'every', 'contains', 'if'])
const FUTURE_KEYWORDS: readonly string[] = ['contains', 'every', 'if', 'in', 'not']
const LOGICAL_KEYWORDS: readonly string[] = ['and', 'or']

/** @throws {RegoError} `rego_parse_error` with every finding, `bound_depth` for text that is nested too deeply */
export function parseModule(file: string, text: string, options: ParseOptions = {}): Module {
  const p = start(file, text, options)
  const statements: Statement[] = []
  guarded(p, () => {
    while (p.tok !== T.eof) {
      p.forget()
      const found = parseStatement(p, options)
      if (found === undefined) break
      statements.push(...found)
    }
  })
  fail(p)
  return assemble(p, statements, options)
}

/** Reads a query: expressions separated by `;` or line breaks. @throws {RegoError} `rego_parse_error` */
export function parseQueryText(text: string, options: ParseOptions = {}): Body {
  const p = start('', text, options)
  const body = guarded(p, () => {
    const found: Body[number][] = []
    while (p.tok !== T.eof) {
      const part = parseQuery(p, T.eof, true)
      if (part === undefined) return undefined
      found.push(...part)
    }
    return found
  })
  fail(p)
  if (body === undefined || body.length === 0) throw RegoError.of('rego_parse_error', 'empty query')
  return body
}

function start(file: string, text: string, options: ParseOptions): ParserState {
  const p = new ParserState(new Source(file, text))
  connect(p)
  if ((options.version ?? 'v1') === 'v1') p.activate(...V1_KEYWORDS)
  p.notBodies = options.improvedNot === true
  return p
}

function guarded<R>(p: ParserState, parse: () => R): R | undefined {
  try {
    return parse()
  } catch (e) {
    if (e instanceof ParseBound && p.errors.length > 0) return undefined
    throw e
  }
}

function fail(p: ParserState): void {
  const [first, ...rest] = p.errors
  if (first !== undefined) throw new RegoError([first, ...rest])
}

type Statement =
  | { readonly kind: 'package'; readonly package: Package }
  | { readonly kind: 'import'; readonly import: Import }
  | { readonly kind: 'rule'; readonly rule: Rule }
  | { readonly kind: 'body'; readonly body: Body }

function parseStatement(p: ParserState, options: ParseOptions): Statement[] | undefined {
  const { at } = p
  const errors = p.errors.length
  if (p.tok === T.package && !p.startsReference) {
    const found = parsePackage(p)
    return found && [{ kind: 'package', package: found }]
  }
  if (p.tok === T.import && !p.startsReference) {
    const found = parseImport(p, options)
    return found && [{ kind: 'import', import: found }]
  }
  const rules = parseRules(p)
  if (rules !== undefined) return rules.map((rule) => ({ kind: 'rule', rule }))
  if (p.errors.length > errors) return undefined
  p.rewind(at, errors)
  const body = parseQuery(p, T.eof, true)
  return body && [{ kind: 'body', body }]
}

function parsePackage(p: ParserState): Package | undefined {
  const { start: from } = p
  p.next()
  if (p.tok !== T.ident && !p.isKeyword) return p.unexpected()
  p.tok = T.ident
  const term = parseTerm(p)
  if (term === undefined) return undefined
  const loc = p.since(from)
  if (term.kind === 'var') return { loc, path: [term.name] }
  if (term.kind !== 'ref') return p.unexpected()
  if (term.head.kind !== 'var') return p.error(`unexpected ${kindName(term.head)} token: expecting var`, term.head.loc)
  const path = [term.head.name]
  for (const step of term.path) {
    if (step.kind !== 'string') return p.error(`unexpected ${kindName(step)} token: expecting string`, step.loc)
    path.push(step.value)
  }
  return { loc, path }
}

function parseImport(p: ParserState, options: ParseOptions): Import | undefined {
  const { start: from } = p
  p.next()
  if (p.tok !== T.ident && !p.isKeyword) return p.unexpected()
  p.tok = T.ident
  const term = parseTerm(p)
  if (term === undefined) return undefined
  if (term.kind !== 'var' && term.kind !== 'ref') return p.error('expected path')
  const path = term.kind === 'var' ? ({ kind: 'ref', loc: term.loc, head: term, path: [] } as const) : term
  for (const step of path.path) {
    if (step.kind !== 'string') return p.error(`unexpected ${kindName(step)} token: expecting string`, step.loc)
  }
  const root = path.head.kind === 'var' ? path.head.name : ''
  if (!['data', 'future', 'input', 'rego'].includes(root)) {
    const got = path.head.loc.text
    return p.error(`unexpected import path, must begin with one of: {data, future, input, rego}, got: ${got}`, path.loc)
  }
  const alias = parseAlias(p)
  if (alias === undefined) return undefined
  const found: Import = { loc: p.since(from), path, alias: alias === '' ? undefined : alias }
  if (alias === '' && root !== 'future' && endsWithKeyword(found, options)) {
    p.hint('import a different path or use an alias')
    const last = found.path.path.at(-1) ?? found.path.head
    p.error(`unexpected import path, must not end with a keyword, got: ${lastSegment(found)}`, last.loc)
  }
  if (root === 'future') activateFuture(p, found, options)
  else if (root === 'rego') activateV1(p, found, options)
  return found
}

/** The name behind `as`, '' if there is none, undefined if it is wrong. */
function parseAlias(p: ParserState): string | undefined {
  if (p.tok !== T.as) return ''
  p.next()
  if (p.tok !== T.ident) return p.unexpected('expected var')
  const term = parseTerm(p)
  return term?.kind === 'var' ? term.name : p.unexpected('expected var')
}

function lastSegment(found: Import): string {
  const last = found.path.path.at(-1) ?? found.path.head
  return last.kind === 'string' ? last.value : last.kind === 'var' ? last.name : ''
}

function endsWithKeyword(found: Import, options: ParseOptions): boolean {
  const name = lastSegment(found)
  if ((options.version ?? 'v1') === 'v1' && V1_KEYWORD_NAMES.has(name)) return true
  return KEYWORDS.has(name) && !V1_KEYWORD_NAMES.has(name) && name !== 'and' && name !== 'or'
}

function activateFuture(p: ParserState, found: Import, options: ParseOptions): void {
  const logical = options.logicalOperators === true
  const [keywords, name] = found.path.path.map((s) => (s.kind === 'string' ? s.value : ''))
  const at = found.path.loc
  if (keywords !== 'keywords') return p.error('invalid import, must be `future.keywords`', at)
  if (found.alias !== undefined) return p.error('`future` imports cannot be aliased', at)
  if (found.path.path.length > 2)
    return p.error('invalid import, must be `future.keywords.x`, e.g. `import future.keywords.in`', at)
  if (name === undefined) return p.activate(...V1_KEYWORDS, ...(logical ? [T.logicalAnd, T.logicalOr] : []))
  const known = logical ? [...LOGICAL_KEYWORDS, ...FUTURE_KEYWORDS].sort() : FUTURE_KEYWORDS
  if (!known.includes(name)) return p.error(`unexpected keyword, must be one of [${known.join(' ')}]`, at)
  if (name === 'not') p.notBodies = true
  else p.activate(KEYWORDS.get(name) as TokenKind)
}

function activateV1(p: ParserState, found: Import, options: ParseOptions): void {
  const name = refName(found.path)
  if (name !== 'rego.v1') return p.error(`invalid import \`${name ?? 'rego'}\`, must be \`rego.v1\``, found.path.loc)
  if ((options.version ?? 'v1') === 'v1') return
  if (found.alias !== undefined) return p.error('`rego` imports cannot be aliased', found.path.loc)
  p.activate(...V1_KEYWORDS)
}

function assemble(p: ParserState, statements: readonly Statement[], options: ParseOptions): Module {
  const { source } = p
  const [first, ...rest] = statements
  if (first === undefined) {
    throw RegoError.of('rego_parse_error', 'empty module', new Location(source, 0, 0))
  }
  const errors: Diagnostic[] = []
  const report = (message: string, location: Location): void => {
    errors.push({ code: 'rego_parse_error', message, location })
  }
  if (first.kind !== 'package') report('package expected', placeOf(first))
  const imports: Import[] = []
  const rules: Rule[] = []
  for (const s of first.kind === 'package' ? rest : statements) {
    if (s.kind === 'package') report('unexpected package', s.package.loc)
    else if (s.kind === 'import') imports.push(s.import)
    else if (s.kind === 'rule') rules.push(s.rule)
    else {
      const rule = ruleFromBody(s.body, options.isBuiltin ?? (() => false))
      if (typeof rule === 'string') report(rule, placeOf(s))
      else rules.push(rule)
    }
  }
  const importsV1 = imports.some((i) => refName(i.path) === 'rego.v1')
  const version = importsV1 ? 'v1' : (options.version ?? 'v1')
  if (version === 'v1') for (const rule of rules) checkV1(rule, report)
  const [error, ...more] = errors
  if (error !== undefined || first.kind !== 'package') throw new RegoError([error as Diagnostic, ...more])
  const comments = p.tokens.comments.map((c) => new Location(source, c.start, c.end))
  return { source, version, importsV1, package: first.package, imports, rules, comments }
}

function placeOf(s: Statement): Location {
  if (s.kind === 'package') return s.package.loc
  if (s.kind === 'import') return s.import.loc
  return s.kind === 'rule' ? s.rule.loc : (s.body[0]?.loc as Location)
}

/** What v1 asks of the form of a rule. */
function checkV1(rule: Rule, report: (message: string, at: Location) => void): void {
  const { head } = rule
  const what = head.args === undefined ? 'rule' : 'function'
  const name = head.ref.head.kind === 'var' ? head.ref.head.name : ''
  if (head.ref.path.length === 0 && KEYWORDS.has(name) && name !== 'and' && name !== 'or') {
    report(`${name} keyword cannot be used for rule name`, rule.loc)
  }
  if (rule.impliedBody && head.impliedValue) {
    report(`${what} must have value assignment and/or body declaration`, rule.loc)
  }
  if (!rule.impliedBody && !rule.keywords.if && !rule.default) {
    report(`\`if\` keyword is required before ${what} body`, rule.loc)
  }
  if (head.key !== undefined && !rule.keywords.contains) {
    report('`contains` keyword is required for partial set rules', rule.loc)
  }
  if (rule.else !== undefined) checkV1(rule.else, report)
}
