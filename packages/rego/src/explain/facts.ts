import { compare, equal, isArray, isObject, objectEntries, ObjectBuilder, step, type Value } from '../value/index.ts'
import type { Change } from './candidates.ts'
import { inputText } from './origin.ts'

/** One fact of the input and what it would have to be. */
export type Fact = {
  readonly path: readonly Value[]
  /** As a policy writes it: `input.claims.svn`. */
  readonly text: string
  /** Undefined: it is not there. */
  readonly from: Value | undefined
  /** Undefined: it must not be there. */
  readonly to: Value | undefined
}

/** The input with changes made, in order. What stands in the way of a path gives way. */
export function withChanges(input: Value | undefined, changes: readonly Change[]): Value | undefined {
  let out = input
  for (const c of changes) out = changed(out, c.path, c.to)
  return out
}

function changed(v: Value | undefined, path: readonly Value[], to: Value | undefined): Value | undefined {
  const [key, ...rest] = path
  if (key === undefined) return to
  if (isArray(v) && typeof key === 'number' && key >= 0 && key <= v.length) {
    const value = changed(v[key], rest, to)
    const out = [...v]
    if (value === undefined) out.splice(key, 1)
    else out[key] = value
    return out
  }
  const builder = new ObjectBuilder()
  const below = v !== undefined && isObject(v) ? step(v, key) : undefined
  const value = changed(below, rest, to)
  if (v !== undefined && isObject(v)) for (const [k, x] of objectEntries(v)) if (!equal(k, key)) builder.set(k, x)
  if (value !== undefined) builder.set(key, value)
  else if (v === undefined || !isObject(v)) return v
  return builder.finish()
}

function startsWith(path: readonly Value[], prefix: readonly Value[]): boolean {
  return prefix.length <= path.length && prefix.every((p, i) => equal(p, path[i] as Value))
}

/** Changes as facts: one for each place, a change below another part of it. In a fixed order. */
export function factsOf(input: Value | undefined, changes: readonly Change[]): readonly Fact[] {
  const after = withChanges(input, changes)
  const paths: (readonly Value[])[] = []
  for (const { path } of changes) {
    if (paths.some((p) => startsWith(path, p))) continue
    for (let i = paths.length - 1; i >= 0; i--) if (startsWith(paths[i] as readonly Value[], path)) paths.splice(i, 1)
    paths.push(path)
  }
  const at = (v: Value | undefined, path: readonly Value[]): Value | undefined =>
    path.reduce<Value | undefined>(step, v)
  return paths
    .map((path) => ({ path, text: inputText(path), from: at(input, path), to: at(after, path) }))
    .filter((f) => (f.from === undefined || f.to === undefined ? f.from !== f.to : !equal(f.from, f.to)))
    .sort((a, b) => compare(a.path, b.path))
}

/** Facts as changes. */
export function changesOf(facts: readonly Fact[]): readonly Change[] {
  return facts.map(({ path, to }) => ({ path, to }))
}

/** Two lists of facts that say the same have the same key. */
export function factsKey(facts: readonly Fact[], show: (v: Value) => string): string {
  return facts.map((f) => `${f.text}=${f.to === undefined ? '' : show(f.to)}`).join('\n')
}
