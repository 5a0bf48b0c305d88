import {
  equal,
  isArray,
  isNumber,
  isSet,
  numberToSafeInteger,
  RegoSet,
  sortedElements,
  type Value,
} from '../value/index.ts'
import type { TypeDecl } from '../builtins/index.ts'
import type { Question, Seen } from './origin.ts'
import { sampleOf } from './sample.ts'

/** A change of one fact of the input. `to` undefined: the fact is taken away. */
export type Change = { readonly path: readonly Value[]; readonly to: Value | undefined }

/** How many alternatives one question may propose. */
const MAX_PER_QUESTION = 12

/** Changes of single facts that could give a question another answer. */
export function changesFor(q: Question): readonly Change[] {
  switch (q.kind) {
    case 'equal':
      return [...equalChanges(q.a, q.b, q.held), ...equalChanges(q.b, q.a, q.held)].slice(0, MAX_PER_QUESTION)
    case 'truthy':
      return truthChanges(q.of, !q.held).slice(0, MAX_PER_QUESTION)
    case 'member':
      // what the member should be is asked next, once it is there
      return [{ path: q.path, to: q.held ? undefined : true }]
    case 'answer':
      return q.args.flatMap((a, i) => {
        const sample = sampleOfType(q.builtin.decl.args[i])
        return sample === undefined ? [] : changesTo(a, { kind: 'this', value: sample })
      })
    case 'element':
      return [
        { path: q.path, to: [true] },
        { path: q.path, to: undefined },
      ]
  }
}

/** A value that a built-in takes. */
function sampleOfType(t: TypeDecl | undefined): Value | undefined {
  switch (t?.kind) {
    case 'string':
      return ''
    case 'number':
      return 0
    case 'boolean':
      return true
    case 'array':
      return []
    case 'object':
      return {}
    case 'union':
      return t.of.map(sampleOfType).find((v) => v !== undefined)
    default:
      return undefined
  }
}

function equalChanges(of: Seen, other: Seen, held: boolean): Change[] {
  return changesTo(of, held ? { kind: 'other', than: other.value } : { kind: 'this', value: other.value })
}

/** What a value should be. */
type Wish = { readonly kind: 'this'; readonly value: Value } | { readonly kind: 'other'; readonly than: Value }

/** Changes that make a value what it should be. */
function changesTo(of: Seen, wish: Wish): Change[] {
  const { origin } = of
  if (origin === undefined) return []
  if (origin.kind === 'input') {
    if (wish.kind === 'this') return [{ path: origin.path, to: wish.value }]
    return [{ path: origin.path, to: somethingElse(wish.than) }]
  }
  const [a, b] = origin.args
  switch (origin.builtin.name) {
    case 'count':
      return a === undefined ? [] : countChanges(a, wish)
    case 'lower':
    case 'upper':
    case 'trim_space':
    case 'to_number':
    case 'abs':
      return a === undefined ? [] : changesTo(a, wish)
    case 'concat':
      return []
    case 'object.get':
      return a !== undefined && b !== undefined && a.origin?.kind === 'input'
        ? changesTo({ value: of.value, origin: { kind: 'input', path: [...a.origin.path, b.value] } }, wish)
        : []
    case 'plus':
    case 'minus':
      return a === undefined || b === undefined ? [] : sumChanges(a, b, origin.builtin.name === 'minus', wish)
    default:
      if (typeof of.value === 'boolean') {
        const want = wish.kind === 'this' ? wish.value : !of.value
        return typeof want === 'boolean' ? truthChanges(of, want) : []
      }
      return []
  }
}

function countChanges(of: Seen, wish: Wish): Change[] {
  if (of.origin?.kind !== 'input') return []
  const { value } = of
  const target = wish.kind === 'this' ? wish.value : somethingElse(wish.than)
  const size = isNumber(target) ? numberToSafeInteger(target) : undefined
  if (size === undefined || size < 0 || size > 1000) return []
  if (isArray(value)) {
    const to = Array.from({ length: size }, (_, i) => (i < value.length ? (value[i] as Value) : true))
    return [{ path: of.origin.path, to }]
  }
  if (typeof value === 'string') return [{ path: of.origin.path, to: 'x'.repeat(size) }]
  return size === 0 ? [{ path: of.origin.path, to: [] }] : []
}

