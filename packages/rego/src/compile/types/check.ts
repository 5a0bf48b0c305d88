import type { Diagnostic } from '../../errors.ts'
import {
  isComprehension,
  isGenerated,
  isLiteral,
  refName,
  type Body,
  type CallExpr,
  type Expr,
  type RefTerm,
  type Term,
} from '../../syntax/ast.ts'
import { visitExpr, visitTerm } from '../../syntax/visit.ts'
import type { Functions } from '../functions.ts'
import { nodesInOrder, type Graph } from '../graph.ts'
import { isEquation } from '../map.ts'
import type { Names } from '../names.ts'
import { clauses, ruleKind, type Findings, type WorkRule } from '../rule.ts'
import type { RuleNode } from '../tree.ts'
import {
  ANY,
  ANY_OBJECT,
  at,
  either,
  fromDecl,
  isOpenType,
  keysOf,
  keyText,
  mapOf,
  merged,
  overlap,
  scalarType,
  valuesOf,
  type FunctionType,
  type Type,
} from './type.ts'

/** Types of variables. Those of a closure are its own; it sees the ones around it. */
class Scope {
  readonly #outer: Scope | undefined
  readonly #types = new Map<string, Type>()

  constructor(outer?: Scope) {
    this.#outer = outer
  }

  get(name: string): Type | undefined {
    return this.#types.get(name) ?? this.#outer?.get(name)
  }

  set(name: string, type: Type | undefined): void {
    if (type !== undefined) this.#types.set(name, type)
  }
}

/**
 * Finds calls and references that cannot succeed whatever the input is: an operand of a type that the function never takes, a
 * member that a rule's value never has, two sides of an equation that are never equal. What is not known is never refused.
 */
export class TypeChecker {
  readonly #root: RuleNode
  readonly #graph: Graph
  readonly #functions: Functions
  #names: Names
  readonly #findings: Findings
  readonly #literals = new WeakMap<Term, Type>()
  readonly #rules = new Map<RuleNode, Type>()
  readonly #calls = new Map<RuleNode, FunctionType>()
  /** Under a `with`, rules may have other values. */
  #relaxed = false

  constructor(root: RuleNode, graph: Graph, functions: Functions, names: Names, findings: Findings) {
    this.#root = root
    this.#graph = graph
    this.#functions = functions
    this.#names = names
    this.#findings = findings
  }

  /** Every rule, after those that it needs. */
  program(): void {
    for (const node of nodesInOrder(this.#graph)) this.#node(node)
  }

  /** A query over the program. @returns what is wrong with it */
  query(body: Body, names: Names): readonly Diagnostic[] {
    const before = this.#names
    this.#names = names
    const errors = this.#body(body, new Scope())
    this.#names = before
    return errors
  }

  #report(errors: readonly Diagnostic[]): boolean {
    this.#findings.list.push(...errors)
    return errors.length > 0
  }

  #node(node: RuleNode): void {
    let type: Type | undefined
    for (const rule of node.rules) {
      for (const r of clauses(rule)) {
        const scope = new Scope()
        const wrong = this.#report(this.#body(r.body, scope))
        const found = wrong ? ANY : this.#ruleType(r, scope)
        type = type === undefined ? found : merged(type, found)
        if (r.args !== undefined) this.#addFunction(node, r, scope, wrong)
      }
    }
    // rules below a document with variables in its heads add to it
    if (node.children.size > 0) type = ANY
    this.#rules.set(node, type ?? ANY)
  }

