import type { Location, Source } from './source.ts'

/** A term: what has a value. `loc` is where it stands; terms made by the compiler stand where their origin stood. */
export type Term =
  | NullTerm
  | BooleanTerm
  | NumberTerm
  | StringTerm
  | VarTerm
  | RefTerm
  | CallTerm
  | ArrayTerm
  | SetTerm
  | ObjectTerm
  | ArrayComprehension
  | SetComprehension
  | ObjectComprehension
  | TemplateTerm

export type NullTerm = { readonly kind: 'null'; readonly loc: Location }
export type BooleanTerm = { readonly kind: 'boolean'; readonly loc: Location; readonly value: boolean }
/** A number is its text until somebody computes with it. */
export type NumberTerm = { readonly kind: 'number'; readonly loc: Location; readonly text: string }
export type StringTerm = { readonly kind: 'string'; readonly loc: Location; readonly value: string }
/** `name` starts with `$` for a wildcard, with `%` for a variable that the compiler made: no text can hold either. */
export type VarTerm = { readonly kind: 'var'; readonly loc: Location; readonly name: string }
/** `head` and at least one step, except for the bare root documents, which have none. */
export type RefTerm = {
  readonly kind: 'ref'
  readonly loc: Location
  readonly head: Term
  readonly path: readonly Term[]
}
/** The operator is a reference that names a function. */
export type CallTerm = {
  readonly kind: 'call'
  readonly loc: Location
  readonly op: RefTerm
  readonly args: readonly Term[]
}
/** `ground`: literals only. Nobody has to look inside for variables, references, calls or bodies. */
export type ArrayTerm = {
  readonly kind: 'array'
  readonly loc: Location
  readonly items: readonly Term[]
  readonly ground: boolean
}
export type SetTerm = {
  readonly kind: 'set'
  readonly loc: Location
  readonly items: readonly Term[]
  readonly ground: boolean
}
export type ObjectTerm = {
  readonly kind: 'object'
  readonly loc: Location
  readonly entries: readonly (readonly [Term, Term])[]
  readonly ground: boolean
}
export type ArrayComprehension = {
  readonly kind: 'array-comprehension'
  readonly loc: Location
  readonly term: Term
  readonly body: Body
}
export type SetComprehension = {
  readonly kind: 'set-comprehension'
  readonly loc: Location
  readonly term: Term
  readonly body: Body
}
export type ObjectComprehension = {
  readonly kind: 'object-comprehension'
  readonly loc: Location
  readonly key: Term
  readonly value: Term
  readonly body: Body
}
export type Comprehension = ArrayComprehension | SetComprehension | ObjectComprehension
/** A template string: text parts are string terms, all else is an expression whose value is printed. */
export type TemplateTerm = {
  readonly kind: 'template'
  readonly loc: Location
  readonly raw: boolean
  readonly parts: readonly TemplatePart[]
}
export type TemplatePart = { readonly text: string } | { readonly expr: Expr }

/** A conjunction. Never empty. */
export type Body = readonly Expr[]

type ExprCommon = {
  readonly loc: Location
  readonly negated: boolean
  readonly with: readonly With[]
  /** Made by the compiler out of a part of this expression. */
  readonly origin?: Expr
  /** A call that was pulled out: the compiler added a variable for its result. */
  readonly generated?: true
}
export type Expr = TermExpr | CallExpr | SomeExpr | SomeInExpr | EveryExpr | NotExpr | LogicalExpr
export type TermExpr = ExprCommon & { readonly kind: 'term'; readonly term: Term }
/** A call as a statement; `=` and `:=` are calls of `eq` and `assign`. `declares`: it was `:=`, its left side only takes values. */
export type CallExpr = ExprCommon & {
  readonly kind: 'call'
  readonly op: RefTerm
  readonly args: readonly Term[]
  readonly declares?: true
}
export type SomeExpr = ExprCommon & { readonly kind: 'some'; readonly symbols: readonly VarTerm[] }
export type SomeInExpr = ExprCommon & {
  readonly kind: 'some-in'
  readonly key: Term | undefined
  readonly value: Term
  readonly domain: Term
}
export type EveryExpr = ExprCommon & {
  readonly kind: 'every'
  readonly key: VarTerm | undefined
  readonly value: VarTerm
  readonly domain: Term
  readonly body: Body
}
/** The improved negation of `import future.keywords.not`: holds when its body has no answer. */
export type NotExpr = ExprCommon & { readonly kind: 'not'; readonly body: Body; readonly braces: boolean }
export type LogicalExpr = ExprCommon & {
  readonly kind: 'and' | 'or'
  readonly lhs: Body
  readonly rhs: Body
  readonly lhsBraces: boolean
  readonly rhsBraces: boolean
}
/** `names`: the value is the name of a function that takes the target's place. */
export type With = { readonly loc: Location; readonly target: Term; readonly value: Term; readonly names?: true }

