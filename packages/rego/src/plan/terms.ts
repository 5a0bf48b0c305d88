import { RegoError } from '../errors.ts'
import { isLiteral, refName, type Comprehension, type Expr, type RefTerm, type Term } from '../syntax/ast.ts'
import { numberFromText, objectOf, RegoSet, step, type Value } from '../value/index.ts'
import type { Builder } from './builder.ts'
import type { Block, Emit, Operand } from './ir.ts'
import type { PlanContext } from './context.ts'

export function isConst(o: Operand): o is { readonly value: Value } {
  return typeof o === 'object'
}

export const TRUE: Operand = { value: true }

/** True if a pattern has a variable that nothing has bound. Steps of references do not count: they iterate. */
export function hasOpen(t: Term, b: Builder): boolean {
  if (isLiteral(t)) return false
  switch (t.kind) {
    case 'var':
      return b.lookup(t.name) === undefined
    case 'array':
    case 'set':
      return t.items.some((x) => hasOpen(x, b))
    case 'object':
      return t.entries.some(([k, v]) => hasOpen(k, b) || hasOpen(v, b))
    default:
      return false
  }
}

/** The operations that give a term its value; they fail where it is undefined. */
export function planTerm(t: Term, b: Builder, c: PlanContext): Operand {
  if (isLiteral(t)) return { value: constantTerm(t) as Value }
  switch (t.kind) {
    case 'null':
    case 'boolean':
    case 'string':
    case 'number':
      throw internal('a literal is no literal', t)
    case 'var': {
      const bound = b.lookup(t.name)
      if (bound === undefined) throw internal(`variable ${t.name} has no value here`, t)
      return bound
    }
    case 'array': {
      const items = t.items.map((x) => planTerm(x, b, c))
      if (items.every(isConst)) return { value: items.map((x) => x.value) }
      return b.value((out) => ({ op: 'array', out, items }))
    }
    case 'set': {
      const items = t.items.map((x) => planTerm(x, b, c))
      if (items.every(isConst)) return { value: RegoSet.of(items.map((x) => x.value)) }
      return b.value((out) => ({ op: 'set', out, items }))
    }
    case 'object':
      return planObject(t, b, c)
    case 'ref':
      return planRef(t, b, c)
    case 'array-comprehension':
    case 'set-comprehension':
    case 'object-comprehension':
      return planComprehension(t, b, c)
    case 'call':
    case 'template':
      throw internal(`${t.kind} was not flattened`, t)
  }
}

const constants = new WeakMap<Term, Value>()

/** The value of a term of literals only. */
export function constantTerm(t: Term): Value | undefined {
  if (!isLiteral(t)) return undefined
  const known = constants.get(t)
  if (known !== undefined) return known
  const value = literalValue(t)
  if (value !== undefined && typeof value === 'object' && value !== null) constants.set(t, value)
  return value
}

function literalValue(t: Term): Value | undefined {
  switch (t.kind) {
    case 'null':
      return null
    case 'boolean':
    case 'string':
      return t.value
    case 'number':
      return numberValue(t.text, t)
    case 'array':
    case 'set': {
      const items: Value[] = []
      for (const x of t.items) {
        const value = constantTerm(x)
        if (value === undefined) return undefined
        items.push(value)
      }
      return t.kind === 'array' ? items : RegoSet.of(items)
    }
    case 'object': {
      const entries: [Value, Value][] = []
      for (const [k, v] of t.entries) {
        const key = constantTerm(k)
        const value = constantTerm(v)
        if (key === undefined || value === undefined) return undefined
        entries.push([key, value])
      }
      return objectOf(entries)
    }
    default:
      return undefined
  }
}

export function internal(message: string, t: { loc: Term['loc'] }): RegoError {
  return RegoError.of('eval_internal_error', message, t.loc)
}

function numberValue(text: string, t: Term): Value {
  const n = numberFromText(text)
  if (n === undefined) throw internal(`${text} is not a number`, t)
  return n
}

function planObject(t: Term & { kind: 'object' }, b: Builder, c: PlanContext): Operand {
  const entries = t.entries.map(([k, v]) => [planTerm(k, b, c), planTerm(v, b, c)] as const)
  const known: [Value, Value][] = []
  for (const [k, v] of entries) if (isConst(k) && isConst(v)) known.push([k.value, v.value])
  if (known.length === entries.length) return { value: objectOf(known) }
  return b.value((out) => ({ op: 'object', out, entries }))
}