  #addFunction(node: RuleNode, r: WorkRule, scope: Scope, wrong: boolean): void {
    const known = this.#calls.get(node)
    const args = (r.args ?? []).map((a) => {
      visitTerm(a, (t) => {
        if (t.kind === 'var' && scope.get(t.name) === undefined) scope.set(t.name, ANY)
        return true
      })
      return wrong ? ANY : this.#typeOf(a, scope)
    })
    const result = wrong || r.value === undefined ? ANY : this.#typeOf(r.value, scope)
    this.#calls.set(node, {
      args: known === undefined ? args : args.map((t, i) => either(t, known.args[i])),
      variadic: undefined,
      result: known === undefined ? result : either(known.result, result),
    })
  }

  #ruleType(r: WorkRule, scope: Scope): Type | undefined {
    const leaf = r.key ?? r.value
    let type = leaf && this.#typeOf(leaf, scope)
    if (r.key !== undefined) type = { kind: 'set', of: type }
    if (ruleKind(r) !== 'partial') return type
    for (const step of r.rest.toReversed()) type = mapOf(this.#typeOf(step, scope) ?? ANY, type ?? ANY)
    return type
  }

  #body(body: Body, scope: Scope): Diagnostic[] {
    const errors: Diagnostic[] = []
    for (const e of body) this.#expr(e, scope, errors)
    return errors
  }

  #expr(e: Expr, scope: Scope, errors: Diagnostic[]): void {
    const before = this.#relaxed
    this.#relaxed ||= e.with.length > 0
    const own: Diagnostic[] = []
    this.#closures(e, scope, own)
    this.#refs(e, scope, own)
    if (own.length === 0 && e.kind === 'call') {
      const wrong = isEquation(e) ? this.#equation(e, scope) : this.#call(e, scope)
      if (wrong !== undefined) own.push({ code: 'rego_type_error', message: wrong, location: e.loc })
    }
    errors.push(...own)
    this.#relaxed = before
  }

  /** Comprehensions have bodies of their own, checked in what is known around them. */
  #closures(e: Expr, scope: Scope, errors: Diagnostic[]): void {
    visitExpr(
      e,
      (t) => {
        if (!isComprehension(t)) return true
        errors.push(...this.#body(t.body, new Scope(scope)))
        return false
      },
      (x) => x === e || (e.kind !== 'every' && e.kind !== 'not' && e.kind !== 'and' && e.kind !== 'or'),
    )
  }

  /** References in an expression, those in bodies of `every`, `not`, `and`, `or` included. */
  #refs(e: Expr, scope: Scope, errors: Diagnostic[]): void {
    const inTerm = (t: Term): void => {
      if (isComprehension(t)) return
      if (t.kind === 'ref') {
        const wrong = this.#ref(t, scope)
        if (wrong !== undefined) errors.push({ code: 'rego_type_error', message: wrong, location: e.loc })
      } else if (t.kind === 'array' || t.kind === 'set') t.items.forEach(inTerm)
      else if (t.kind === 'object' && !t.ground) t.entries.flat().forEach(inTerm)
    }
    const inBody = (body: Body): void => body.forEach((x) => this.#refs(x, scope, errors))
    switch (e.kind) {
      case 'term':
        return inTerm(e.term)
      case 'call':
        return e.args.forEach(inTerm)
      case 'every':
        inTerm(e.domain)
        return inBody(e.body)
      case 'not':
        return inBody(e.body)
      case 'and':
      case 'or':
        inBody(e.lhs)
        return inBody(e.rhs)
      default:
    }
  }

  /** @returns what is wrong with a reference */
  #ref(ref: RefTerm, scope: Scope): string | undefined {
    const [type, from] = this.#base(ref, scope)
    if (type === 'function') return `function ${this.#text(ref)} used as reference, not called`
    let current: Type | undefined = type
    for (const step of ref.path.slice(from)) {
      if (current === undefined) {
        this.#learn(step, ANY, scope)
        continue
      }
      const keys = keysOf(current)
      if (keys === undefined && !isOpenType(current)) return `undefined ref: ${this.#text(ref)}`
      if (scalarType(step) !== undefined) {
        const next: Type | undefined = at(current, step)
        if (next === undefined && !isOpenType(current)) return `undefined ref: ${this.#text(ref)}`
        current = next
        continue
      }
      const known = this.#typeOf(step, scope)
      if (known === undefined || isOpenType(known)) this.#learn(step, keys, scope)
      else if (keys !== undefined && !overlap(known, keys)) return `undefined ref: ${this.#text(ref)}`
      current = valuesOf(current)
    }
    return undefined
  }

  /** The type of a reference's head, with as many steps as are the path of a rule. */
  #base(ref: RefTerm, scope: Scope): [Type | 'function' | undefined, number] {
    if (ref.head.kind !== 'var') return [this.#typeOf(ref.head, scope), 0]
    const { name } = ref.head
    if (name === 'input') return [ANY, 0]
    if (name !== 'data') return [scope.get(name), 0]
    let node: RuleNode | undefined = this.#root
    for (const [i, step] of ref.path.entries()) {
      if (step.kind !== 'string') return [ANY, ref.path.length]
      node = node.children.get(step.value)
      if (node === undefined) return [ANY, ref.path.length]
      if (node.rules.length === 0) continue
      if (node.rules[0]?.args !== undefined) return ['function', i + 1]
      return [this.#relaxed ? ANY : (this.#rules.get(node) ?? ANY), i + 1]
    }
    return [ANY_OBJECT, ref.path.length]
  }

  #text(ref: RefTerm): string {
    const head = ref.head.kind === 'var' ? this.#names.written(ref.head.name) : ref.head.loc.text
    const shown = isGenerated(head) ? ref.head.loc.text : head
    return ref.path.reduce((s, t) => {
      if (t.kind === 'string' && /^[A-Za-z_][A-Za-z0-9_]*$/.test(t.value)) return `${s}.${t.value}`
      if (t.kind === 'string') return `${s}[${JSON.stringify(t.value)}]`
      return `${s}[${t.kind === 'var' ? this.#names.written(t.name) : t.loc.text}]`
    }, shown)
  }

  #typeOf(t: Term, scope: Scope): Type | undefined {
    if (!isLiteral(t)) return this.#openType(t, scope)
    const scalar = scalarType(t)
    if (scalar !== undefined) return scalar
    let type = this.#literals.get(t)
    if (type === undefined) {
      type = this.#openType(t, scope)
      if (type !== undefined) this.#literals.set(t, type)
    }
    return type
  }

  #openType(t: Term, scope: Scope): Type | undefined {
    switch (t.kind) {
      case 'var':
        return scope.get(t.name)
      case 'ref':
        return this.#refType(t, scope)
      case 'array': {
        if (t.items.length === 0) return { kind: 'array', items: [], rest: ANY }
        return { kind: 'array', items: t.items.map((x) => this.#typeOf(x, scope)), rest: undefined }
      }
      case 'set': {
        const of = t.items.map((x) => this.#typeOf(x, scope)).reduce(either, undefined)
        return { kind: 'set', of: t.items.length === 0 ? ANY : of }
      }
      case 'object':
        return this.#objectType(t, scope)
      case 'array-comprehension':
      case 'set-comprehension':
      case 'object-comprehension': {
        const inner = new Scope(scope)
        if (this.#body(t.body, inner).length > 0) return undefined
        if (t.kind === 'object-comprehension') return mapOf(this.#typeOf(t.key, inner), this.#typeOf(t.value, inner))
        const of = this.#typeOf(t.term, inner)
        return t.kind === 'set-comprehension' ? { kind: 'set', of } : { kind: 'array', items: [], rest: of }
      }
      default:
        return scalarType(t)
    }
  }

  #objectType(t: Term & { kind: 'object' }, scope: Scope): Type {
    if (t.entries.length === 0) return ANY_OBJECT
    const members = new Map<string, { key: Type; value: Type | undefined }>()
    let more: { key: Type | undefined; value: Type | undefined } | undefined
    for (const [k, v] of t.entries) {
      const text = keyText(k)
      const key = scalarType(k)
      const value = this.#typeOf(v, scope)
      if (text !== undefined && key !== undefined) members.set(text, { key, value })
      else more = { key: either(more?.key, this.#typeOf(k, scope)), value: either(more?.value, value) }
    }
    return { kind: 'object', members, more }
  }

  #refType(ref: RefTerm, scope: Scope): Type | undefined {
    const [type, from] = this.#base(ref, scope)
    if (type === 'function') return undefined
    let current: Type | undefined = type
    for (const step of ref.path.slice(from)) {
      current = scalarType(step) === undefined ? valuesOf(current) : at(current, step)
    }
    return current
  }

  #call(e: CallExpr, scope: Scope): string | undefined {
    const name = refName(e.op) ?? ''
    const type = this.#functionType(e.op, name)
    if (type === undefined) return undefined
    const wanted = [...type.args, type.result]
    const given = e.args.map((a) => this.#typeOf(a, scope))
    for (const [i, arg] of e.args.entries()) {
      const want = i < type.args.length || type.variadic === undefined ? wanted[i] : type.variadic
      if (want === undefined) {
        this.#learn(arg, ANY, scope)
        continue
      }
      const have = given[i]
      const fits = isOpenType(have) || overlap(have, want)
      if (!fits || !this.#fit(arg, want, scope, false)) return `${name}: invalid argument(s)`
    }
    return undefined
  }

  #functionType(op: RefTerm, name: string): FunctionType | undefined {
    if (op.head.kind === 'var' && op.head.name === 'data') {
      if (this.#relaxed) return undefined
      const path = op.path.map((s) => (s.kind === 'string' ? s.value : ''))
      const node = this.#root.find(path)
      return node === undefined ? undefined : this.#calls.get(node)
    }
    const b = this.#functions.builtin(name)
    if (b === undefined) return undefined
    const { args, result, variadic } = b.decl
    return {
      args: args.map(fromDecl),
      variadic: variadic === undefined ? undefined : fromDecl(variadic),
      // replaced by `with`, a function may give anything
      result: result === undefined || this.#relaxed ? ANY : fromDecl(result),
    }
  }

  #equation(e: CallExpr, scope: Scope): string | undefined {
    const [a, b] = e.args as [Term, Term]
    return this.#unify(a, b, scope) ? undefined : 'match error'
  }

  /** Could both sides be equal? Learns what one side says of the variables of the other. */
  #unify(a: Term, b: Term, scope: Scope): boolean {
    const typeA = this.#typeOf(a, scope)
    const typeB = this.#typeOf(b, scope)
    const openA = isOpenType(typeA)
    const openB = isOpenType(typeB)
    if (openA && !openB) return this.#fit(a, typeB as Type, scope, false)
    if (openB && !openA) return this.#fit(b, typeA as Type, scope, false)
    if (!openA) return overlap(typeA, typeB)
    if (a.kind === 'array' && b.kind === 'array') {
      return a.items.length === b.items.length && a.items.every((x, i) => this.#unify(x, b.items[i] as Term, scope))
    }
    if (a.kind === 'object' && b.kind === 'object') return this.#unifyObjects(a, b, scope)
    // patterns first, so that a variable on the other side gets what they are made of
    const [first, second] = a.kind === 'var' ? [b, a] : [a, b]
    this.#learn(first, ANY, scope)
    this.#learn(second, this.#typeOf(first, scope) ?? ANY, scope)
    return true
  }

  #unifyObjects(a: Term & { kind: 'object' }, b: Term & { kind: 'object' }, scope: Scope): boolean {
    const others = new Map(b.entries.map(([k, v]) => [keyText(k), v]))
    for (const [k, v] of a.entries) {
      const text = keyText(k)
      const other = text === undefined ? undefined : others.get(text)
      if (other !== undefined && !this.#unify(v, other, scope)) return false
    }
    return true
  }

  /** Gives the variables of a pattern that have no type yet this one. */
  #learn(t: Term, type: Type | undefined, scope: Scope): void {
    if (t.kind === 'var') {
      if (scope.get(t.name) === undefined) scope.set(t.name, type)
      return
    }
    if (type !== undefined && (t.kind === 'array' || t.kind === 'object' || t.kind === 'set')) {
      this.#fit(t, type, scope, true)
    }
  }

  /** Could a term be of a type? Its variables without a type get theirs. */
  #fit(t: Term, type: Type, scope: Scope, anyOf: boolean): boolean {
    if (t.kind === 'var') {
      const known = scope.get(t.name)
      if (!anyOf && known !== undefined) return isOpenType(known) || overlap(known, type)
      scope.set(t.name, either(known, type))
      return true
    }
    if (t.kind !== 'array' && t.kind !== 'object' && t.kind !== 'set') {
      const known = this.#typeOf(t, scope)
      return isOpenType(known) || overlap(known, type)
    }
    if (type.kind === 'union') {
      let fits = false
      for (const x of type.of) fits = this.#fit(t, x, scope, true) || fits
      return fits
    }
    if (type.kind === 'any') {
      const parts = t.kind === 'object' ? t.entries.flat() : t.items
      for (const p of parts) this.#fit(p, ANY, scope, true)
      return true
    }
    if (t.kind === 'array' && type.kind === 'array') {
      if (t.items.length !== type.items.length && type.rest === undefined) return false
      return t.items.every((x, i) => {
        const want = i < type.items.length ? type.items[i] : type.rest
        return want === undefined || this.#fit(x, want, scope, anyOf)
      })
    }
    if (t.kind === 'set' && type.kind === 'set') {
      const { of } = type
      return of === undefined || t.items.every((x) => this.#fit(x, of, scope, anyOf))
    }
    if (t.kind === 'object' && type.kind === 'object') {
      if (t.entries.length !== type.members.size && type.more === undefined) return false
      return t.entries.every(([k, v]) => {
        if (scalarType(k) === undefined) return this.#fit(v, ANY, scope, true)
        const want = at(type, k)
        return want !== undefined && this.#fit(v, want, scope, anyOf)
      })
    }
    return false
  }
}
