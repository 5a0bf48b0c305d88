import type { Body, CallExpr, Expr, Import, Module, RefTerm, Rule, Term } from '../syntax/ast.ts'
import { visitBody, visitTerm } from '../syntax/visit.ts'
import { mapExpr, mapList, mapTerm } from './map.ts'

/** What a name outside all scopes means: the path of a rule or an import, and whether anybody used it. */
export type Global = { readonly ref: RefTerm; readonly from: Import | undefined; used: boolean }

/** The names that a module can use without declaring them. An import wins over a rule of the same name. */
export function globalsOf(module: Module, ruleNames: Iterable<string>): Map<string, Global> {
  const globals = new Map<string, Global>()
  const { loc } = module.package
  const head: Term = { kind: 'var', loc, name: 'data' }
  for (const name of ruleNames) {
    const path = [...module.package.path, name].map((value): Term => ({ kind: 'string', loc, value }))
    globals.set(name, { ref: { kind: 'ref', loc, head, path }, from: undefined, used: false })
  }
  for (const i of module.imports) {
    const root = i.path.head.kind === 'var' ? i.path.head.name : ''
    if (root !== 'future' && root !== 'rego') globals.set(importName(i), { ref: i.path, from: i, used: false })
  }
  return globals
}

/** The name by which an import is known in its module. */
export function importName(i: Import): string {
  if (i.alias !== undefined) return i.alias
  const last = i.path.path.at(-1) ?? i.path.head
  return last.kind === 'string' ? last.value : last.kind === 'var' ? last.name : ''
}

/** Names that a body declares with `:=` or `some`, comprehensions in it left out: they have scopes of their own. */
export function declaredNames(body: Body): Set<string> {
  const names = new Set<string>()
  const addVars = (t: Term): void =>
    visitTerm(t, (x) => {
      if (x.kind === 'var') names.add(x.name)
      return true
    })
  const outsideComprehensions = (t: Term): boolean => !t.kind.endsWith('comprehension')
  visitBody(body, outsideComprehensions, (e) => {
    const [target] = isAssign(e) ? e.args : []
    if (target !== undefined) addVars(target)
    else if (e.kind === 'some') for (const s of e.symbols) names.add(s.name)
    else if (e.kind === 'some-in') {
      if (e.key !== undefined) addVars(e.key)
      addVars(e.value)
    }
    return true
  })
  return names
}

export function isAssign(e: Expr): e is CallExpr {
  if (e.kind !== 'call' || e.args.length !== 2 || e.op.path.length > 0) return false
  return e.op.head.kind === 'var' && e.op.head.name === 'assign'
}

/** Variables in argument patterns: they hide globals in the whole rule. */
export function patternNames(patterns: readonly Term[]): Set<string> {
  const names = new Set<string>()
  const visit = (t: Term): boolean => {
    if (t.kind === 'var') names.add(t.name)
    if (t.kind === 'object') for (const [, v] of t.entries) visitTerm(v, visit)
    return t.kind !== 'object' && t.kind !== 'set' && t.kind !== 'call' && !t.kind.endsWith('comprehension')
  }
  for (const p of patterns) visitTerm(p, visit)
  return names
}

/** Gives every global its full path. Names that a scope declares stay as they are. */
export class Resolver {
  readonly #globals: ReadonlyMap<string, Global>
  readonly #scopes: ReadonlySet<string>[] = []

  constructor(globals: ReadonlyMap<string, Global>) {
    this.#globals = globals
  }

  rule(rule: Rule): Rule {
    const { head } = rule
    return this.#within([patternNames(head.args ?? []), declaredNames(rule.body)], () => ({
      ...rule,
      head: {
        ...head,
        ref: { ...head.ref, path: mapList(head.ref.path, (t) => this.term(t)) },
        key: head.key && this.term(head.key),
        value: head.value && this.term(head.value),
      },
      body: this.#exprs(rule.body),
      else: rule.else && this.rule(rule.else),
    }))
  }

  /** A body in a scope of its own. */
  body(body: Body): Body {
    return this.#within([declaredNames(body)], () => this.#exprs(body))
  }

  #within<R>(scopes: readonly ReadonlySet<string>[], run: () => R): R {
    this.#scopes.push(...scopes)
    const result = run()
    this.#scopes.length -= scopes.length
    return result
  }

  #exprs(body: Body): Body {
    return mapList(body, (e) => this.#expr(e))
  }

  #expr(e: Expr): Expr {
    if (e.kind === 'every') {
      const domain = this.term(e.domain)
      const names = new Set([e.value.name, ...(e.key === undefined ? [] : [e.key.name])])
      const body = this.#within([names, declaredNames(e.body)], () => this.#exprs(e.body))
      const withs = mapList(e.with, (w) => ({ ...w, target: this.term(w.target), value: this.term(w.value) }))
      return { ...e, domain, body, with: withs }
    }
    const mapped = mapExpr(
      e,
      (t) => this.term(t),
      (b) => this.body(b),
    )
    if (mapped.kind !== 'call') return mapped
    const op = this.#ref(mapped.op)
    return op === mapped.op ? mapped : { ...mapped, op }
  }

  term(t: Term): Term {
    switch (t.kind) {
      case 'var': {
        const global = this.#global(t.name)
        return global === undefined ? t : place(global, t)
      }
      case 'ref':
        return this.#ref(t)
      case 'call': {
        const op = this.#ref(t.op)
        const args = mapList(t.args, (a) => this.term(a))
        return op === t.op && args === t.args ? t : { ...t, op, args }
      }
      case 'array-comprehension':
      case 'set-comprehension':
      case 'object-comprehension':
        return this.#within([declaredNames(t.body)], () =>
          mapTerm(
            t,
            (x) => this.term(x),
            (b) => this.#exprs(b),
          ),
        )
      case 'template':
        return {
          ...t,
          parts: mapList(t.parts, (part) => ('expr' in part ? { expr: this.#expr(part.expr) } : part)),
        }
      default:
        return mapTerm(
          t,
          (x) => this.term(x),
          (b) => this.body(b),
        )
    }
  }

  #ref(t: RefTerm): RefTerm {
    const path = mapList(t.path, (x) => this.term(x))
    if (t.head.kind !== 'var') return { ...t, head: this.term(t.head), path }
    const global = this.#global(t.head.name)
    if (global === undefined) return path === t.path ? t : { ...t, path }
    const prefix = place(global, t.head)
    return { ...prefix, loc: t.loc, path: [...prefix.path, ...path] }
  }

  #global(name: string): RefTerm | undefined {
    const global = this.#globals.get(name)
    if (global === undefined || this.#scopes.some((s) => s.has(name))) return undefined
    global.used = true
    return global.ref
  }
}

/** A global's path as if it had been written where its name stands. */
function place(ref: RefTerm, at: Term): RefTerm {
  const { loc } = at
  return { ...ref, loc, head: { ...ref.head, loc }, path: ref.path.map((s) => ({ ...s, loc })) }
}
