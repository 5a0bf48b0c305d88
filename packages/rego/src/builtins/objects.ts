import {
  equal,
  isArray,
  isObject,
  isSet,
  objectEntries,
  objectGet,
  objectKeys,
  objectSize,
  ObjectBuilder,
  RegoSet,
  step,
  typeName,
  type RegoMap,
  type RegoRecord,
  type Value,
} from '../value/index.ts'
import { BuiltinError, type Builtin, type BuiltinContext } from './contract.ts'
import { declared, define, O, oneOf, operandError } from './define.ts'
import { T } from './types.ts'

type Obj = RegoRecord | RegoMap

const keysOperand = oneOf<readonly Value[] | RegoSet | Obj>(
  T.oneOf(T.array(), T.object(), T.set()),
  '{object, set, array}',
  (v) => isArray(v) || isSet(v) || isObject(v),
)

function keySet(v: readonly Value[] | RegoSet | Obj): RegoSet {
  if (v instanceof RegoSet) return v
  return RegoSet.of(isArray(v) ? v : objectKeys(v))
}

/** A path as an array of keys, else one key; the whole object for an empty path. */
function get(_: BuiltinContext, o: Obj, key: Value, otherwise: Value): Value {
  if (!isArray(key)) return objectGet(o, key) ?? otherwise
  let at: Value | undefined = o
  for (const k of key) at = step(at, k)
  return at ?? otherwise
}

function keep(ctx: BuiltinContext, o: Obj, keys: readonly Value[] | RegoSet | Obj, kept: boolean): Value {
  const listed = keySet(keys)
  ctx.spend(objectSize(o) + listed.size)
  const out = new ObjectBuilder()
  for (const [k, v] of objectEntries(o)) if (listed.has(k) === kept) out.set(k, v)
  return out.finish()
}

/** Members of `b` win; where both have objects, those are merged the same way. */
export function mergeObjects(ctx: BuiltinContext, a: Obj, b: Obj): Obj {
  ctx.spend(objectSize(a) + objectSize(b))
  const out = new ObjectBuilder()
  for (const [k, v] of objectEntries(a)) out.set(k, v)
  for (const [k, v] of objectEntries(b)) {
    const other = objectGet(a, k)
    out.set(k, isObject(other) && isObject(v) ? mergeObjects(ctx, other, v) : v)
  }
  return out.finish()
}

function unionN(ctx: BuiltinContext, objects: readonly Value[]): Value {
  let out: Obj = {}
  for (const o of objects) {
    if (!isObject(o)) throw operandError(1, 'array of objects', `array containing ${typeName(o)}`)
    out = mergeObjects(ctx, out, o)
  }
  return out
}

function isSubset(ctx: BuiltinContext, whole: Value, part: Value): boolean {
  if (isObject(whole) && isObject(part)) return isSubObject(ctx, whole, part)
  if (isSet(whole) && isSet(part)) {
    ctx.spend(part.size)
    return [...part].every((v) => whole.has(v))
  }
  if (isArray(whole) && isArray(part)) return isRun(ctx, whole, part)
  if (isArray(whole) && isSet(part)) {
    ctx.spend(whole.length + part.size)
    const elements = RegoSet.of(whole)
    return [...part].every((v) => elements.has(v))
  }
  throw new BuiltinError('both arguments object.subset must be of the same type or array and set')
}

function isSubObject(ctx: BuiltinContext, whole: Obj, part: Obj): boolean {
  ctx.spend(objectSize(part))
  return objectEntries(part).every(([k, want]) => {
    const have = objectGet(whole, k)
    if (have === undefined) return false
    if (equal(have, want)) return true
    const sameKind = typeName(have) === typeName(want)
    return sameKind && typeof have === 'object' && have !== null && nestedSubset(ctx, have, want)
  })
}

function nestedSubset(ctx: BuiltinContext, have: Value, want: Value): boolean {
  return (isObject(have) || isSet(have) || isArray(have)) && isSubset(ctx, have, want)
}

/** Are the elements of `part` somewhere in `whole`, in a row? */
function isRun(ctx: BuiltinContext, whole: readonly Value[], part: readonly Value[]): boolean {
  for (let i = 0; i + part.length <= whole.length; i++) {
    ctx.spend(1 + part.length)
    if (part.every((v, k) => equal(v, whole[i + k] as Value))) return true
  }
  return false
}

const comparable = declared(O.any, T.oneOf(T.array(), T.object(), T.set()))

export const OBJECTS: readonly Builtin[] = [
  define('object.get', [O.object, O.any, O.any], T.any, get),
  define('object.keys', [O.object], T.set(), (ctx, o) => {
    ctx.spend(objectSize(o))
    return RegoSet.of(objectKeys(o))
  }),
  define('object.remove', [O.object, keysOperand], T.object(), (ctx, o, keys) => keep(ctx, o, keys, false)),
  define('object.filter', [O.object, keysOperand], T.object(), (ctx, o, keys) => keep(ctx, o, keys, true)),
  define('object.union', [O.object, O.object], T.object(), mergeObjects),
  define('object.union_n', [declared(O.array, T.array(T.object()))], T.object(), unionN),
  define('object.subset', [comparable, comparable], T.boolean, isSubset),
]
