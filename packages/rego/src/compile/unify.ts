import type { RefTerm, Term } from '../syntax/ast.ts'
import { isLiteral } from '../syntax/ast.ts'
import { visitTerm } from '../syntax/visit.ts'

/** Variables that a pattern can bind: not those in object keys, sets, closures or the heads of references. */
export function patternVars(t: Term, into: Set<string>): void {
  if (isLiteral(t)) return
  switch (t.kind) {
    case 'var':
      into.add(t.name)
      break
    case 'ref':
      for (const step of t.path) patternVars(step, into)
      break
    case 'array':
      for (const item of t.items) patternVars(item, into)
      break
    case 'object':
      for (const [, v] of t.entries) patternVars(v, into)
      break
    case 'call':
      for (const arg of t.args) patternVars(arg, into)
      break
    default:
  }
}

/** The variables of the patterns of `some k, v in xs` that are new, given those of `xs`. */
export function patternOutputs(patterns: readonly Term[], known: ReadonlySet<string>): Set<string> {
  const names = new Set<string>()
  for (const p of patterns) {
    const found = new Set<string>()
    patternVars(p, found)
    for (const name of found) if (!known.has(name)) names.add(name)
    // a reference inside a pattern (`some xs[i] in ys`) iterates its own variables
    visitTerm(p, (t) => {
      if (t.kind === 'ref' && t.head.kind === 'var') names.delete(t.head.name)
      return true
    })
  }
  return names
}

/** Variables of a term that must have a value before it has one: closures and operators left out. */
export function neededVars(t: Term, into: Set<string>): void {
  if (isLiteral(t)) return
  switch (t.kind) {
    case 'var':
      into.add(t.name)
      break
    case 'ref':
      neededVars(t.head, into)
      for (const step of t.path) neededVars(step, into)
      break
    case 'array':
    case 'set':
      for (const item of t.items) neededVars(item, into)
      break
    case 'object':
      for (const [k, v] of t.entries) {
        neededVars(k, into)
        neededVars(v, into)
      }
      break
    case 'call':
      for (const arg of t.args) neededVars(arg, into)
      break
    default:
  }
}

function allIn(names: ReadonlySet<string>, safe: ReadonlySet<string>): boolean {
  for (const n of names) if (!safe.has(n)) return false
  return true
}

export function isRefSafe(ref: RefTerm, safe: ReadonlySet<string>): boolean {
  if (ref.head.kind === 'var') return safe.has(ref.head.name)
  const names = new Set<string>()
  neededVars(ref.head, names)
  return allIn(names, safe)
}

/** Which variables `a = b` gives a value, when those in `safe` have one. */
export class Unifier {
  readonly #safe: ReadonlySet<string>
  readonly bound = new Set<string>()
  /** Variables that would follow from others: by name, those they still wait for. */
  readonly #waiting = new Map<string, Set<string>>()

  constructor(safe: ReadonlySet<string>) {
    this.#safe = safe
  }

  #known(name: string): boolean {
    return this.#safe.has(name) || this.bound.has(name)
  }

  unify(a: Term, b: Term): void {
    if (a.kind === 'var') return this.#variable(a.name, b)
    if (b.kind === 'var') return this.#variable(b.name, a)
    if (a.kind === 'array' && b.kind === 'array') {
      if (a.items.length === b.items.length) {
        for (const [i, item] of a.items.entries()) this.unify(item, b.items[i] as Term)
      }
      return
    }
    if (a.kind === 'object' && b.kind === 'object') return this.#objects(a, b)
    if (this.#hasValue(a) && isPattern(b)) this.#bindAll(b)
    else if (this.#hasValue(b) && isPattern(a)) this.#bindAll(a)
  }

  #hasValue(t: Term): boolean {
    if (t.kind === 'ref') return isRefSafe(t, this.#safe)
    if (t.kind === 'call') {
      const names = new Set<string>()
      neededVars(t, names)
      return allIn(names, this.#safe)
    }
    return t.kind === 'array-comprehension' || t.kind === 'object-comprehension' || t.kind === 'set-comprehension'
  }

  #objects(a: Term & { kind: 'object' }, b: Term & { kind: 'object' }): void {
    if (a.entries.length !== b.entries.length) return
    const byKey = new Map(b.entries.map(([k, v]) => [keyText(k), v]))
    for (const [k, v] of a.entries) {
      const other = byKey.get(keyText(k))
      if (other !== undefined) this.unify(v, other)
    }
  }

  #variable(name: string, t: Term): void {
    switch (t.kind) {
      case 'var':
        if (this.#known(t.name)) this.#bind(name)
        else if (this.#known(name)) this.#bind(t.name)
        else {
          this.#wait(name, t.name)
          this.#wait(t.name, name)
        }
        break
      case 'array':
      case 'object':
        this.#pattern(name, t)
        break
      case 'ref':
      case 'call':
        if (this.#hasValue(t)) this.#bind(name)
        break
      default:
        this.#bind(name)
    }
  }

  #pattern(name: string, t: Term): void {
    if (this.#known(name)) return this.#bindAll(t)
    const parts = new Set<string>()
    patternVars(t, parts)
    const open = [...parts].filter((n) => !this.#known(n))
    if (open.length === 0) this.#bind(name)
    else for (const n of open) this.#wait(name, n)
  }

  #bindAll(t: Term): void {
    const parts = new Set<string>()
    patternVars(t, parts)
    for (const n of parts) this.#bind(n)
  }

  #wait(name: string, on: string): void {
    const set = this.#waiting.get(name)
    if (set === undefined) this.#waiting.set(name, new Set([on]))
    else set.add(on)
  }

  #bind(name: string): void {
    this.bound.add(name)
    const parts = this.#waiting.get(name)
    this.#waiting.delete(name)
    if (parts !== undefined) for (const n of parts) this.#bind(n)
    for (const [other, on] of this.#waiting) {
      if (on.delete(name) && on.size === 0) {
        this.#waiting.delete(other)
        this.#bind(other)
      }
    }
  }
}

function isPattern(t: Term): boolean {
  return t.kind === 'array' || t.kind === 'object'
}

function keyText(t: Term): string {
  switch (t.kind) {
    case 'string':
      return `s${t.value}`
    case 'number':
      return `n${Number(t.text)}`
    case 'boolean':
      return `b${t.value}`
    case 'var':
      return `v${t.name}`
    default:
      return `x${t.loc.start}`
  }
}
