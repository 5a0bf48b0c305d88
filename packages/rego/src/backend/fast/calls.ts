import type { Env } from '../../eval/env.ts'
import {
  compare,
  equal,
  isArray,
  isObject,
  isRecord,
  recordGet,
  RegoMap,
  RegoSet,
  type RegoRecord,
  type Value,
} from '../../value/index.ts'
import type { Site } from './site.ts'

// The built-ins that policies call most, for the operands that they mostly get. Everything else goes to the built-in itself,
// which decides what is right: these only do the same sooner.

function slow(env: Env, site: Site, ...args: Value[]): Value | undefined {
  return env.machine.call(site.builtin, args, site.loc)
}

/** `x in xs`. */
export function isMember(x: Value, xs: Value): boolean {
  if (isArray(xs)) {
    if (typeof x === 'string') return xs.includes(x)
    for (let i = 0; i < xs.length; i++) if (equal(x, xs[i] as Value)) return true
    return false
  }
  if (xs instanceof RegoSet) return xs.has(x)
  if (!isObject(xs)) return false
  if (xs instanceof RegoMap) return xs.keys().some((k) => equal(x, xs.get(k) as Value))
  for (const k of Object.keys(xs)) if (equal(x, (xs as RegoRecord)[k] as Value)) return true
  return false
}

export const order = compare

export function regexMatch(env: Env, site: Site, pattern: Value, text: Value): Value | undefined {
  if (typeof pattern !== 'string' || typeof text !== 'string') return slow(env, site, pattern, text)
  env.budget.spend(1 + (text.length >> 4))
  try {
    return site.matcher(pattern)(text)
  } catch (e) {
    return env.machine.failed(e, site.builtin, site.loc)
  }
}

export function globMatch(env: Env, site: Site, pattern: Value, delimiters: Value, text: Value): Value | undefined {
  if (typeof pattern !== 'string' || typeof text !== 'string' || typeof delimiters !== 'object') {
    return slow(env, site, pattern, delimiters, text)
  }
  env.budget.spend(1 + (text.length >> 4))
  try {
    return site.glob(pattern, delimiters)(text)
  } catch (e) {
    return env.machine.failed(e, site.builtin, site.loc)
  }
}

export function replace(env: Env, site: Site, s: Value, from: Value, to: Value): Value | undefined {
  if (typeof s !== 'string' || typeof from !== 'string' || typeof to !== 'string' || from === '') {
    return slow(env, site, s, from, to)
  }
  env.budget.spend(1 + (s.length >> 4))
  if (!s.includes(from)) return s
  return slow(env, site, s, from, to)
}

/** Replaces whichever of several texts comes first, again and again; where two begin at one place, the first by key. */
export function replaceN(env: Env, site: Site, table: Value, s: Value): Value | undefined {
  if (typeof s !== 'string' || !isRecord(table)) return slow(env, site, table, s)
  const keys = Object.keys(table)
  const next: number[] = []
  let hit = false
  for (const key of keys) {
    if (key === '' || typeof table[key] !== 'string') return slow(env, site, table, s)
    const found = s.indexOf(key)
    if (found >= 0) hit = true
    next.push(found)
  }
  env.budget.spend(1 + (s.length >> 4))
  if (!hit) return s
  if (!s.isWellFormed()) return slow(env, site, table, s)
  return replaceFound(env, keys, next, table as Readonly<Record<string, string>>, s)
}

/** @param next - Where each key is next, from the beginning on. */
function replaceFound(
  env: Env,
  keys: readonly string[],
  next: number[],
  table: Readonly<Record<string, string>>,
  s: string,
): string {
  let out = ''
  for (let at = 0; ;) {
    let key = ''
    let found = -1
    for (let i = 0; i < next.length; i++) {
      const k = keys[i] as string
      let f = next[i] as number
      if (f >= 0 && f < at) next[i] = f = s.indexOf(k, at)
      // of two at one place each begins the other: the shorter is the first by key
      if (f < 0 || (found >= 0 && (f > found || (f === found && k.length > key.length)))) continue
      found = f
      key = k
    }
    if (found < 0) return out + s.slice(at)
    out += s.slice(at, found) + (table[key] as string)
    env.budget.spend(1)
    env.budget.reserve(out.length)
    at = found + key.length
  }
}

