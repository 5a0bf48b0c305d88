import type { NodePlan } from '../plan/ir.ts'
import { entriesOf, isObject, objectKeys, objectOf, RegoSet, sortValues, step, type Value } from '../value/index.ts'
import type { Env } from './env.ts'
import { mergeDocuments, uniteDocuments } from './nested.ts'

/** What a back end computes. */
export type RuleEvaluator = {
  readonly nodes: readonly NodePlan[]
  /** The value of a complete rule or set. */
  readonly rule: (env: Env, node: number) => Value | undefined
  /** What the rules with variables in their heads add at a node, all of it. */
  readonly extent: (env: Env, node: number) => Value
}

/**
 * A place in the tree of documents where rules may lie below. `virtual`: what rules above have put here; below such a place
 * base data is not seen.
 */
export class Cursor {
  readonly node: NodePlan
  readonly virtual: Value | undefined
  readonly base: Value | undefined

  constructor(node: NodePlan, virtual: Value | undefined, base: Value | undefined) {
    this.node = node
    this.virtual = virtual
    this.base = base
  }
}

export function baseAt(data: Value, path: readonly string[]): Value | undefined {
  let at: Value | undefined = data
  for (const p of path) at = step(at, p)
  return at
}

export function cursorAt(r: RuleEvaluator, env: Env, id: number): Cursor | Value | undefined {
  const node = r.nodes[id] as NodePlan
  const base = baseAt(env.data, node.path)
  if (env.masks?.has(id) === true) return base
  return new Cursor(node, undefined, node.kind === 'none' ? base : undefined)
}

/** One step from a cursor or value; undefined where there is nothing. */
export function cursorStep(r: RuleEvaluator, env: Env, from: Cursor | Value, key: Value): Cursor | Value | undefined {
  if (!(from instanceof Cursor)) return step(from, key)
  const { node } = from
  const base = step(from.base, key)
  let virtual = from.virtual === undefined ? undefined : step(from.virtual, key)
  const own = node.kind === 'partial' ? step(r.extent(env, node.id), key) : undefined
  if (own !== undefined) virtual = virtual === undefined ? own : uniteDocuments(virtual, own, node.loc)
  const id = typeof key === 'string' ? node.children.get(key) : undefined
  if (id === undefined) return virtual ?? base
  const child = r.nodes[id] as NodePlan
  if (env.masks?.has(id) === true) return base ?? baseAt(env.data, child.path)
  if (child.kind === 'function') return undefined
  if (child.kind === 'complete' || child.kind === 'set') {
    const value = r.rule(env, id)
    if (value === undefined || virtual === undefined) return value ?? virtual
    return uniteDocuments(virtual, value, child.loc)
  }
  const above = virtual !== undefined || node.kind === 'partial' || child.kind === 'partial'
  return new Cursor(child, virtual, above ? undefined : base)
}

/** The keys that a step from here may find, in Rego order. */
export function cursorKeys(r: RuleEvaluator, env: Env, from: Cursor | Value): readonly Value[] {
  if (!(from instanceof Cursor)) return entriesOf(from).map(([k]) => k)
  const keys = new RegoSet()
  for (const source of [from.base, from.virtual]) for (const [k] of entriesOf(source)) keys.add(k)
  if (from.node.kind === 'partial') for (const [k] of entriesOf(r.extent(env, from.node.id))) keys.add(k)
  for (const name of from.node.children.keys()) keys.add(name)
  return sortValues([...keys])
}

/** The whole document below a cursor. Where base data and a rule have the same member, base data is shown. */
export function cursorValue(r: RuleEvaluator, env: Env, from: Cursor | Value): Value | undefined {
  if (!(from instanceof Cursor)) return from
  const { node } = from
  let rules: Value = objectOf(membersOf(r, env, from))
  if (from.virtual !== undefined) rules = uniteDocuments(from.virtual, rules, node.loc)
  if (node.kind === 'partial') rules = uniteDocuments(rules, r.extent(env, node.id), node.loc)
  const base = node.path.length === 0 ? withoutSystem(from.base) : from.base
  return base === undefined ? rules : mergeDocuments(base, rules)
}

function* membersOf(r: RuleEvaluator, env: Env, from: Cursor): Generator<readonly [Value, Value]> {
  const bare = new Cursor(from.node, undefined, from.base)
  for (const [name, id] of from.node.children) {
    if (from.node.path.length === 0 && name === 'system') continue
    const child = r.nodes[id] as NodePlan
    if (child.kind === 'function' || env.masks?.has(id) === true) continue
    const below =
      child.kind === 'none' || child.kind === 'partial'
        ? new Cursor(child, undefined, child.kind === 'none' ? step(bare.base, name) : undefined)
        : r.rule(env, id)
    const value = below === undefined ? undefined : cursorValue(r, env, below)
    if (value !== undefined) yield [name, value]
  }
}

/** `data.system` is the host's own and not part of `data` as a whole. */
function withoutSystem(base: Value | undefined): Value | undefined {
  if (base === undefined || !isObject(base)) return base
  const keys = objectKeys(base)
  if (!keys.includes('system')) return base
  return objectOf(keys.filter((k) => k !== 'system').map((k) => [k, step(base, k) as Value] as const))
}
