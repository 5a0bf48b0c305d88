import type { TypeDecl } from '../../builtins/index.ts'
import type { Term } from '../../syntax/ast.ts'
import { numberFromText, numberKey } from '../../value/index.ts'

/** What is known of a value when compiling. `undefined` stands for "nothing yet". */
export type Type =
  | { readonly kind: 'any' | 'null' | 'boolean' | 'number' | 'string' }
  | { readonly kind: 'array'; readonly items: readonly (Type | undefined)[]; readonly rest: Type | undefined }
  | { readonly kind: 'set'; readonly of: Type | undefined }
  | ObjectType
  | { readonly kind: 'union'; readonly of: readonly Type[] }
export type ObjectType = {
  readonly kind: 'object'
  /** Members that are certainly there, by `keyText`. */
  readonly members: ReadonlyMap<string, { readonly key: Type; readonly value: Type | undefined }>
  /** Further members. */
  readonly more: { readonly key: Type | undefined; readonly value: Type | undefined } | undefined
}
export type FunctionType = {
  readonly args: readonly (Type | undefined)[]
  readonly variadic: Type | undefined
  readonly result: Type | undefined
}

export const ANY: Type = { kind: 'any' }
export const STRING: Type = { kind: 'string' }
export const NUMBER: Type = { kind: 'number' }
const NULL: Type = { kind: 'null' }
const BOOLEAN: Type = { kind: 'boolean' }
const NO_MEMBERS: ObjectType['members'] = new Map()
export const ANY_OBJECT: Type = { kind: 'object', members: NO_MEMBERS, more: { key: ANY, value: ANY } }

/** Unions of more alternatives than this say nothing that would be worth their cost. */
const MAX_ALTERNATIVES = 24

export function fromDecl(d: TypeDecl): Type {
  switch (d.kind) {
    case 'array':
      return {
        kind: 'array',
        items: (d.static ?? []).map(fromDecl),
        rest: d.dynamic === undefined ? undefined : fromDecl(d.dynamic),
      }
    case 'set':
      return { kind: 'set', of: fromDecl(d.of) }
    case 'object':
      return {
        kind: 'object',
        members: new Map((d.static ?? []).map((m) => [`s${m.key}`, { key: STRING, value: fromDecl(m.value) }])),
        more: d.dynamic === undefined ? undefined : { key: fromDecl(d.dynamic.key), value: fromDecl(d.dynamic.value) },
      }
    case 'union':
      return { kind: 'union', of: d.of.map(fromDecl) }
    default:
      return { kind: d.kind }
  }
}

export function scalarType(t: Term): Type | undefined {
  switch (t.kind) {
    case 'null':
      return NULL
    case 'boolean':
      return BOOLEAN
    case 'number':
      return NUMBER
    case 'string':
      return STRING
    default:
      return undefined
  }
}

/** A scalar as key of `members`; undefined for all else. Numbers go by value. */
export function keyText(t: Term): string | undefined {
  switch (t.kind) {
    case 'string':
      return `s${t.value}`
    case 'number':
      return `n${numberKey(numberFromText(t.text) ?? 0)}`
    case 'boolean':
      return `b${t.value}`
    case 'null':
      return 'null'
    default:
      return undefined
  }
}

function same(a: Type | undefined, b: Type | undefined): boolean {
  if (a === b) return true
  if (a === undefined || b === undefined || a.kind !== b.kind) return false
  switch (a.kind) {
    case 'array': {
      const other = b as typeof a
      return (
        a.items.length === other.items.length &&
        a.items.every((t, i) => same(t, other.items[i])) &&
        same(a.rest, other.rest)
      )
    }
    case 'set':
      return same(a.of, (b as typeof a).of)
    case 'object': {
      const other = b as ObjectType
      if (a.members.size !== other.members.size) return false
      if ((a.more === undefined) !== (other.more === undefined)) return false
      if (!same(a.more?.key, other.more?.key) || !same(a.more?.value, other.more?.value)) return false
      for (const [k, m] of a.members) {
        const n = other.members.get(k)
        if (n === undefined || !same(m.value, n.value)) return false
      }
      return true
    }
    case 'union': {
      const other = b as typeof a
      return a.of.length === other.of.length && a.of.every((t, i) => same(t, other.of[i]))
    }
    default:
      return true
  }
}

/** A value of either type. */
export function either(a: Type | undefined, b: Type | undefined): Type | undefined {
  if (a === undefined || b === undefined) return a === undefined ? b : a
  if (a.kind === 'any' || b.kind === 'any') return ANY
  const all: Type[] = a.kind === 'union' ? [...a.of] : [a]
  for (const t of b.kind === 'union' ? b.of : [b]) if (!all.some((x) => same(x, t))) all.push(t)
  if (all.length > MAX_ALTERNATIVES) return ANY
  return all.length === 1 ? all[0] : { kind: 'union', of: all }
}

