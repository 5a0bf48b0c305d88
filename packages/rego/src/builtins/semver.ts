import type { Value } from '../value/index.ts'
import { BuiltinError, type Builtin } from './contract.ts'
import { define, O } from './define.ts'
import { T } from './types.ts'

/** Numbers are digits without leading zeros. */
type Version = { readonly numbers: readonly string[]; readonly preRelease: readonly string[] }

/** Three numbers, after an optional `v`; pre-release and build parts of letters, digits and `-`. */
const VERSION =
  /^v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?$/

/** Longer texts are no version; keeps the pattern's work trivial. */
const MAX_LENGTH = 1000

function parse(text: string): Version | undefined {
  const m = text.length <= MAX_LENGTH ? VERSION.exec(text) : null
  if (m === null) return undefined
  const [, major = '', minor = '', patch = '', pre] = m
  const numbers = [major, minor, patch]
  if (numbers.some((n) => n.length > 1 && n.startsWith('0'))) return undefined
  return { numbers, preRelease: pre === undefined ? [] : pre.split('.') }
}

function take(text: string, position: number): Version {
  const version = parse(text)
  if (version === undefined) {
    throw new BuiltinError(`operand ${position}: string ${JSON.stringify(text)} is not a valid SemVer`)
  }
  return version
}

function compareVersions(a: Version, b: Version): number {
  for (let i = 0; i < 3; i++) {
    const order = compareDigits(a.numbers[i] ?? '0', b.numbers[i] ?? '0')
    if (order !== 0) return order
  }
  // a version without pre-release part is later than any with one
  if (a.preRelease.length === 0 || b.preRelease.length === 0) return b.preRelease.length - a.preRelease.length
  return comparePreReleases(a.preRelease, b.preRelease)
}

/** Order by value of digits without leading zeros. */
function compareDigits(x: string, y: string): number {
  if (x.length !== y.length) return x.length < y.length ? -1 : 1
  return x < y ? -1 : x > y ? 1 : 0
}

function comparePreReleases(a: readonly string[], b: readonly string[]): number {
  for (const [i, x] of a.entries()) {
    const y = b[i]
    if (y === undefined) return 1
    const order = compareIdentifiers(x, y)
    if (order !== 0) return order
  }
  return a.length - b.length
}

/** Numbers by value and before words; words by ASCII. */
function compareIdentifiers(x: string, y: string): number {
  const numericX = /^\d+$/.test(x)
  const numericY = /^\d+$/.test(y)
  if (numericX && numericY) return compareDigits(x.replace(/^0+(?=.)/, ''), y.replace(/^0+(?=.)/, ''))
  if (numericX !== numericY) return numericX ? -1 : 1
  return x < y ? -1 : x > y ? 1 : 0
}

export const SEMVER: readonly Builtin[] = [
  define('semver.compare', [O.string, O.string], T.number, (_, a, b) =>
    Math.sign(compareVersions(take(a, 1), take(b, 2))),
  ),
  define('semver.is_valid', [O.any], T.boolean, (_, v: Value) => typeof v === 'string' && parse(v) !== undefined),
]
