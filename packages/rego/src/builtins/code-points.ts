/** Strings count in code points; nearly all are short and without surrogates, where units are code points. */

const SURROGATE = /[\ud800-\udfff]/

/** True if every UTF-16 unit is a code point of its own. */
export function isFlat(s: string): boolean {
  return !SURROGATE.test(s)
}

export function codePointLength(s: string): number {
  if (isFlat(s)) return s.length
  let n = 0
  for (const _ of s) n++
  return n
}

/** Number of code points before unit `index`. */
export function codePointsBefore(s: string, index: number): number {
  return codePointLength(s.slice(0, index))
}

/** The code points of a string, each as a string of its own; bytes that are not UTF-8 count as one each. */
export function codePoints(s: string): string[] {
  return Array.from(s)
}
