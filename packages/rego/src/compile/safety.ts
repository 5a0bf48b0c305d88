import { isGenerated, isLiteral, type Body, type Expr, type Term, type With } from '../syntax/ast.ts'
import { visitExpr } from '../syntax/visit.ts'
import type { Functions } from './functions.ts'
import { isEquation, isOp, mapExpr, mapList, mapTerm } from './map.ts'
import type { Names } from './names.ts'
import type { Findings } from './rule.ts'
import { isRefSafe, neededVars, patternVars, Unifier } from './unify.ts'

/** Names that are always bound. */
export const ROOTS: ReadonlySet<string> = new Set(['input', 'data'])

export type Unsafe = Map<Expr, Set<string>>
export type Ordered = { readonly body: Body; readonly unsafe: Unsafe }

/** Variables of an expression that need a value or get one here; those inside closures left out. */
export function exprVars(e: Expr, functions: Functions): Set<string> {
  const vars = new Set<string>()
  switch (e.kind) {
    case 'term':
      neededVars(e.term, vars)
      break
    case 'call':
      for (const arg of e.args) neededVars(arg, vars)
      break
    case 'every':
      neededVars(e.domain, vars)
      break
    case 'not':
      if (!e.braces) implicitVars(e.body, functions, vars)
      break
    case 'and':
    case 'or':
      if (!e.lhsBraces) implicitVars(e.lhs, functions, vars)
      if (!e.rhsBraces) implicitVars(e.rhs, functions, vars)
      break
    default:
  }
  for (const w of e.with) withVars(w, vars)
  return vars
}

/** Variables of a replacement; the names of functions on either side are none. */
function withVars(w: With, into: Set<string>): void {
  if (w.target.kind === 'ref') for (const step of w.target.path) neededVars(step, into)
  if (w.names !== true) neededVars(w.value, into)
}

/**
 * An operand without braces declares nothing, so its variables come from outside; only what the compiler itself pulled out
 * of it, and uses there again, is its own.
 */
function implicitVars(body: Body, functions: Functions, into: Set<string>): void {
  const met = new Map<string, number>()
  for (const e of body) for (const v of exprVars(e, functions)) met.set(v, (met.get(v) ?? 0) + 1)
  const bound = new Set<string>()
  if (body.length > 1) {
    for (const e of body) {
      if (e.kind !== 'call') continue
      if (isEquation(e)) for (const v of equationOutputs(e, new Set())) bound.add(v)
      else {
        const arity = functions.arity(e.op)
        if (arity !== undefined) for (const out of e.args.slice(arity)) patternVars(out, bound)
      }
    }
  }
  for (const [v, count] of met) if (!bound.has(v) || count === 1) into.add(v)
}

/** Variables inside the closures of an expression. */
function closureVars(e: Expr): Set<string> {
  const vars = new Set<string>()
  const collect = (t: Term): boolean => {
    if (t.kind === 'var') vars.add(t.name)
    return true
  }
  const inside = (body: Body): void => {
    for (const x of body) visitExpr(x, collect)
  }
  const enter = (t: Term): boolean => {
    if (!t.kind.endsWith('comprehension')) return true
    visitExpr({ kind: 'term', loc: t.loc, negated: false, with: [], term: t }, collect)
    return false
  }
  visitExpr(e, enter, (x) => {
    if (x.kind === 'every') inside(x.body)
    else if (x.kind === 'not') inside(x.body)
    else if (x.kind === 'and' || x.kind === 'or') {
      inside(x.lhs)
      inside(x.rhs)
    } else return true
    return x.kind === 'every'
  })
  return vars
}

/** Variables that references bind by going through what their head holds. */
function refOutputs(t: Term, safe: ReadonlySet<string>, into: Set<string>): void {
  if (isLiteral(t)) return
  switch (t.kind) {
    case 'ref':
      if (!isRefSafe(t, safe)) return
      for (const step of t.path) {
        neededVars(step, into)
        refOutputs(step, safe, into)
      }
      break
    case 'array':
    case 'set':
      for (const item of t.items) refOutputs(item, safe, into)
      break
    case 'object':
      for (const [k, v] of t.entries) {
        refOutputs(k, safe, into)
        refOutputs(v, safe, into)
      }
      break
    case 'call':
      for (const arg of t.args) refOutputs(arg, safe, into)
      break
    default:
  }
}

