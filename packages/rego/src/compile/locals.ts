import type { Body, EveryExpr, Expr, SomeInExpr, Term, With } from '../syntax/ast.ts'
import { isWildcard, nameRef, refName } from '../syntax/ast.ts'
import { kindName } from '../syntax/parse-term.ts'
import type { Location } from '../syntax/source.ts'
import { visitBody, visitTerm } from '../syntax/visit.ts'
import { equation, mapExpr, mapList, mapTerm } from './map.ts'
import type { Names } from './names.ts'
import { declaredNames, isAssign } from './resolve.ts'
import type { Findings } from './rule.ts'
import { patternOutputs } from './unify.ts'

type Occurrence = 'argument' | 'seen' | 'assigned' | 'declared'
type Local = { readonly name: string; readonly how: Occurrence; uses: number }
type Scope = Map<string, Local>

/**
 * Gives variables that are declared (`:=`, `some`, `every`, arguments) names of their own, so that later stages need no
 * scopes. Variables that nobody declares keep their name and belong to the whole rule.
 */
export class Locals {
  readonly #names: Names
  readonly #findings: Findings
  readonly #strict: boolean
  readonly #scopes: Scope[] = [new Map()]

  constructor(names: Names, findings: Findings, strict: boolean) {
    this.#names = names
    this.#findings = findings
    this.#strict = strict
  }

  /** A copy for an `else` clause: same arguments, nothing of the other clauses' bodies. */
  fork(): Locals {
    const copy = new Locals(this.#names, this.#findings, this.#strict)
    copy.#scopes[0] = new Map([...this.#top].map(([name, local]) => [name, { ...local }]))
    return copy
  }

  get #top(): Scope {
    return this.#scopes.at(-1) as Scope
  }

