import type { NodePlan } from '../plan/ir.ts'
import {
  entriesOf,
  isNumber,
  isObject,
  isRecord,
  isSet,
  numberText,
  objectKeys,
  objectOf,
  recordGet,
  RegoSet,
  sortValues,
  step,
  type Value,
} from '../value/index.ts'
import type { Env } from './env.ts'
import { Branch, Leaf, mergeDocuments, OpenSet, unite, type Part } from './nested.ts'

/** What a back end computes. */
export type RuleEvaluator = {
  readonly nodes: readonly NodePlan[]
  /** The value of a complete rule or set. */
  readonly rule: (env: Env, node: number) => Value | undefined
  /** What the rules with variables in their heads add at a node, all of it. */
  readonly extent: (env: Env, node: number) => Branch
}

/**
 * A place in the tree of documents where rules may lie below. `above`: what rules further up have put here; at and below
 * such rules base data is not seen.
 */
export class Cursor {
  readonly node: NodePlan
  readonly above: Part | undefined
  readonly base: Value | undefined

  constructor(node: NodePlan, above: Part | undefined, base: Value | undefined) {
    this.node = node
    this.above = above
    this.base = base
  }
}

/** One step in base data. There a number is also the name of a member: `data[2]` finds `{"2": …}`. */
export function baseStep(v: Value | undefined, key: Value): Value | undefined {
  const found = step(v, key)
  return found === undefined && isNumber(key) && isRecord(v) ? recordGet(v, numberText(key)) : found
}

export function baseAt(data: Value, path: readonly Value[]): Value | undefined {
  let at: Value | undefined = data
  for (const p of path) at = baseStep(at, p)
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
  const base = baseStep(from.base, key)
  const id = typeof key === 'string' ? node.children.get(key) : undefined
  const above = partsHere(r, env, from)?.step(key)
  if (id === undefined) return above === undefined ? base : above.finish()
  const child = r.nodes[id] as NodePlan
  if (env.masks?.has(id) === true) return base === undefined ? baseAt(env.data, child.path) : base
  if (child.kind === 'function') return undefined
  if (child.kind === 'complete' || child.kind === 'set')
    return unite(above, ruleAsPart(r, env, child), child.loc)?.finish()
  const virtual = above !== undefined || node.kind === 'partial' || child.kind === 'partial'
  return new Cursor(child, above, virtual ? undefined : base)
}

/** What rules above and at a cursor's node put there. */
function partsHere(r: RuleEvaluator, env: Env, from: Cursor): Part | undefined {
  const own = from.node.kind === 'partial' ? r.extent(env, from.node.id) : undefined
  return unite(from.above, own, from.node.loc)
}

function ruleAsPart(r: RuleEvaluator, env: Env, node: NodePlan): Part | undefined {
  const value = r.rule(env, node.id)
  if (value === undefined) return undefined
  return node.kind === 'set' && isSet(value) ? new OpenSet(value) : new Leaf(value)
}

/** The keys that a step from here may find: those of base data, then those of rules, each in Rego order. */
export function cursorKeys(r: RuleEvaluator, env: Env, from: Cursor | Value): readonly Value[] {
  const base = entriesOf(from instanceof Cursor ? from.base : from).map(([k]) => k)
  if (!(from instanceof Cursor)) return base
  const known = RegoSet.of(base)
  const keys: Value[] = []
  for (const [k] of entriesOf(partsHere(r, env, from)?.finish())) if (known.add(k)) keys.push(k)
  for (const name of from.node.children.keys()) if (known.add(name)) keys.push(name)
  return [...base, ...sortValues(keys)]
}

/** The whole document below a cursor. Where base data and a rule have the same member, base data is shown. */
export function cursorValue(r: RuleEvaluator, env: Env, from: Cursor | Value): Value | undefined {
  if (!(from instanceof Cursor)) return from
  const { node } = from
  const rules = documentBelow(r, env, from)?.finish()
  const base = node.path.length === 0 ? withoutSystem(from.base) : from.base
  if (rules === undefined) return base
  return base === undefined ? rules : mergeDocuments(base, rules)
}

function documentBelow(r: RuleEvaluator, env: Env, from: Cursor): Part | undefined {
  const { node } = from
  const members = new Branch()
  for (const [name, id] of node.children) {
    if (node.path.length === 0 && name === 'system') continue
    const child = r.nodes[id] as NodePlan
    if (child.kind === 'function' || env.masks?.has(id) === true) continue
    const part =
      child.kind === 'complete' || child.kind === 'set'
        ? ruleAsPart(r, env, child)
        : documentBelow(r, env, new Cursor(child, undefined, undefined))
    if (part !== undefined) members.put(name, part)
  }
  const here = partsHere(r, env, from)
  if (here === undefined) return members
  return members.keys.length === 0 ? here : unite(here, members, node.loc)
}

/** `data.system` is the host's own and not part of `data` as a whole. */
function withoutSystem(base: Value | undefined): Value | undefined {
  if (base === undefined || !isObject(base)) return base
  const keys = objectKeys(base)
  if (!keys.includes('system')) return base
  return objectOf(keys.filter((k) => k !== 'system').map((k) => [k, step(base, k) as Value] as const))
}