function equationOutputs(e: Expr & { kind: 'call' }, safe: ReadonlySet<string>): Set<string> {
  const known = new Set(safe)
  for (const arg of e.args) refOutputs(arg, safe, known)
  const [a, b] = e.args as [Term, Term]
  if (e.declares === true) {
    const targets = new Set<string>()
    neededVars(a, targets)
    for (const v of targets) known.delete(v)
  }
  const unifier = new Unifier(known)
  unifier.unify(a, b)
  for (const v of unifier.bound) known.add(v)
  for (const v of safe) known.delete(v)
  return known
}

/** The variables that an expression gives a value, when those in `safe` have one. */
export function outputsOf(e: Expr, functions: Functions, safe: ReadonlySet<string>): Set<string> {
  const out = new Set<string>()
  if (e.negated) return out
  for (const w of e.with) {
    const needed = new Set<string>()
    withVars(w, needed)
    for (const v of needed) if (!safe.has(v)) return out
  }
  switch (e.kind) {
    case 'term':
      refOutputs(e.term, safe, out)
      return out
    case 'every':
      refOutputs(e.domain, safe, out)
      return out
    case 'call':
      return isEquation(e) ? equationOutputs(e, safe) : callOutputs(e, functions, safe, out)
    default:
      return out
  }
}

function callOutputs(
  e: Expr & { kind: 'call' },
  functions: Functions,
  safe: ReadonlySet<string>,
  out: Set<string>,
): Set<string> {
  const arity = functions.arity(e.op)
  if (arity === undefined || isOp(e.op, 'eq')) return out
  for (const arg of e.args) refOutputs(arg, safe, out)
  if (e.args.length <= arity) return out
  const needed = new Set<string>()
  for (const arg of e.args.slice(0, arity)) patternVars(arg, needed)
  for (const v of needed) if (!safe.has(v) && !out.has(v)) return new Set()
  for (const arg of e.args.slice(arity)) patternVars(arg, out)
  return out
}

/** All variables that a body binds beyond those in `safe`, in the order in which it stands. */
export function bodyOutputs(body: Body, functions: Functions, safe: ReadonlySet<string>): Set<string> {
  const known = new Set(safe)
  for (const e of body) for (const v of outputsOf(e, functions, known)) known.add(v)
  return known
}

/**
 * Orders a body so that every variable has a value before it is needed, keeping the written order as far as that allows.
 * This order is the order of evaluation. Closures inside are ordered too.
 */
export function orderBody(body: Body, functions: Functions, globals: ReadonlySet<string>): Ordered {
  const vars = body.map((e) => exprVars(e, functions))
  const bodyVars = new Set<string>()
  for (const set of vars) for (const v of set) bodyVars.add(v)
  // what an expression's closures take from this body is needed like any other variable
  const needs = body.map((e, i) => {
    const needed = new Set(vars[i])
    for (const v of closureVars(e)) if (bodyVars.has(v)) needed.add(v)
    return needed
  })
  const safe = new Set(globals)
  const order: number[] = []
  const waiting = new Set(body.keys())
  const open = new Map<number, Set<string>>()
  for (let before = -1; before !== order.length;) {
    before = order.length
    for (const i of waiting) {
      const e = body[i] as Expr
      const outputs = outputsOf(e, functions, safe)
      const missing = new Set<string>()
      for (const v of needs[i] as Set<string>) if (!safe.has(v) && !outputs.has(v)) missing.add(v)
      const own = vars[i] as Set<string>
      // a closure may not use what only its own expression binds
      for (const v of closureVars(e)) if (outputs.has(v) && own.has(v) && !safe.has(v)) missing.add(v)
      open.set(i, missing)
      if (missing.size > 0) continue
      waiting.delete(i)
      order.push(i)
      for (const v of outputs) safe.add(v)
    }
  }
  const unsafe: Unsafe = new Map()
  for (const i of waiting) unsafe.set(body[i] as Expr, open.get(i) as Set<string>)
  if (unsafe.size > 0) return { body, unsafe }
  const visible = new Set(globals)
  const out = order.map((i) => {
    const e = orderClosures(body[i] as Expr, functions, visible, unsafe)
    for (const v of vars[i] as Set<string>) visible.add(v)
    return e
  })
  return { body: out, unsafe }
}

