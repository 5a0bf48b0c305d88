import {
  compare,
  isArray,
  isNumber,
  isObject,
  isSet,
  jsonMembers,
  numberFromText,
  numberText,
  numberToSafeInteger,
  objectGet,
  objectSize,
  sortedElements,
  step,
  type Value,
} from '../../value/index.ts'
import { codePointLength } from '../code-points.ts'
import { BuiltinError, type BuiltinContext } from '../contract.ts'
import { sprintf } from '../go-format.ts'

/** What templates compute with; a missing key is undefined and prints as `<undefined>`. */
export type Data = Value | undefined

export function literal(token: { readonly kind: string; readonly text: string }): Data {
  if (token.kind === 'string') return token.text
  if (token.text === 'true' || token.text === 'false') return token.text === 'true'
  if (token.text === 'nil') throw new BuiltinError('template: nil is not a command')
  const text = token.text.replace(/^\+/, '')
  const n = /^-?0[xX]/.test(text) ? Number(text) : numberFromText(text)
  if (n === undefined || Number.isNaN(n)) throw new BuiltinError(`template: bad number ${token.text}`)
  return n
}

export function follow(v: Data, path: readonly string[]): Data {
  let at = v
  for (const name of path) {
    if (at === undefined) throw new BuiltinError(`template: nil data; no entry for key "${name}"`)
    if (!isObject(at)) throw new BuiltinError(`template: can't evaluate field ${name}`)
    at = objectGet(at, name)
  }
  return at
}

export function isTrue(v: Data): boolean {
  if (v === undefined || v === null) return false
  if (typeof v === 'boolean') return v
  if (typeof v === 'string') return v !== ''
  if (isNumber(v)) return compare(v, 0) !== 0
  return sizeOf(v) > 0
}

function sizeOf(v: Data): number {
  if (typeof v === 'string') return new TextEncoder().encode(v).length
  if (isArray(v)) return v.length
  if (isSet(v)) return v.size
  if (isObject(v)) return objectSize(v)
  throw new BuiltinError('template: len of such a value')
}

export function rangeOf(v: Data): ReadonlyArray<readonly [Value, Value]> {
  if (v === undefined || v === null) return []
  if (isArray(v)) return v.map((x, i) => [i, x])
  if (isSet(v)) return sortedElements(v).map((x, i) => [i, x])
  if (isObject(v)) return jsonMembers(v)
  if (isNumber(v)) {
    const n = numberToSafeInteger(v) ?? 0
    if (n > 1_000_000) throw new BuiltinError('template: range is too long')
    return Array.from({ length: Math.max(0, n) }, (_, i) => [i, i] as const)
  }
  throw new BuiltinError("template: range can't iterate over such a value")
}

/** As Go's fmt shows it: texts bare, lists `[a b]`, maps `map[k:v]`. */
export function shown(v: Data): string {
  if (v === undefined) return '<undefined>'
  if (v === null) return '<no value>'
  if (typeof v === 'string') return v
  if (typeof v === 'boolean') return String(v)
  if (isNumber(v)) return numberText(v)
  if (isArray(v)) return `[${v.map(shown).join(' ')}]`
  if (isSet(v)) return `[${sortedElements(v).map(shown).join(' ')}]`
  return `map[${jsonMembers(v)
    .map(([k, x]) => `${k}:${shown(x)}`)
    .join(' ')}]`
}

function given(args: readonly Data[], i: number): Value {
  const v = args[i]
  if (v === undefined) throw new BuiltinError('template: missing or undefined argument')
  return v
}

function order(args: readonly Data[]): number {
  return compare(given(args, 0), given(args, 1))
}

type Function = (ctx: BuiltinContext, args: readonly Data[]) => Data

const FUNCTIONS: ReadonlyMap<string, Function> = new Map<string, Function>([
  ['not', (_, args) => !isTrue(args[0])],
  ['eq', (_, args) => args.slice(1).some((x) => x !== undefined && compare(given(args, 0), x) === 0)],
  ['ne', (_, args) => order(args) !== 0],
  ['lt', (_, args) => order(args) < 0],
  ['le', (_, args) => order(args) <= 0],
  ['gt', (_, args) => order(args) > 0],
  ['ge', (_, args) => order(args) >= 0],
  ['len', (_, args) => sizeOf(given(args, 0))],
  [
    'index',
    (_, args) => args.slice(1).reduce<Data>((at, key) => (key === undefined ? undefined : step(at, key)), args[0]),
  ],
  ['slice', (_, args) => slice(args)],
  ['print', (_, args) => printAll(args)],
  ['println', (_, args) => `${args.map(shown).join(' ')}\n`],
  [
    'printf',
    (ctx, args) =>
      sprintf(
        ctx,
        shown(args[0]),
        args.slice(1).map((x) => x ?? '<undefined>'),
      ),
  ],
  ['urlquery', (_, args) => encodeURIComponent(args.map(shown).join('')).replaceAll('%20', '+')],
  [
    'html',
    (_, args) =>
      args
        .map(shown)
        .join('')
        .replaceAll(/[<>&'"\0]/g, (ch) => HTML[ch] ?? ch),
  ],
])

const HTML: Readonly<Record<string, string>> = {
  '<': '&lt;',
  '>': '&gt;',
  '&': '&amp;',
  "'": '&#39;',
  '"': '&#34;',
  '\0': '\ufffd',
}

/** Spaces only between operands of which neither is a text. */
function printAll(args: readonly Data[]): string {
  let out = ''
  for (const [i, x] of args.entries()) {
    if (i > 0 && typeof x !== 'string' && typeof args[i - 1] !== 'string') out += ' '
    out += shown(x)
  }
  return out
}

function slice(args: readonly Data[]): Data {
  const [v, ...bounds] = args
  const [from = 0, to] = bounds.map((b) => (isNumber(b) ? numberToSafeInteger(b) : undefined))
  const size = typeof v === 'string' ? codePointLength(v) : isArray(v) ? v.length : undefined
  if (size === undefined || from < 0 || (to ?? size) > size || from > (to ?? size)) {
    throw new BuiltinError('template: index out of range')
  }
  return isArray(v) ? v.slice(from, to) : String(v).slice(from, to)
}

export function callFunction(ctx: BuiltinContext, name: string, args: readonly Data[]): Data {
  const f = FUNCTIONS.get(name)
  if (f === undefined) throw new BuiltinError(`template: function "${name}" not defined`)
  return f(ctx, args)
}