/** The types of two rules that add to one document. */
export function merged(a: Type | undefined, b: Type | undefined): Type | undefined {
  if (a?.kind === 'set' && b?.kind === 'set') return { kind: 'set', of: either(a.of, b.of) }
  if (a?.kind === 'object' && b?.kind === 'object' && a.members.size === 0 && b.members.size === 0) {
    const more = { key: either(a.more?.key, b.more?.key), value: merged(a.more?.value, b.more?.value) }
    return { kind: 'object', members: NO_MEMBERS, more }
  }
  return either(a, b)
}

/** An object with keys and values of these types. */
export function mapOf(key: Type | undefined, value: Type | undefined): Type {
  return { kind: 'object', members: NO_MEMBERS, more: { key, value } }
}

/** Something in it is not known yet. */
export function isOpenType(t: Type | undefined): boolean {
  if (t === undefined) return true
  switch (t.kind) {
    case 'array':
      return t.items.some(isOpenType) || (t.rest !== undefined && isOpenType(t.rest))
    case 'set':
      return isOpenType(t.of)
    case 'object':
      for (const m of t.members.values()) if (isOpenType(m.value)) return true
      return t.more !== undefined && (isOpenType(t.more.key) || isOpenType(t.more.value))
    case 'union':
      return t.of.some(isOpenType)
    default:
      return false
  }
}

/** Could a value be of both types? */
export function overlap(a: Type | undefined, b: Type | undefined): boolean {
  if (a === undefined || b === undefined) return false
  if (a.kind === 'any' || b.kind === 'any') return true
  if (a.kind === 'union') return a.of.some((t) => overlap(t, b))
  if (b.kind === 'union') return b.of.some((t) => overlap(a, t))
  if (a.kind !== b.kind) return false
  switch (a.kind) {
    case 'array': {
      const other = b as typeof a
      if (!itemsOverlap(a, other) || !itemsOverlap(other, a)) return false
      return a.rest === undefined || other.rest === undefined || overlap(a.rest, other.rest)
    }
    case 'set':
      return overlap(a.of, (b as typeof a).of)
    case 'object': {
      const other = b as ObjectType
      if (!membersOverlap(a, other) || !membersOverlap(other, a)) return false
      return a.more === undefined || other.more === undefined || overlap(a.more.value, other.more.value)
    }
    default:
      return true
  }
}

function itemsOverlap(a: Type & { kind: 'array' }, b: Type & { kind: 'array' }): boolean {
  return a.items.every((t, i) => overlap(t, i < b.items.length ? b.items[i] : b.rest))
}

function membersOverlap(a: ObjectType, b: ObjectType): boolean {
  for (const [k, m] of a.members) {
    const other = b.members.get(k)
    const value = other === undefined ? moreAt(b, m.key) : other.value
    if (value === undefined) {
      if (a.more === undefined && b.more === undefined) return false
    } else if (!overlap(m.value, value)) return false
  }
  return true
}

function moreAt(o: ObjectType, key: Type): Type | undefined {
  return o.more !== undefined && overlap(o.more.key, key) ? o.more.value : undefined
}

/** The types of the keys that a step may use; undefined if nothing can be looked up in it. */
export function keysOf(t: Type | undefined): Type | undefined {
  switch (t?.kind) {
    case 'any':
      return ANY
    case 'array':
      return NUMBER
    case 'set':
      return t.of
    case 'object': {
      let keys = t.more?.key
      for (const m of t.members.values()) keys = either(keys, m.key)
      return keys
    }
    case 'union':
      return t.of.map(keysOf).reduce(either, undefined)
    default:
      return undefined
  }
}

/** The types of the values that a step may find. */
export function valuesOf(t: Type | undefined): Type | undefined {
  switch (t?.kind) {
    case 'any':
      return ANY
    case 'array':
      return t.items.reduce(either, t.rest)
    case 'set':
      return t.of
    case 'object': {
      let values = t.more?.value
      for (const m of t.members.values()) {
        values = either(values, m.value)
        if (values?.kind === 'any') break
      }
      return values
    }
    case 'union':
      return t.of.map(valuesOf).reduce(either, undefined)
    default:
      return undefined
  }
}

/** The type at a constant key; undefined if there can be nothing. */
export function at(t: Type | undefined, key: Term): Type | undefined {
  switch (t?.kind) {
    case 'any':
      return ANY
    case 'array': {
      if (key.kind !== 'number' || !/^-?\d+$/.test(key.text)) return undefined
      const i = Number(key.text)
      return i < t.items.length ? t.items[i] : t.rest
    }
    case 'set':
      return overlap(t.of, scalarType(key)) ? scalarType(key) : undefined
    case 'object': {
      const text = keyText(key)
      const type = scalarType(key)
      const known = text === undefined ? undefined : t.members.get(text)
      if (known !== undefined) return known.value
      return type === undefined ? undefined : moreAt(t, type)
    }
    case 'union':
      return t.of.map((x) => at(x, key)).reduce(either, undefined)
    default:
      return undefined
  }
}