function orderClosures(e: Expr, functions: Functions, visible: ReadonlySet<string>, unsafe: Unsafe): Expr {
  const closure = (body: Body, terms: readonly Term[], more: readonly string[] = []): Body => {
    const globals = new Set([...visible, ...more])
    const inside = new Set(globals)
    for (const x of body) for (const v of exprVars(x, functions)) inside.add(v)
    const needed = new Set<string>()
    for (const t of terms) neededVars(t, needed)
    for (const v of needed) if (!inside.has(v)) note(unsafe, e, v)
    const ordered = orderBody(body, functions, globals)
    for (const [x, vs] of ordered.unsafe) for (const v of vs) note(unsafe, x, v)
    return ordered.body
  }
  const onTerm = (t: Term): Term => {
    switch (t.kind) {
      case 'array-comprehension':
      case 'set-comprehension':
        return { ...t, body: closure(t.body, [t.term]) }
      case 'object-comprehension':
        return { ...t, body: closure(t.body, [t.key, t.value]) }
      default:
        return mapTerm(t, onTerm, (b) => b)
    }
  }
  if (e.kind === 'every') {
    const names = [e.value.name, ...(e.key === undefined ? [] : [e.key.name])]
    const withs = mapList(e.with, (w) => ({ ...w, value: onTerm(w.value) }))
    return { ...e, domain: onTerm(e.domain), body: closure(e.body, [], names), with: withs }
  }
  return mapExpr(e, onTerm, (b) => closure(b, []))
}

function note(unsafe: Unsafe, e: Expr, name: string): void {
  const set = unsafe.get(e)
  if (set === undefined) unsafe.set(e, new Set([name]))
  else set.add(name)
}

/**
 * One finding for each unsafe variable that stands at the root of the trouble, at the first expression that needs it; where all
 * variables are the compiler's own, one for each expression.
 *
 * @param within - What to add to a message, see `sharedLine`.
 */
export function reportUnsafe(
  unsafe: Unsafe,
  functions: Functions,
  names: Names,
  findings: Findings,
  within: string = '',
): void {
  const told = new Set<string>()
  const derived = consequences(unsafe, functions)
  for (const [e, vars] of unsafe) {
    for (const v of vars) {
      const name = names.written(v)
      if (isGenerated(name) || told.has(v) || derived.has(v)) continue
      told.add(v)
      findings.add('rego_unsafe_var_error', `var ${name} is unsafe${within}`, e.loc)
    }
  }
  if (told.size > 0) return
  for (const e of unsafe.keys()) findings.add('rego_unsafe_var_error', `expression is unsafe${within}`, e.loc)
}

/**
 * Unsafe variables that would get a value if only the others had one: naming them would hide the cause. Variables that wait for
 * each other in a circle are all causes.
 */
function consequences(unsafe: Unsafe, functions: Functions): ReadonlySet<string> {
  const all = new Set([...unsafe.values()].flatMap((vars) => [...vars]))
  const derived = new Set<string>()
  for (const e of unsafe.keys()) {
    const others = new Set([...ROOTS, ...all, ...exprVars(e, functions)])
    for (const v of all) {
      others.delete(v)
      if (outputsOf(e, functions, others).has(v)) derived.add(v)
      others.add(v)
    }
  }
  return derived.size === all.size ? new Set() : derived
}
