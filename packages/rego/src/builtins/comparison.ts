import { compare, equal, isArray, isObject, isSet, objectEntries, objectGet, step, type Value } from '../value/index.ts'
import type { Builtin } from './contract.ts'
import { define, O } from './define.ts'
import { T } from './types.ts'

/** `x in xs`: array elements, object values, set elements; false for anything else. */
export function member(x: Value, xs: Value): boolean {
  if (isSet(xs)) return xs.has(x)
  if (isArray(xs)) return xs.some((y) => equal(x, y))
  return isObject(xs) && objectEntries(xs).some(([, y]) => equal(x, y))
}

/** `k, v in xs`: is there such a pair? */
export function memberAt(key: Value, x: Value, xs: Value): boolean {
  if (isSet(xs)) return equal(key, x) && xs.has(x)
  const at = isObject(xs) ? objectGet(xs, key) : isArray(xs) ? step(xs, key) : undefined
  return at !== undefined && equal(x, at)
}

function comparison(name: string, infix: string, holds: (a: Value, b: Value) => boolean): Builtin {
  return define(name, [O.any, O.any], T.boolean, (_, a, b) => holds(a, b), { infix })
}

export const COMPARISON: readonly Builtin[] = [
  comparison('equal', '==', equal),
  comparison('neq', '!=', (a, b) => !equal(a, b)),
  comparison('lt', '<', (a, b) => compare(a, b) < 0),
  comparison('lte', '<=', (a, b) => compare(a, b) <= 0),
  comparison('gt', '>', (a, b) => compare(a, b) > 0),
  comparison('gte', '>=', (a, b) => compare(a, b) >= 0),
  // assignment and unification are the compiler's; on two values they are equality
  comparison('assign', ':=', equal),
  comparison('eq', '=', equal),
  define('internal.member_2', [O.any, O.any], T.boolean, (_, x, xs) => member(x, xs), { infix: 'in' }),
  define('internal.member_3', [O.any, O.any, O.any], T.boolean, (_, k, x, xs) => memberAt(k, x, xs), { infix: 'in' }),
]
