import {
  entriesOf,
  isArray,
  isSet,
  objectGet,
  RegoSet,
  sortedElements,
  type RegoMap,
  type RegoRecord,
  type Value,
} from '../value/index.ts'
import type { Builtin, BuiltinContext } from './contract.ts'
import { declared, define, O, oneOf } from './define.ts'
import { T } from './types.ts'

type Graph = RegoRecord | RegoMap

/** Where the edges of a node lead; undefined if it is not a node of the graph. */
function edges(graph: Graph, node: Value): readonly Value[] | undefined {
  const to = objectGet(graph, node)
  if (to === undefined) return undefined
  return isArray(to) ? to : isSet(to) ? sortedElements(to) : []
}

function reachable(ctx: BuiltinContext, graph: Graph, initial: readonly Value[] | RegoSet): Value {
  const reached = new RegoSet()
  const queue = [...initial]
  for (let node = queue.pop(); node !== undefined; node = queue.pop()) {
    ctx.spend(1)
    const next = edges(graph, node)
    if (next === undefined || !reached.add(node)) continue
    ctx.spend(next.length)
    for (const n of next) if (!reached.has(n)) queue.push(n)
  }
  return reached
}

/** Paths from the initial nodes as far as they go: to a node without edges, one seen before, or one not in the graph. */
function reachablePaths(ctx: BuiltinContext, graph: Graph, initial: readonly Value[] | RegoSet): Value {
  const out = new RegoSet()
  const extend = (path: readonly Value[], next: readonly Value[], seen: RegoSet): void => {
    ctx.spend(1 + path.length)
    ctx.reserve(out.size + path.length)
    if (next.length === 0) out.add(path)
    for (const n of next) {
      const beyond = seen.has(n) ? undefined : edges(graph, n)
      if (beyond === undefined) out.add(path)
      else extend([...path, n], beyond, RegoSet.of([...seen, n]))
    }
  }
  for (const node of initial) {
    const next = edges(graph, node)
    if (next !== undefined) extend([node], next, RegoSet.of([node]))
  }
  return out
}

/** Every part of a value with its path, the whole first. */
function walk(ctx: BuiltinContext, v: Value): Value {
  const out: Value[] = []
  const visit = (path: readonly Value[], x: Value): void => {
    ctx.spend(1 + path.length)
    ctx.reserve(out.length)
    out.push([path, x])
    for (const [k, member] of entriesOf(x)) visit([...path, k], member)
  }
  visit([], v)
  return out
}

const nodes = oneOf<readonly Value[] | RegoSet>(
  T.oneOf(T.array(), T.set()),
  '{array, set}',
  (v) => isArray(v) || isSet(v),
)
const graph = declared(O.object, T.object(T.any, T.oneOf(T.array(), T.set())))

export const GRAPH: readonly Builtin[] = [
  define('graph.reachable', [graph, nodes], T.set(), reachable),
  define('graph.reachable_paths', [graph, nodes], T.set(T.array()), reachablePaths),
  define('walk', [O.any], T.tuple(T.array(), T.any), walk, { relation: true }),
]