function sumChanges(a: Seen, b: Seen, negative: boolean, wish: Wish): Change[] {
  const target = wish.kind === 'this' ? wish.value : somethingElse(wish.than)
  if (typeof target !== 'number' || typeof a.value !== 'number' || typeof b.value !== 'number') return []
  const forA = negative ? target + b.value : target - b.value
  const forB = negative ? a.value - target : target - a.value
  return [...changesTo(a, { kind: 'this', value: forA }), ...changesTo(b, { kind: 'this', value: forB })]
}

/** A value of the same kind that is another one. */
function somethingElse(v: Value): Value {
  if (typeof v === 'boolean') return !v
  if (typeof v === 'number') return v + 1
  if (typeof v === 'string') return v === 'other' ? 'another' : 'other'
  if (isArray(v)) return [...v, 'other']
  return v === null ? false : null
}

/** Changes that make a condition hold, or not. */
function truthChanges(of: Seen, want: boolean): Change[] {
  const { origin } = of
  if (origin === undefined) return []
  if (origin.kind === 'input') return [{ path: origin.path, to: want }]
  const [a, b] = origin.args
  if (a === undefined) return []
  if (b === undefined) return unaryTruth(origin.builtin.name, a, want)
  switch (origin.builtin.name) {
    case 'equal':
      return [...equalChanges(a, b, !want), ...equalChanges(b, a, !want)]
    case 'neq':
      return [...equalChanges(a, b, want), ...equalChanges(b, a, want)]
    case 'lt':
      return orderChanges(a, b, want ? -1 : 0)
    case 'lte':
      return orderChanges(a, b, want ? 0 : 1)
    case 'gt':
      return orderChanges(a, b, want ? 1 : 0)
    case 'gte':
      return orderChanges(a, b, want ? 0 : -1)
    case 'internal.member_2':
      return memberChanges(a, b, want)
    case 'internal.member_3':
      return origin.args[2] === undefined ? [] : memberChanges(b, origin.args[2], want)
    case 'startswith':
    case 'endswith':
    case 'contains':
    case 'glob.match':
      return want ? changesTo(a, { kind: 'this', value: b.value }) : changesTo(a, { kind: 'this', value: 'other' })
    case 'regex.match':
    case 're_match': {
      const sample = typeof a.value === 'string' ? sampleOf(a.value) : undefined
      if (want) return sample === undefined ? [] : changesTo(b, { kind: 'this', value: sample })
      return ['', '\n', 'other'].flatMap((value) => changesTo(b, { kind: 'this', value }))
    }
    default:
      return []
  }
}

function unaryTruth(name: string, a: Seen, want: boolean): Change[] {
  const sample: Readonly<Record<string, Value>> = {
    is_string: 'text',
    is_number: 1,
    is_boolean: true,
    is_array: [],
    is_null: null,
  }
  if (!Object.hasOwn(sample, name)) return []
  const value = sample[name] as Value
  return changesTo(a, { kind: 'this', value: want ? value : name === 'is_string' ? 1 : 'text' })
}

/** Changes of either side so that a - b has this sign, or is zero. */
function orderChanges(a: Seen, b: Seen, sign: -1 | 0 | 1): Change[] {
  const out: Change[] = []
  if (typeof b.value === 'number') out.push(...changesTo(a, { kind: 'this', value: b.value + sign }))
  else out.push(...changesTo(a, sign === 0 ? { kind: 'this', value: b.value } : { kind: 'other', than: b.value }))
  if (typeof a.value === 'number') out.push(...changesTo(b, { kind: 'this', value: a.value - sign }))
  else if (sign === 0) out.push(...changesTo(b, { kind: 'this', value: a.value }))
  return out
}

function memberChanges(x: Seen, xs: Seen, want: boolean): Change[] {
  const elements = isArray(xs.value) ? xs.value : isSet(xs.value) ? sortedElements(xs.value) : []
  const out: Change[] = []
  if (want) {
    for (const element of elements.slice(0, 8)) out.push(...changesTo(x, { kind: 'this', value: element }))
    if (isArray(xs.value)) out.push(...changesTo(xs, { kind: 'this', value: [...xs.value, x.value] }))
    else if (!isSet(xs.value)) out.push(...changesTo(xs, { kind: 'this', value: [x.value] }))
    return out
  }
  const known = RegoSet.of(elements)
  const other = ['other', 'another', 'something else'].find((s) => !known.has(s)) as string
  out.push(...changesTo(x, { kind: 'this', value: other }))
  const without = elements.filter((e) => !equal(e, x.value))
  out.push(...changesTo(xs, { kind: 'this', value: without }))
  return out
}