  #find(name: string): Local | undefined {
    return this.#scopes.findLast((s) => s.has(name))?.get(name)
  }

  #inScope<R>(run: () => R): R {
    this.#scopes.push(new Map())
    const result = run()
    this.#scopes.pop()
    return result
  }

  /** How often a name was met, the declaration included. */
  uses(name: string): number {
    return this.#scopes.reduce((n, s) => n + (s.get(name)?.uses ?? 0), 0)
  }

  #error(message: string, loc: Location): void {
    this.#findings.add('rego_compile_error', message, loc)
  }

  /** Declares the variables of argument patterns. */
  args(patterns: readonly Term[]): readonly Term[] {
    return mapList(patterns, (t) => this.#arg(t))
  }

  #arg(t: Term): Term {
    switch (t.kind) {
      case 'var': {
        const known = this.#top.get(t.name)
        if (known !== undefined) {
          known.uses++
          return { ...t, name: known.name }
        }
        const name = this.#names.declare(t.name)
        this.#top.set(t.name, { name, how: 'argument', uses: 1 })
        return { ...t, name }
      }
      case 'array':
        return { ...t, items: mapList(t.items, (x) => this.#arg(x)) }
      case 'object':
        return { ...t, entries: t.entries.map(([k, v]) => [k, this.#arg(v)]) }
      case 'ref':
        if (t.path.length === 0) {
          const root = t.head.kind === 'var' ? t.head.name : ''
          this.#error(`args must not shadow ${root} (use a different variable name)`, t.loc)
          return t
        }
        return mapTerm(
          t,
          (x) => this.#arg(x),
          (b) => b,
        )
      case 'call':
        this.#error('rule arguments cannot contain calls', t.loc)
        return t
      default:
        return t
    }
  }

  /** @param used - Names that the rule's head or the comprehension's term needs: they count as used. */
  body(body: Body, used: ReadonlySet<string>): Body {
    const before = this.#findings.list.length
    const out: Expr[] = []
    for (const e of body) {
      const rewritten = this.#expr(e)
      if (rewritten !== undefined) out.push(rewritten)
    }
    const [first] = body
    if (out.length === 0 && first !== undefined) {
      const { loc } = first
      out.push({ kind: 'term', loc, negated: false, with: [], term: { kind: 'boolean', loc, value: true } })
    }
    if (this.#findings.list.length === before) this.#checkUnused(body, out, used)
    return out
  }

  #expr(e: Expr): Expr | undefined {
    if (isAssign(e)) return this.#assignment(e)
    switch (e.kind) {
      case 'some':
        for (const s of e.symbols) this.#declare(s.name, 'declared', e.loc)
        return undefined
      case 'some-in':
        return this.#someIn(e)
      case 'every':
        return this.#every(e)
      case 'not': {
        if (!e.braces) return this.#mapped(e)
        const body = this.#inScope(() => this.body(e.body, new Set()))
        return { ...e, body, with: this.#withs(e.with) }
      }
      case 'and':
      case 'or': {
        const lhs = this.#operand(e.lhs, e.lhsBraces)
        const rhs = this.#operand(e.rhs, e.rhsBraces)
        return { ...e, lhs, rhs, with: this.#withs(e.with) }
      }
      default:
        return this.#mapped(e)
    }
  }

  #operand(body: Body, braces: boolean): Body {
    if (!braces) return mapList(body, (e) => this.#mapped(e))
    return this.#inScope(() => this.body(body, new Set()))
  }

  /** Declarations in bodies without braces of their own are refused by the stages that meet `assign` later. */
  #mapped(e: Expr): Expr {
    if (e.kind === 'call') this.#operator(e.op, e.loc)
    const withs = this.#withs(e.with)
    const rest = mapExpr(
      { ...e, with: [] },
      (t) => this.term(t),
      (b) => mapList(b, (x) => this.#mapped(x)),
    )
    return { ...rest, with: withs }
  }

  /** A function cannot be a local: there are no values of that kind. Its name counts as seen. */
  #operator(op: Term & { kind: 'ref' }, loc: Location): void {
    if (op.head.kind !== 'var') return
    const { name } = op.head
    const local = this.#find(name)
    if (local === undefined) this.#top.set(name, { name, how: 'seen', uses: 1 })
    else if (local.name !== name) this.#error(`called function ${refName(op) ?? name} shadowed`, loc)
  }

  #withs(withs: readonly With[]): readonly With[] {
    return mapList(withs, (w) => {
      const value = this.term(w.value)
      const { target } = w
      // a local may hide `input` as a value, never as the target of a replacement
      if (target.kind !== 'ref') return { ...w, target: this.term(target), value }
      return { ...w, target: { ...target, path: mapList(target.path, (t) => this.term(t)) }, value }
    })
  }

  term(t: Term): Term {
    switch (t.kind) {
      case 'var':
        return this.#variable(t)
      case 'ref': {
        if (t.path.length === 0) {
          const root = t.head.kind === 'var' ? t.head.name : ''
          const local = this.#find(root)
          return local === undefined || local.how === 'seen' ? t : { kind: 'var', loc: t.loc, name: local.name }
        }
        return mapTerm(
          t,
          (x) => this.term(x),
          (b) => b,
        )
      }
      case 'call':
        this.#operator(t.op, t.loc)
        return mapTerm(
          t,
          (x) => this.term(x),
          (b) => b,
        )
      case 'array-comprehension':
      case 'set-comprehension':
      case 'object-comprehension':
        return this.#inScope(() => {
          const terms = t.kind === 'object-comprehension' ? [t.key, t.value] : [t.term]
          const body = this.body(t.body, namesIn(terms))
          return mapTerm(
            { ...t, body },
            (x) => this.term(x),
            (b) => b,
          )
        })
      case 'template':
        return {
          ...t,
          parts: mapList(t.parts, (part) => {
            if (!('expr' in part)) return part
            return { expr: this.#inScope(() => this.#mapped(part.expr)) }
          }),
        }
      default:
        return mapTerm(
          t,
          (x) => this.term(x),
          (b) => b,
        )
    }
  }

  /** A term of the rule's head, after the body: variables that the body declares get their names. */
  headTerm(t: Term): Term {
    if (t.kind === 'var') {
      const local = this.#find(t.name)
      return local === undefined || local.name === t.name ? t : { ...t, name: local.name }
    }
    if (t.kind === 'ref' && t.path.length === 0 && t.head.kind === 'var') {
      const local = this.#find(t.head.name)
      if (local !== undefined && local.how !== 'seen') return { kind: 'var', loc: t.loc, name: local.name }
    }
    const inBody = (b: Body): Body => mapList(b, (e) => mapExpr(e, (x) => this.headTerm(x), inBody))
    return mapTerm(t, (x) => this.headTerm(x), inBody)
  }

  #variable(t: Term & { kind: 'var' }): Term {
    const local = this.#find(t.name)
    if (local === undefined) {
      this.#top.set(t.name, { name: t.name, how: 'seen', uses: 1 })
      return t
    }
    local.uses++
    return local.name === t.name ? t : { ...t, name: local.name }
  }

  #declare(name: string, how: 'assigned' | 'declared', loc: Location): string {
    const known = this.#top.get(name)
    if (known !== undefined) {
      const what = {
        argument: 'redeclared',
        seen: 'referenced above',
        assigned: 'assigned above',
        declared: 'declared above',
      }
      this.#error(`${known.how === 'argument' ? 'arg' : 'var'} ${name} ${what[known.how]}`, loc)
      return known.name
    }
    const fresh = this.#names.declare(name)
    this.#top.set(name, { name: fresh, how, uses: 1 })
    return fresh
  }

  #assignment(e: Expr & { kind: 'call' }): Expr {
    if (e.negated) {
      this.#error('cannot assign vars inside negated expression', e.loc)
      return e
    }
    const [target, value] = e.args as [Term, Term]
    const rhs = this.term(value)
    const withs = this.#withs(e.with)
    const lhs = this.#target(target)
    return { ...e, op: nameRef('eq', e.op.loc), args: [lhs, rhs], with: withs, declares: true }
  }

  #target(t: Term): Term {
    switch (t.kind) {
      case 'var':
        return { ...t, name: this.#declareOrWildcard(t.name, t.loc) }
      case 'array':
        return { ...t, items: mapList(t.items, (x) => this.#target(x)) }
      case 'object':
        return { ...t, entries: t.entries.map(([k, v]) => [this.term(k), this.#target(v)]) }
      case 'ref':
        if (t.path.length === 0 && t.head.kind === 'var') {
          return { kind: 'var', loc: t.loc, name: this.#declare(t.head.name, 'assigned', t.loc) }
        }
        break
      default:
    }
    this.#error(`cannot assign to ${kindName(t)}`, t.loc)
    return t
  }

  #declareOrWildcard(name: string, loc: Location): string {
    return this.#declare(name, 'assigned', loc)
  }

  /** `some k, v in xs` is `v = xs[k]` with new variables in `k` and `v`. */
  #someIn(e: SomeInExpr): Expr {
    const key = e.key ?? this.#names.fresh(e.loc)
    const element: Term =
      e.domain.kind === 'ref'
        ? { ...e.domain, path: [...e.domain.path, key] }
        : { kind: 'ref', loc: e.domain.loc, head: e.domain, path: [key] }
    const known = namesIn([e.domain])
    const outputs = patternOutputs([key, e.value], known)
    for (const name of outputs) this.#declare(name, 'declared', e.loc)
    return this.#mapped({ ...equation(e.value, element, e.loc), with: e.with, negated: e.negated })
  }

  #every(e: EveryExpr): Expr {
    const domain = this.term(e.domain)
    const withs = this.#withs(e.with)
    return this.#inScope(() => {
      const bound = (v: EveryExpr['value']): EveryExpr['value'] =>
        isWildcard(v.name) ? v : { ...v, name: this.#declare(v.name, 'declared', e.loc) }
      const key = e.key && bound(e.key)
      const value = bound(e.value)
      return { ...e, key, value, domain, with: withs, body: this.body(e.body, new Set()) }
    })
  }

  #checkUnused(body: Body, rewritten: Body, used: ReadonlySet<string>): void {
    const place = (name: string): Location => {
      const e = body.find((x) => declaredNames([x]).has(name)) ?? body[0]
      return (e as Expr).loc
    }
    let met: Set<string> | undefined
    for (const [name, local] of this.#top) {
      if (used.has(name) || isWildcard(name)) continue
      if (local.how === 'assigned' && this.#strict && local.uses <= 1) {
        this.#error(`assigned var ${name} unused`, place(name))
      }
      if (local.how === 'declared') {
        met ??= namesIn([], rewritten)
        if (!met.has(local.name)) this.#error(`declared var ${name} unused`, place(name))
      }
    }
  }
}

/** Every variable in terms and bodies, closures included. */
export function namesIn(terms: readonly Term[], body: Body = []): Set<string> {
  const names = new Set<string>()
  const visit = (t: Term): boolean => {
    if (t.kind === 'var') names.add(t.name)
    return true
  }
  for (const t of terms) visitTerm(t, visit)
  visitBody(body, visit)
  return names
}
