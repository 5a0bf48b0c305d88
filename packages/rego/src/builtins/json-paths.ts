import {
  isArray,
  isObject,
  isSet,
  objectEntries,
  ObjectBuilder,
  RegoSet,
  sortedElements,
  typeName,
  type Value,
} from '../value/index.ts'
import type { Builtin, BuiltinContext } from './contract.ts'
import { declared, define, O, oneOf, operandProblem } from './define.ts'
import { patch } from './json-patch.ts'
import { PATHS_WANTED, pathSegments, PathTree } from './path-tree.ts'
import { T } from './types.ts'

function takePaths(ctx: BuiltinContext, paths: readonly Value[] | RegoSet): PathTree {
  const tree = new PathTree()
  for (const path of isArray(paths) ? paths : sortedElements(paths)) {
    if (typeof path !== 'string' && !isArray(path)) throw operandProblem(2, `${PATHS_WANTED} ${typeName(path)}`)
    const segments = isArray(path) ? path : pathSegments(path)
    ctx.spend(segments.length)
    tree.insert(segments)
  }
  return tree
}

/** Only what the paths name. Array elements are named by their index as text. */
function filter(ctx: BuiltinContext, v: Value, tree: PathTree | 'end'): Value {
  if (tree === 'end') return v
  const keepBelow = (x: Value, at: Value): Value[] => {
    const sub = tree.get(at)
    return sub === undefined ? [] : [filter(ctx, x, sub)]
  }
  return rebuild(ctx, v, keepBelow)
}

/** All but what the paths name; the elements behind a removed one move up. */
function remove(ctx: BuiltinContext, v: Value, tree: PathTree): Value {
  return rebuild(ctx, v, (x, at) => {
    const sub = tree.get(at)
    return sub === undefined ? [x] : sub === 'end' ? [] : [remove(ctx, x, sub)]
  })
}

/** A composite with each member replaced by none or one; scalars stay. */
function rebuild(ctx: BuiltinContext, v: Value, change: (member: Value, at: Value) => Value[]): Value {
  if (isArray(v)) {
    ctx.spend(v.length)
    return v.flatMap((x, i) => change(x, String(i)))
  }
  if (isSet(v)) {
    ctx.spend(v.size)
    return RegoSet.of(sortedElements(v).flatMap((x) => change(x, x)))
  }
  if (!isObject(v)) return v
  const out = new ObjectBuilder()
  for (const [k, x] of objectEntries(v)) {
    ctx.spend(1)
    for (const changed of change(x, k)) out.set(k, changed)
  }
  return out.finish()
}

const paths = oneOf<readonly Value[] | RegoSet>(
  T.oneOf(T.array(T.oneOf(T.string, T.array())), T.set(T.oneOf(T.string, T.array()))),
  '{set, array}',
  (v) => isArray(v) || isSet(v),
)

export const JSON_PATHS: readonly Builtin[] = [
  define('json.filter', [O.object, paths], T.object(), (ctx, o, p) => filter(ctx, o, takePaths(ctx, p))),
  define('json.remove', [O.object, paths], T.object(), (ctx, o, p) => remove(ctx, o, takePaths(ctx, p))),
  define(
    'json.patch',
    [O.any, declared(O.array, T.array(T.record({ op: T.string, path: T.any }, T.any, T.any)))],
    T.any,
    patch,
  ),
]
