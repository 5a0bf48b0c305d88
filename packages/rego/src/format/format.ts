import { refName, type Body, type Expr, type Head, type Module, type Rule } from '../syntax/ast.ts'
import { parseModule, type ParseOptions } from '../syntax/parse-module.ts'
import { Printer } from './printer.ts'
import { TermPrinter } from './terms.ts'

/**
 * Formats a module: tabs, one space around operators, one blank line between rules. Comments stay with what they stand at, and
 * collections and bodies that were written over several lines stay so. Formatting twice changes nothing.
 *
 * @throws {RegoError} `rego_parse_error`
 */
export function format(file: string, text: string, options: ParseOptions = {}): string {
  return new Formatter(parseModule(file, text, options)).run()
}

class Formatter {
  readonly #module: Module
  readonly #p: Printer
  readonly #terms: TermPrinter

  constructor(module: Module) {
    this.#module = module
    this.#p = new Printer(module.comments)
    this.#terms = new TermPrinter(this.#p, (body) => this.#comprehensionBody(body))
  }

  run(): string {
    const p = this.#p
    const { package: pkg, imports, rules } = this.#module
    p.commentsBefore(pkg.loc.start)
    const [head, ...path] = pkg.path
    p.write(`package ${head}`)
    for (const step of path) {
      p.write(/^[A-Za-z_][A-Za-z0-9_]*$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`)
    }
    p.commentBehind(pkg.loc.row)
    p.blank()
    for (const i of imports) {
      p.commentsBefore(i.loc.start)
      p.write('import ')
      this.#terms.term(i.path)
      if (i.alias !== undefined) p.write(` as ${i.alias}`)
      p.commentBehind(i.loc.row)
      if (!p.atLineStart) p.newline()
    }
    if (imports.length > 0) p.blank()
    let before: Rule | undefined
    for (const rule of rules) {
      if (before !== undefined && !this.#together(before, rule)) p.blank()
      const last = p.commentsBefore(rule.loc.start)
      // a blank line between a comment and the rule below it means that it is not about the rule
      if (last !== undefined && rule.loc.row > last + 1) p.blank()
      this.#rule(rule)
      before = rule
    }
    return p.finish()
  }

  /** One-line rules that were written without a blank line between stay so. */
  #together(a: Rule, b: Rule): boolean {
    if (!staysOneLine(a) || !staysOneLine(b)) return false
    return b.loc.row <= a.loc.source.row(Math.max(a.loc.start, a.loc.end - 1)) + 1
  }

  #rule(rule: Rule): void {
    const p = this.#p
    if (rule.default) p.write('default ')
    this.#head(rule.head)
    this.#body(rule)
    for (let r = rule.else; r !== undefined; r = r.else) {
      p.write(' else')
      if (!r.head.impliedValue && r.head.value !== undefined) {
        p.write(r.head.assign ? ' := ' : ' = ')
        this.#terms.term(r.head.value)
      }
      this.#body(r)
    }
    p.commentBehind(rule.loc.source.row(Math.max(rule.loc.start, rule.loc.end - 1)))
    if (!p.atLineStart) p.newline()
  }

  #head(head: Head): void {
    const p = this.#p
    this.#terms.ref(head.ref)
    if (head.args !== undefined) {
      p.write('(')
      for (const [i, arg] of head.args.entries()) {
        if (i > 0) p.write(', ')
        this.#terms.term(arg)
      }
      p.write(')')
    }
    if (head.key !== undefined) {
      const contains = /\scontains\s/.test(this.#between(head.ref.loc.end, head.key.loc.start))
      p.write(contains ? ' contains ' : '[')
      this.#terms.term(head.key)
      if (!contains) p.write(']')
    } else if (!head.impliedValue && head.value !== undefined) {
      p.write(head.assign ? ' := ' : ' = ')
      this.#terms.term(head.value)
    }
  }

  #between(start: number, end: number): string {
    return this.#module.source.text.slice(start, end)
  }

  #body(rule: Rule): void {
    if (rule.impliedBody || rule.default) return
    const p = this.#p
    const [first] = rule.body
    if (first === undefined) return
    p.write(rule.keywords.if ? ' if ' : ' ')
    const open = this.#between(rule.head.loc.end, first.loc.start).indexOf('{')
    if (open < 0 && rule.body.length === 1) return this.#expr(first)
    this.#braces(rule.body, rule.head.loc.end + Math.max(open, 0), rule.else?.loc.start ?? rule.loc.end)
  }

  /** A body in braces: on one line if it was written so and holds one expression. */
  #braces(body: Body, open: number, end: number): void {
    const p = this.#p
    const [first] = body
    const last = body.at(-1)
    if (first === undefined || last === undefined) return
    const { source } = first.loc
    const sameLine = source.row(Math.max(0, open)) === source.row(Math.max(0, last.loc.end - 1))
    if (sameLine && body.length === 1 && !isLong(first) && !p.hasComment(open, last.loc.end)) {
      p.write('{ ')
      this.#expr(first)
      return p.write(' }')
    }
    p.write('{')
    p.newline()
    p.indented(() => {
      this.#lines(body)
      p.commentsBefore(end)
    })
    p.write('}')
  }

  #lines(body: Body): void {
    const p = this.#p
    let row: number | undefined
    for (const e of body) {
      const { start } = e.loc
      const above = p.commentsBefore(start, row)
      if (above !== undefined && e.loc.row > above + 1) p.blank()
      this.#expr(e)
      row = e.loc.source.row(Math.max(start, e.loc.end - 1))
      p.commentBehind(row)
      if (!p.atLineStart) p.newline()
    }
  }

  #comprehensionBody(body: Body): void {
    const p = this.#p
    if (!p.atLineStart) {
      for (const [i, e] of body.entries()) {
        if (i > 0) p.write('; ')
        this.#expr(e)
      }
    } else this.#lines(body)
  }

  #expr(e: Expr): void {
    const p = this.#p
    if (e.negated) p.write('not ')
    switch (e.kind) {
      case 'term':
        this.#terms.term(e.term)
        break
      case 'call':
        this.#callExpr(e)
        break
      case 'some':
        p.write(`some ${e.symbols.map((s) => s.name).join(', ')}`)
        break
      case 'some-in':
        p.write('some ')
        if (e.key !== undefined) {
          this.#terms.term(e.key)
          p.write(', ')
        }
        this.#terms.term(e.value)
        p.write(' in ')
        this.#terms.term(e.domain, 2)
        break
      case 'every':
        p.write('every ')
        if (e.key !== undefined) {
          this.#terms.term(e.key)
          p.write(', ')
        }
        this.#terms.term(e.value)
        p.write(' in ')
        this.#terms.term(e.domain, 2)
        p.write(' ')
        this.#braces(e.body, this.#openBrace(e.domain.loc.end, e.body), e.loc.end)
        break
      case 'not':
        p.write('not ')
        this.#operand(e.body, e.braces, e.loc.end)
        break
      case 'and':
      case 'or':
        this.#operand(e.lhs, e.lhsBraces, e.rhs[0]?.loc.start ?? e.loc.end, e.kind)
        p.write(` ${e.kind} `)
        this.#operand(e.rhs, e.rhsBraces, e.loc.end, e.kind)
        break
    }
    this.#terms.withs(e.with)
  }

  #openBrace(from: number, body: Body): number {
    const at = this.#module.source.text.indexOf('{', from)
    return at < 0 ? (body[0]?.loc.start ?? from) - 1 : at
  }

  /** An operand of a logical operator. `and` binds tighter, so an `or` below it needs parentheses. */
  #operand(body: Body, braces: boolean, end: number, of?: 'and' | 'or'): void {
    const [only] = body
    if (only === undefined) return
    if (braces) return this.#braces(body, this.#module.source.text.lastIndexOf('{', only.loc.start), end)
    const inner = only.kind === 'and' || only.kind === 'or'
    const group = only.with.length > 0 || (inner && (of === undefined || of === 'and' || only.kind === 'or'))
    if (group) this.#p.write('(')
    this.#expr(only)
    if (group) this.#p.write(')')
  }

  #callExpr(e: Expr & { kind: 'call' }): void {
    const name = refName(e.op)
    const [a, b] = e.args
    const sign = e.op.loc.text
    if ((name === 'eq' || name === 'assign') && a !== undefined && b !== undefined && !/^[a-z]/.test(sign)) {
      this.#terms.term(a)
      this.#p.write(name === 'eq' ? ' = ' : ' := ')
      this.#terms.term(b)
      return
    }
    this.#terms.term({ kind: 'call', loc: e.loc, op: e.op, args: e.args })
  }
}

/** Takes more than one line when formatted: it was written so, or it holds a body of several expressions. */
function isLong(e: Expr): boolean {
  if (e.loc.text.includes('\n')) return true
  switch (e.kind) {
    case 'every':
      return e.body.length > 1 || e.body.some(isLong)
    case 'not':
      return e.body.length > 1 || e.body.some(isLong)
    case 'and':
    case 'or':
      return [e.lhs, e.rhs].some((side) => side.length > 1 || side.some(isLong))
    default:
      return false
  }
}

function staysOneLine(rule: Rule): boolean {
  if (rule.loc.text.includes('\n')) return false
  for (let r: Rule | undefined = rule; r !== undefined; r = r.else) {
    if (r.body.length > 1 || r.body.some(isLong)) return false
  }
  return true
}
