import { arrayTerm, nameRef, type Body, type Expr, type Term } from '../syntax/ast.ts'
import { builtinOf, isVoid, type Functions } from './functions.ts'
import { appendTo, capture, isOp, isScalar, mapExpr, mapList, mapTerm } from './map.ts'
import type { Names } from './names.ts'
import type { Findings, WorkRule } from './rule.ts'
import { bodyOutputs, ROOTS } from './safety.ts'
import { neededVars } from './unify.ts'
import { namesIn } from './locals.ts'

/**
 * Template strings and calls of `print` show `<undefined>` for what has no value. So each of their parts becomes a set of at
 * most one element, which a built-in prints. Their variables must be bound elsewhere: a part that searched would print more
 * than once.
 */
export class Printing {
  readonly #names: Names
  readonly #findings: Findings
  readonly #functions: Functions
  readonly #keepPrint: boolean

  constructor(names: Names, findings: Findings, functions: Functions, keepPrint: boolean) {
    this.#names = names
    this.#findings = findings
    this.#functions = functions
    this.#keepPrint = keepPrint
  }

  rule(r: WorkRule): void {
    const safe = new Set([...ROOTS, ...namesIn(r.args ?? [])])
    r.body = this.body(r.body, safe)
    const inside = bodyOutputs(r.body, this.#functions, safe)
    r.key = r.key && this.#term(r.key, inside)
    r.value = r.value && this.#term(r.value, inside)
    r.args = r.args && mapList(r.args, (t) => this.#term(t, inside))
  }

  body(body: Body, safe: ReadonlySet<string>): Body {
    const all = bodyOutputs(body, this.#functions, safe)
    const before = new Set(safe)
    const out: Expr[] = []
    for (const e of body) {
      if (isPrint(e)) {
        // unlike a template, which sees its whole body, `print` sees what stands above it
        if (this.#keepPrint) out.push(this.#print(e, before))
      } else out.push(this.#expr(e, all))
      if (this.#keepPrint) for (const v of bodyOutputs([e], this.#functions, before)) before.add(v)
    }
    const [first] = body
    if (out.length > 0 || first === undefined) return out
    const { loc } = first
    return [{ kind: 'term', loc, negated: false, with: [], term: { kind: 'boolean', loc, value: true } }]
  }

  #expr(e: Expr, safe: ReadonlySet<string>): Expr {
    const bodySafe =
      e.kind === 'every' ? new Set([...safe, ...namesIn(e.key === undefined ? [e.value] : [e.key, e.value])]) : safe
    return mapExpr(
      e,
      (t) => this.#term(t, safe),
      (b) => this.body(b, bodySafe),
    )
  }

  #term(t: Term, safe: ReadonlySet<string>): Term {
    switch (t.kind) {
      case 'template':
        return this.#template(t, safe)
      case 'array-comprehension':
      case 'set-comprehension':
      case 'object-comprehension': {
        const body = this.body(t.body, safe)
        const inside = bodyOutputs(body, this.#functions, safe)
        return mapTerm(
          { ...t, body },
          (x) => this.#term(x, inside),
          (b) => b,
        )
      }
      case 'call': {
        const b = builtinOf(this.#functions, t.op)
        if (b !== undefined && isVoid(b)) this.#findings.add('rego_type_error', `${t.loc.text} used as value`, t.loc)
        break
      }
      default:
    }
    return mapTerm(
      t,
      (x) => this.#term(x, safe),
      (b) => this.body(b, safe),
    )
  }

  #template(t: Term & { kind: 'template' }, safe: ReadonlySet<string>): Term {
    const items: Term[] = []
    for (const part of t.parts) {
      if ('text' in part) items.push({ kind: 'string', loc: t.loc, value: part.text })
      else items.push(this.#part(part.expr, safe))
    }
    const { loc } = t
    if (items.length === 0) items.push({ kind: 'string', loc, value: '' })
    return { kind: 'call', loc, op: nameRef('internal.template_string', loc), args: [arrayTerm(loc, items)] }
  }

  #part(e: Expr, safe: ReadonlySet<string>): Term {
    const { loc } = e
    if (e.kind !== 'term' && e.kind !== 'call') {
      this.#findings.add('rego_compile_error', `unexpected ${e.kind} expression in template string`, loc)
      return { kind: 'null', loc }
    }
    if (e.kind === 'call' && builtinOf(this.#functions, e.op)?.relation === true) {
      this.#findings.add('rego_compile_error', 'illegal call of a relation, which may have several results', loc)
    }
    const written: Term = e.kind === 'term' ? e.term : { kind: 'call', loc, op: e.op, args: e.args }
    const term = this.#term(written, safe)
    if (e.with.length === 0 && isScalar(term)) return term
    return this.#optional(term, safe, e)
  }

  #print(e: Expr & { kind: 'call' }, safe: ReadonlySet<string>): Expr {
    const items = e.args.map((a) => this.#optional(this.#term(a, safe), safe, undefined))
    const { loc } = e
    return { ...e, op: nameRef('internal.print', loc), args: [arrayTerm(loc, items)] }
  }

  /** `{x | x = term}`, empty if the term is undefined. */
  #optional(term: Term, safe: ReadonlySet<string>, e: Expr | undefined): Term {
    const { loc } = term
    const needed = new Set<string>()
    neededVars(term, needed)
    for (const v of needed) {
      if (!safe.has(v)) this.#findings.add('rego_compile_error', `var ${this.#names.written(v)} is undeclared`, loc)
    }
    const [local, bound] = capture(this.#names, term, undefined, e?.with ?? [])
    return { kind: 'set-comprehension', loc, term: local, body: appendTo([], [bound]) }
  }
}

function isPrint(e: Expr): e is Expr & { kind: 'call' } {
  return e.kind === 'call' && isOp(e.op, 'print')
}
