import { BuiltinError } from '../contract.ts'

export type Token = {
  readonly kind: 'word' | 'field' | 'variable' | 'string' | 'number' | 'mark'
  /** Strings are decoded. */
  readonly text: string
  /** Nothing stands between this token and the one before. */
  readonly adjacent: boolean
}

const PATTERNS: ReadonlyArray<readonly [RegExp, Token['kind']]> = [
  [/\.(?:[\p{L}_][\p{L}\p{N}_]*(?:\.[\p{L}_][\p{L}\p{N}_]*)*)?/uy, 'field'],
  [/\$[\p{L}\p{N}_]*/uy, 'variable'],
  [/[+-]?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/y, 'number'],
  [/[\p{L}_][\p{L}\p{N}_]*/uy, 'word'],
  [/"(?:[^"\\]|\\.)*"|`[^`]*`|'(?:[^'\\]|\\.)+'/y, 'string'],
  [/:=|[|(),=]/y, 'mark'],
]

/** The tokens of what stands between the braces. */
export function tokenizeAction(text: string): readonly Token[] {
  const out: Token[] = []
  let adjacent = false
  for (let i = 0; i < text.length;) {
    if (/\s/.test(text.charAt(i))) {
      adjacent = false
      i++
      continue
    }
    const token = tokenAt(text, i, adjacent)
    out.push(token.token)
    i += token.length
    adjacent = true
  }
  return out
}

function tokenAt(text: string, i: number, adjacent: boolean): { token: Token; length: number } {
  for (const [pattern, kind] of PATTERNS) {
    pattern.lastIndex = i
    const found = pattern.exec(text)?.[0]
    if (found === undefined) continue
    const shown = kind === 'string' ? decode(found) : found
    return {
      token: { kind: kind === 'string' && found.startsWith("'") ? 'number' : kind, text: shown, adjacent },
      length: found.length,
    }
  }
  throw new BuiltinError(`template: unexpected ${JSON.stringify(text.charAt(i))} in command`)
}

/** A character constant is the number of its code point. */
function decode(literal: string): string {
  if (literal.startsWith('`')) return literal.slice(1, -1)
  const inner = literal.slice(1, -1)
  const plain = inner.replaceAll(/\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)/gs, (_, escape: string) => unescape(escape))
  return literal.startsWith("'") ? String(plain.codePointAt(0) ?? 0) : plain
}

const ESCAPES: Readonly<Record<string, string>> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

function unescape(escape: string): string {
  if (escape.length > 1) return String.fromCharCode(Number.parseInt(escape.slice(1), 16))
  return Object.hasOwn(ESCAPES, escape) ? (ESCAPES[escape] ?? escape) : escape
}