/** What stands left of the body. `key` is there for `contains` (and v0's `p[x]`), `value` for everything else. */
export type Head = {
  readonly loc: Location
  /** Begins with a variable: the rule's name. */
  readonly ref: RefTerm
  readonly args: readonly Term[] | undefined
  readonly key: Term | undefined
  readonly value: Term | undefined
  /** The value `true` was not written. */
  readonly impliedValue: boolean
  /** Written with `:=` rather than `=`. */
  readonly assign: boolean
}
export type Rule = {
  readonly loc: Location
  readonly default: boolean
  readonly head: Head
  readonly body: Body
  /** The body `true` was not written. */
  readonly impliedBody: boolean
  readonly else: Rule | undefined
  /** Written with `if` and with `contains`: only v1's checks ask. */
  readonly keywords: { readonly if: boolean; readonly contains: boolean }
}
export type Package = { readonly loc: Location; readonly path: readonly string[] }
export type Import = { readonly loc: Location; readonly path: RefTerm; readonly alias: string | undefined }
export type RegoVersion = 'v0' | 'v1'
export type Module = {
  readonly source: Source
  /** The dialect it was read in: `v1` also for v0 text with `import rego.v1`. */
  readonly version: RegoVersion
  /** `import rego.v1` in a v0 text. */
  readonly importsV1: boolean
  readonly package: Package
  readonly imports: readonly Import[]
  readonly rules: readonly Rule[]
  readonly comments: readonly Location[]
}

/** A literal, or a collection of literals. */
export function isLiteral(t: Term): boolean {
  switch (t.kind) {
    case 'null':
    case 'boolean':
    case 'number':
    case 'string':
      return true
    case 'array':
    case 'set':
    case 'object':
      return t.ground
    default:
      return false
  }
}

export function arrayTerm(loc: Location, items: readonly Term[]): ArrayTerm {
  return { kind: 'array', loc, items, ground: items.every(isLiteral) }
}

export function setTerm(loc: Location, items: readonly Term[]): SetTerm {
  return { kind: 'set', loc, items, ground: items.every(isLiteral) }
}

export function objectTerm(loc: Location, entries: ObjectTerm['entries']): ObjectTerm {
  return { kind: 'object', loc, entries, ground: entries.every(([k, v]) => isLiteral(k) && isLiteral(v)) }
}

export function isWildcard(name: string): boolean {
  return name.startsWith('$')
}

/** A variable nobody wrote: wildcard or made by the compiler. */
export function isGenerated(name: string): boolean {
  return name.startsWith('$') || name.startsWith('%')
}

export function isComprehension(t: Term): t is Comprehension {
  return t.kind === 'array-comprehension' || t.kind === 'set-comprehension' || t.kind === 'object-comprehension'
}

/** The dotted name of a function reference, or undefined if it is not one. */
export function refName(ref: RefTerm): string | undefined {
  if (ref.head.kind !== 'var') return undefined
  let name = ref.head.name
  for (const step of ref.path) {
    if (step.kind !== 'string') return undefined
    name += `.${step.value}`
  }
  return name
}

export function nameRef(name: string, loc: Location): RefTerm {
  const [head, ...path] = name.split('.') as [string, ...string[]]
  return {
    kind: 'ref',
    loc,
    head: { kind: 'var', loc, name: head },
    path: path.map((value) => ({ kind: 'string', loc, value })),
  }
}
