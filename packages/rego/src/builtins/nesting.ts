import { BuiltinError } from './contract.ts'

/**
 * Kept parsers recurse. How deep they may go must not depend on how much of the stack is left, or a decision would depend on
 * it: so nesting is bounded before they see a text.
 */
const MAX_NESTING = 250

/** @throws {BuiltinError} if brackets outside what `skip` matches are nested more deeply than 250 */
export function boundBrackets(text: string, skip?: RegExp): void {
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const skipped = skip === undefined ? 0 : skippedAt(text, i, skip)
    if (skipped > 0) {
      i += skipped - 1
      continue
    }
    const ch = text.charCodeAt(i)
    // ( [ {
    if (ch === 40 || ch === 91 || ch === 123) {
      if (++depth > MAX_NESTING) throw new BuiltinError('nested too deeply')
    } else if (ch === 41 || ch === 93 || ch === 125) {
      depth = Math.max(0, depth - 1)
    }
  }
}

function skippedAt(text: string, i: number, skip: RegExp): number {
  const ch = text.charCodeAt(i)
  // only quotes and # begin something to skip
  if (ch !== 34 && ch !== 35) return 0
  skip.lastIndex = i
  return skip.exec(text)?.[0].length ?? 0
}

/** Blocks of YAML nest by indentation, or by `- - -` on one line. */
export function boundIndentation(text: string): void {
  const deep = 2 * MAX_NESTING
  for (const line of text.split('\n')) {
    let i = 0
    while (i < line.length && ' -?:\t'.includes(line.charAt(i))) i++
    if (i > deep) throw new BuiltinError('nested too deeply')
  }
}
