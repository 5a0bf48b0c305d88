import {
  compare,
  equal,
  isArray,
  isNumber,
  isObject,
  isSet,
  numberToSafeInteger,
  objectEntries,
  objectGet,
  ObjectBuilder,
  RegoSet,
  typeName,
  type RegoMap,
  type RegoRecord,
  type Value,
} from '../value/index.ts'
import { BuiltinError, type BuiltinContext } from './contract.ts'
import { operandProblem } from './define.ts'
import { PATHS_WANTED, pathSegments } from './path-tree.ts'

/** A change at one place: gets what is there, gives what shall be there; undefined in both means absence. */
type Edit = (here: Value | undefined) => Value | undefined

/** Index of an array element; `-` and the length are one past the end, where only adding is possible. */
function arrayIndex(length: number, key: Value, forAdding: boolean): number {
  if (key === '-' && forAdding) return length
  const text = typeof key === 'string' ? key : undefined
  const i = isNumber(key)
    ? numberToSafeInteger(key)
    : text !== undefined && /^(0|[1-9]\d*)$/.test(text)
      ? Number(text)
      : -1
  if (i === undefined || i < 0 || i > length || (i === length && !forAdding)) {
    throw new BuiltinError('json.patch: no such array element')
  }
  return i
}

function editAt(
  ctx: BuiltinContext,
  v: Value,
  path: readonly Value[],
  how: 'add' | 'other',
  edit: Edit,
): Value | undefined {
  const [key, ...rest] = path
  if (key === undefined) return edit(v)
  const deeper: Edit = (here) => {
    if (rest.length === 0) return edit(here)
    if (here === undefined) throw new BuiltinError('json.patch: no such path')
    return editAt(ctx, here, rest, how, edit)
  }
  if (isArray(v)) return editArray(ctx, v, key, rest.length === 0 && how === 'add', deeper)
  if (isSet(v)) return editSet(ctx, v, key, rest.length === 0, deeper)
  if (isObject(v)) return editObject(ctx, v, key, deeper)
  throw new BuiltinError('json.patch: no such path')
}

function editArray(ctx: BuiltinContext, v: readonly Value[], key: Value, adding: boolean, edit: Edit): Value {
  ctx.spend(v.length)
  const i = arrayIndex(v.length, key, adding)
  const changed = edit(adding ? undefined : v[i])
  return v.toSpliced(i, adding ? 0 : 1, ...(changed === undefined ? [] : [changed]))
}

function editSet(ctx: BuiltinContext, v: RegoSet, key: Value, last: boolean, edit: Edit): Value {
  ctx.spend(v.size)
  const changed = edit(v.find(key))
  if (last && changed !== undefined && !equal(changed, key)) {
    throw new BuiltinError('json.patch: the path into a set must be the element itself')
  }
  const out = RegoSet.of([...v].filter((x) => !equal(x, key)))
  if (changed !== undefined) out.add(changed)
  return out
}

function editObject(ctx: BuiltinContext, v: RegoRecord | RegoMap, key: Value, edit: Edit): Value {
  const changed = edit(objectGet(v, key))
  const out = new ObjectBuilder()
  for (const [k, x] of objectEntries(v)) {
    ctx.spend(1)
    if (!equal(k, key)) out.set(k, x)
  }
  if (changed !== undefined) out.set(key, changed)
  return out.finish()
}

function lookUp(ctx: BuiltinContext, v: Value, path: readonly Value[]): Value {
  let found: Value | undefined
  editAt(ctx, v, path, 'other', (here) => (found = here))
  if (found === undefined) throw new BuiltinError('json.patch: no such path')
  return found
}

const add =
  (value: Value): Edit =>
  () =>
    value
const replaceBy =
  (value: Value): Edit =>
  (here) => {
    if (here === undefined) throw new BuiltinError('json.patch: no such path')
    return value
  }
const drop: Edit = (here) => {
  if (here === undefined) throw new BuiltinError('json.patch: no such path')
  return undefined
}

function takePath(op: RegoRecord | RegoMap, name: string): readonly Value[] {
  const path = objectGet(op, name)
  if (path === undefined) throw new BuiltinError(`json.patch: missing required attribute '${name}'`)
  if (typeof path === 'string') return pathSegments(path)
  if (isArray(path)) return path
  throw operandProblem(2, `${PATHS_WANTED} ${typeName(path)}`)
}

function takeValue(op: RegoRecord | RegoMap): Value {
  const value = objectGet(op, 'value')
  if (value === undefined) throw new BuiltinError("json.patch: missing required attribute 'value'")
  return value
}

/** One operation of RFC 6902, on sets too; undefined where a test fails. */
function apply(ctx: BuiltinContext, target: Value, op: RegoRecord | RegoMap): Value | undefined {
  const path = takePath(op, 'path')
  switch (objectGet(op, 'op')) {
    case 'add':
      return editAt(ctx, target, path, 'add', add(takeValue(op)))
    case 'remove':
      return editAt(ctx, target, path, 'other', drop)
    case 'replace':
      return editAt(ctx, target, path, 'other', replaceBy(takeValue(op)))
    case 'copy':
      return editAt(ctx, target, path, 'add', add(lookUp(ctx, target, takePath(op, 'from'))))
    case 'move': {
      const from = takePath(op, 'from')
      const moved = lookUp(ctx, target, from)
      const without = editAt(ctx, target, from, 'other', drop)
      return without === undefined ? moved : editAt(ctx, without, path, 'add', add(moved))
    }
    case 'test':
      return compare(lookUp(ctx, target, path), takeValue(op)) === 0 ? target : undefined
    default:
      throw new BuiltinError('json.patch: must have a known op')
  }
}

/** Applies operations of RFC 6902 in order, also to sets; undefined where a test fails. */
export function patch(ctx: BuiltinContext, target: Value, operations: readonly Value[]): Value | undefined {
  let out: Value | undefined = target
  for (const op of operations) {
    if (out === undefined) return undefined
    if (!isObject(op)) throw operandProblem(2, `must be array of objects but got array containing ${typeName(op)}`)
    out = apply(ctx, out, op)
  }
  return out
}