function planComprehension(t: Comprehension, b: Builder, c: PlanContext): Operand {
  const kind = t.kind === 'array-comprehension' ? 'array' : t.kind === 'set-comprehension' ? 'set' : 'object'
  const inner = b.nested(kind === 'array' || c.explain !== undefined)
  c.body(t.body, inner)
  if (!inner.dead) {
    const emit: Emit =
      t.kind === 'object-comprehension'
        ? { op: 'emit', what: 'entry', key: planTerm(t.key, inner, c), value: planTerm(t.value, inner, c) }
        : { op: 'emit', what: 'value', value: planTerm(t.term, inner, c) }
    inner.add(emit)
  }
  return b.value((out) => ({ op: 'comprehension', out, kind, body: inner.block, loc: t.loc }))
}

/** A block that only asks whether there is a solution. */
export function planFound(b: Builder, c: PlanContext, plan: (inner: Builder) => void): Block {
  const inner = b.nested(c.explain !== undefined)
  plan(inner)
  if (!inner.dead) inner.add({ op: 'emit', what: 'found' })
  return inner.block
}

export function planRef(ref: RefTerm, b: Builder, c: PlanContext): Operand {
  const value = planPlainRef(ref, b, c)
  if (c.explain !== undefined && typeof value === 'number') c.explain.reads.push([ref.loc.text, value])
  return value
}

function planPlainRef(ref: RefTerm, b: Builder, c: PlanContext): Operand {
  if (ref.head.kind === 'var') {
    const local = b.lookup(ref.head.name)
    if (local !== undefined) return planSteps(local, ref.path, b, c)
    if (ref.head.name === 'input') {
      const input = c.input(b)
      return planSteps(input, ref.path, b, c)
    }
    if (ref.head.name === 'data') return c.data(ref, b)
    throw internal(`variable ${refName(ref) ?? ref.head.name} has no value here`, ref)
  }
  return planSteps(planTerm(ref.head, b, c), ref.path, b, c)
}

/** Follows steps from a value: known keys are looked up, open variables iterate. */
export function planSteps(from: Operand, path: readonly Term[], b: Builder, c: PlanContext): Operand {
  let at = from
  for (const t of path) at = planStep(at, t, b, c)
  return at
}

function planStep(from: Operand, t: Term, b: Builder, c: PlanContext): Operand {
  if (t.kind === 'string' && !isConst(from)) {
    return b.pure(`load ${from} ${t.value}`, (out) => ({ op: 'load', out, from, key: t.value }))
  }
  if (!hasOpen(t, b)) {
    const key = planTerm(t, b, c)
    if (isConst(from) && isConst(key)) {
      const value = step(from.value, key.value)
      if (value !== undefined) return { value }
      b.add({ op: 'fail' })
    }
    if (isConst(from) || isConst(key)) return b.value((out) => ({ op: 'step', out, from, key }))
    return b.pure(`step ${from} ${key}`, (out) => ({ op: 'step', out, from, key }))
  }
  const key = b.registers.next()
  const value = b.registers.next()
  const { ordered } = b
  b.iterate((body) => ({ op: 'scan', from, key, value, ordered, body }))
  if (t.kind === 'var') b.bind(t.name, key)
  else planMatch(t, key, b, c)
  return value
}

/** Compares a value with a pattern and binds the pattern's open variables. */
export function planMatch(pattern: Term, value: Operand, b: Builder, c: PlanContext): void {
  switch (pattern.kind) {
    case 'var': {
      const bound = b.lookup(pattern.name)
      if (bound === undefined) b.bind(pattern.name, value)
      else planEqual(bound, value, b)
      return
    }
    case 'array': {
      if (!hasOpen(pattern, b)) break
      b.add({ op: 'is-array', from: value, length: pattern.items.length })
      for (const [i, item] of pattern.items.entries()) {
        const element = b.value((out) => ({ op: 'step', out, from: value, key: { value: i } }))
        planMatch(item, element, b, c)
      }
      return
    }
    case 'object': {
      if (!hasOpen(pattern, b)) break
      const keys = pattern.entries.map(([k]) => planTerm(k, b, c))
      b.add({ op: 'is-object', from: value, size: distinctKeys(keys) })
      for (const [i, [, v]] of pattern.entries.entries()) {
        const key = keys[i] as Operand
        const member = b.value((out) => ({ op: 'step', out, from: value, key }))
        planMatch(v, member, b, c)
      }
      return
    }
    default:
  }
  planEqual(planTerm(pattern, b, c), value, b)
}

function distinctKeys(keys: readonly Operand[]): number {
  return keys.every(isConst) ? RegoSet.of(keys.map((k) => (k as { value: Value }).value)).size : keys.length
}

export function planEqual(a: Operand, b: Operand, builder: Builder): void {
  if (a === b) return
  builder.add({ op: 'equal', a, b })
}

/** What an expression is called where it is explained. */
export function siteOf(e: Expr): Expr {
  return e.origin === undefined ? e : siteOf(e.origin)
}
