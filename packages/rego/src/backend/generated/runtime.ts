import { BuiltinError, type Builtin } from '../../builtins/index.ts'
import { RegoError } from '../../errors.ts'
import {
  baseAt,
  baseStep,
  cursorAt,
  cursorKeys,
  cursorStep,
  cursorValue,
  type Cursor,
  type RuleEvaluator,
} from '../../eval/documents.ts'
import { ABSENT, type Env } from '../../eval/env.ts'
import { completeConflict, functionConflict, keyConflict } from '../../eval/errors.ts'
import { Branch } from '../../eval/nested.ts'
import { replaced } from '../../eval/with.ts'
import type { Operand, Target } from '../../plan/ir.ts'
import type { Location } from '../../syntax/source.ts'
import {
  BoxedNumber,
  equal,
  isArray,
  isObject,
  objectEntries,
  objectKeys,
  objectSize,
  ObjectBuilder,
  RegoMap,
  RegoSet,
  sortedElements,
  step,
  newRecord,
  type RegoRecord,
  type Value,
} from '../../value/index.ts'

/** A member that a direct load did not find: only sets and objects with other keys than strings may still have it. */
export function member(v: Value, key: string): Value | undefined {
  return v instanceof RegoMap ? v.get(key) : v instanceof RegoSet ? v.find(key) : undefined
}

const NOTHING: readonly Value[] = []

/** The keys to iterate over, for what is no array: elements of a set, keys of an object. */
export function keysOf(v: Value, ordered: boolean): readonly Value[] {
  if (typeof v !== 'object' || v === null || v instanceof BoxedNumber) return NOTHING
  if (v instanceof RegoSet) return ordered ? sortedElements(v) : v.elements()
  if (v instanceof RegoMap) return ordered ? objectKeys(v) : v.keys()
  return ordered ? objectKeys(v as RegoRecord) : Object.keys(v)
}

/** The value at a key that `keysOf` gave. */
export function valueAt(v: Value, key: Value): Value {
  if (v instanceof RegoSet) return key
  if (v instanceof RegoMap) return v.get(key) as Value
  return (v as RegoRecord)[key as string] as Value
}

export function failed(env: Env, e: unknown, builtin: Builtin, at: Location): undefined {
  return env.machine.failed(e, builtin, at)
}

export function call1(env: Env, b: Builtin, at: Location, x: Value): Value | undefined {
  if (--env.budget.fuel < 0) env.budget.refuel()
  try {
    return b.call(env.machine, x)
  } catch (e) {
    return env.machine.failed(e, b, at)
  }
}

export function call2(env: Env, b: Builtin, at: Location, x: Value, y: Value): Value | undefined {
  if (--env.budget.fuel < 0) env.budget.refuel()
  try {
    return b.call(env.machine, x, y)
  } catch (e) {
    return env.machine.failed(e, b, at)
  }
}

export function callN(env: Env, b: Builtin, at: Location, args: Value[]): Value | undefined {
  return env.machine.call(b, args, at)
}

export function withTargets(env: Env, targets: readonly Target[], registers: Readonly<Record<number, Value>>): Env {
  return replaced(env, targets, (o: Operand) => (typeof o === 'object' ? o.value : (registers[o] as Value)))
}

export function isCollection(v: Value): boolean {
  return isArray(v) || v instanceof RegoSet || isObject(v)
}

/** An object literal with keys that are only known now. */
export function objectFrom(entries: readonly Value[]): Value {
  const builder = new ObjectBuilder()
  for (let i = 0; i < entries.length; i += 2) builder.set(entries[i] as Value, entries[i + 1] as Value)
  return builder.finish()
}

export function addEntry(env: Env, builder: ObjectBuilder, key: Value, value: Value, at: Location): void {
  const was = builder.get(key)
  if (was === undefined) {
    builder.set(key, value)
    env.budget.grow()
  } else if (!equal(was, value)) throw keyConflict(at)
}

export function isObjectOf(v: Value, size: number): boolean {
  return isObject(v) && objectSize(v) === size
}

/** Scan of a document that may hold rules: keys and what is there. */
export function docEntries(r: RuleEvaluator, env: Env, from: Cursor | Value): (readonly [Value, Cursor | Value])[] {
  const out: (readonly [Value, Cursor | Value])[] = []
  for (const k of cursorKeys(r, env, from)) {
    const v = cursorStep(r, env, from, k)
    if (v !== undefined) out.push([k, v])
  }
  return out
}

/** Everything that generated code calls, by the name it uses. */
export const RUNTIME = {
  ABSENT,
  BuiltinError,
  RegoError,
  RegoSet,
  RegoMap,
  ObjectBuilder,
  Branch,
  addEntry,
  baseAt,
  baseStep,
  call1,
  call2,
  callN,
  completeConflict,
  cursorAt,
  cursorStep,
  cursorValue,
  docEntries,
  equal,
  failed,
  functionConflict,
  isCollection,
  isObjectOf,
  keysOf,
  member,
  newRecord,
  objectEntries,
  objectFrom,
  step,
  valueAt,
  withTargets,
} as const
