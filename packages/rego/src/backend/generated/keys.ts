import { BoxedNumber, RegoMap, RegoSet } from '../../value/index.ts'

/** Names that arrays or our own classes have themselves: a direct load would find something there. */
const TAKEN: ReadonlySet<string> = takenNames()

function takenNames(): Set<string> {
  const names = new Set<string>(['length', '__proto__', 'constructor'])
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
 * True if `v.key` on anything that is `typeof` object, but null, is the member `key` or undefined. Names that look like an index
 * are not: arrays answer to them.
 */
export function isDirect(key: string): boolean {
  return !TAKEN.has(key) && !/^\d+$/.test(key)
}

/** How a load of a key is written. */
export function propertyText(key: string): string {
  return /^[A-Za-z_$][A-Za-z0-9_$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
}

const ARRAY = Object.create(Array.prototype) as object
const OBJECT: object = {}

/**
 * True if somebody gave the prototypes of arrays or objects further names that a load could find. Names that were assigned can be
 * enumerated, and asking costs next to nothing, so it is asked before every evaluation; direct loads are then not used.
 */
export function isPolluted(): boolean {
  for (const _ in ARRAY) return true
  for (const _ in OBJECT) return true
  return false
}