export function split(env: Env, site: Site, s: Value, by: Value): Value | undefined {
  if (typeof s !== 'string' || typeof by !== 'string' || by === '' || !by.isWellFormed()) return slow(env, site, s, by)
  env.budget.spend(1 + (s.length >> 4))
  return s.split(by)
}

export function concat(env: Env, site: Site, by: Value, parts: Value): Value | undefined {
  if (typeof by !== 'string' || !isArray(parts)) return slow(env, site, by, parts)
  let size = 0
  for (const p of parts) {
    if (typeof p !== 'string') return slow(env, site, by, parts)
    size += p.length + by.length
  }
  env.budget.spend(1 + (size >> 4))
  env.budget.reserve(size)
  const out = parts.join(by)
  return out.isWellFormed() ? out : slow(env, site, by, parts)
}

export function sprintf(env: Env, site: Site, format: Value, values: Value): Value | undefined {
  if (typeof format !== 'string' || !isArray(values)) return slow(env, site, format, values)
  const out = site.plain(format)?.print(values)
  if (out === undefined) return slow(env, site, format, values)
  env.budget.spend(1 + format.length + values.length)
  env.budget.reserve(out.length)
  return out.isWellFormed() ? out : slow(env, site, format, values)
}

export function count(env: Env, site: Site, v: Value): Value | undefined {
  if (isArray(v)) return v.length
  if (v instanceof RegoSet || v instanceof RegoMap) return v.size
  return isRecord(v) ? Object.keys(v).length : slow(env, site, v)
}

export function objectGet(env: Env, site: Site, o: Value, key: Value, otherwise: Value): Value | undefined {
  if (typeof key !== 'string' || !isRecord(o)) return slow(env, site, o, key, otherwise)
  const found = recordGet(o, key)
  return found === undefined ? otherwise : found
}

export function trimPrefix(env: Env, site: Site, s: Value, prefix: Value): Value | undefined {
  if (typeof s !== 'string' || typeof prefix !== 'string' || !prefix.isWellFormed()) return slow(env, site, s, prefix)
  return s.startsWith(prefix) ? s.slice(prefix.length) : s
}

export function trimSuffix(env: Env, site: Site, s: Value, suffix: Value): Value | undefined {
  if (typeof s !== 'string' || typeof suffix !== 'string' || !suffix.isWellFormed()) return slow(env, site, s, suffix)
  return suffix !== '' && s.endsWith(suffix) ? s.slice(0, -suffix.length) : s
}

export function arrayConcat(env: Env, site: Site, a: Value, b: Value): Value | undefined {
  if (!isArray(a) || !isArray(b)) return slow(env, site, a, b)
  env.budget.spend(1 + ((a.length + b.length) >> 4))
  env.budget.reserve(a.length + b.length)
  return a.length === 0 ? b : b.length === 0 ? a : [...a, ...b]
}

export function plus(env: Env, site: Site, a: Value, b: Value): Value | undefined {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b
    if (Number.isInteger(a) && Number.isInteger(b) && Number.isSafeInteger(sum)) return sum
  }
  return slow(env, site, a, b)
}

export function minus(env: Env, site: Site, a: Value, b: Value): Value | undefined {
  if (typeof a === 'number' && typeof b === 'number') {
    const difference = a - b
    if (Number.isInteger(a) && Number.isInteger(b) && Number.isSafeInteger(difference)) return difference
  }
  return slow(env, site, a, b)
}

/** The built-ins above, by name. */
export const FAST_CALLS: ReadonlyMap<string, string> = new Map([
  ['regex.match', 'regexMatch'],
  ['glob.match', 'globMatch'],
  ['replace', 'replace'],
  ['strings.replace_n', 'replaceN'],
  ['split', 'split'],
  ['concat', 'concat'],
  ['sprintf', 'sprintf'],
  ['count', 'count'],
  ['object.get', 'objectGet'],
  ['trim_prefix', 'trimPrefix'],
  ['trim_suffix', 'trimSuffix'],
  ['array.concat', 'arrayConcat'],
  ['plus', 'plus'],
  ['minus', 'minus'],
])

export const FAST = {
  isMember,
  order,
  regexMatch,
  globMatch,
  replace,
  replaceN,
  split,
  concat,
  sprintf,
  count,
  objectGet,
  trimPrefix,
  trimSuffix,
  arrayConcat,
  plus,
  minus,
} as const
