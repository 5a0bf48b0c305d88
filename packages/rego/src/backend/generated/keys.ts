import { BoxedNumber, RegoMap, RegoSet } from '../../value/index.ts'

/** Names that arrays, strings, numbers or our own classes have themselves: a direct load would find something there. */
const TAKEN: ReadonlySet<string> = takenNames()

function takenNames(): Set<string> {
  const names = new Set<string>(['length', '__proto__', 'constructor', 'description'])
  const samples: unknown[] = [
    [],
    '',
    0,
    0n,
    true,
    {},
    new RegoSet(),
    new RegoMap(),
    new BoxedNumber('1.0', 1),
    Symbol('x'),
  ]
  for (const sample of samples) {
    for (let o: unknown = Object(sample); o !== null && o !== undefined; o = Object.getPrototypeOf(o)) {
      for (const name of Object.getOwnPropertyNames(o)) names.add(name)
    }
  }
  return names
}

/**
 * True if `v.key` on any value but null is the member `key` of an object, or undefined. Names that look like an index are not:
 * arrays and strings answer to them.
 */
export function isDirect(key: string): boolean {
  return !TAKEN.has(key) && !/^\d+$/.test(key)
}

/** How a load of a key is written. */
export function propertyText(key: string): string {
  return /^[A-Za-z_$][A-Za-z0-9_$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
}

const PROBES: readonly object[] = [[], Object(''), Object(0), Object(0n), Object(false), new RegoSet(), new RegoMap()]

/**
 * True if somebody gave a built-in prototype further names that a load could find. Assigned names can be enumerated, and
 * asking costs next to nothing, so it is asked before every evaluation; direct loads are then not used.
 */
export function isPolluted(): boolean {
  for (const probe of PROBES) {
    for (const name in probe) if (!Object.hasOwn(probe, name)) return true
  }
  return false
}
