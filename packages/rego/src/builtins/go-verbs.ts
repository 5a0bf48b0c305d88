import {
  formatValue,
  isNumber,
  numberKey,
  numberText,
  numberToBigInt,
  quoteText,
  textToBytes,
  type NumberValue,
  type Value,
} from '../value/index.ts'
import { codePointLength, codePoints } from './code-points.ts'
import { formatFloat } from './go-float.ts'

/** What Go's formatter sees: OPA hands it integers, floats and text; everything else is already Rego text. */
export type Arg =
  | { readonly kind: 'int'; readonly value: bigint; readonly type: 'int64' | '*big.Int' }
  | { readonly kind: 'float'; readonly value: number; readonly type: 'float64' }
  | { readonly kind: 'string'; readonly value: string; readonly type: 'string' }

export function argOf(v: Value): Arg {
  if (typeof v === 'string') return { kind: 'string', value: v, type: 'string' }
  if (!isNumber(v)) return { kind: 'string', value: formatValue(v), type: 'string' }
  return numberArg(v)
}

function numberArg(v: NumberValue): Arg {
  const text = numberText(v)
  // a number written with an exponent arrives as its text
  if (/[eE]/.test(text)) return { kind: 'string', value: text, type: 'string' }
  const integer = numberToBigInt(v)
  if (integer !== undefined) {
    const fits = BigInt.asIntN(64, integer) === integer
    return { kind: 'int', value: integer, type: fits ? 'int64' : '*big.Int' }
  }
  return { kind: 'float', value: Number(numberKey(v) === text ? text : Number(text)), type: 'float64' }
}

/** Flags, width and precision of a directive. */
export type Spec = {
  plus: boolean
  minus: boolean
  sharp: boolean
  space: boolean
  zero: boolean
  width: number | undefined
  precision: number | undefined
}

/** No flags at all. */
export const PLAIN: Spec = {
  plus: false,
  minus: false,
  sharp: false,
  space: false,
  zero: false,
  width: undefined,
  precision: undefined,
}

/** One argument by one verb; a verb that does not suit it is shown with the argument. */
export function formatArg(arg: Arg, verb: string, spec: Spec): string {
  if (verb === 'T') return pad(arg.type, { ...spec, zero: false })
  const good =
    arg.kind === 'string'
      ? formatText(arg.value, verb, spec)
      : arg.kind === 'float'
        ? float(arg, verb, spec)
        : integer(arg, verb, spec)
  if (good !== undefined) return good
  // a wrong verb prints the argument as %v, with the same flags
  const shown =
    arg.kind === 'string'
      ? formatText(arg.value, 'v', spec)
      : arg.kind === 'float'
        ? float(arg, 'v', spec)
        : integer(arg, 'v', spec)
  return `%!${verb}(${arg.type === '*big.Int' ? 'big.Int' : arg.type}=${shown ?? ''})`
}

/** Spaces, or zeros in front, up to the width. */
function pad(s: string, spec: Spec): string {
  const missing = (spec.width ?? 0) - codePointLength(s)
  if (missing <= 0) return s
  if (spec.minus) return s + ' '.repeat(missing)
  return (spec.zero ? '0' : ' ').repeat(missing) + s
}

const INT_BASES: Readonly<Record<string, number>> = { d: 10, v: 10, b: 2, o: 8, O: 8, x: 16, X: 16 }

function integer(arg: Arg & { kind: 'int' }, verb: string, spec: Spec): string | undefined {
  if (arg.type === '*big.Int' && verb === 's') return digits(arg.value, 10, verb, spec)
  const base = INT_BASES[verb]
  if (base !== undefined && Object.hasOwn(INT_BASES, verb)) return digits(arg.value, base, verb, spec)
  if (arg.type === '*big.Int') return undefined
  if (verb === 'c') return pad(codePoint(arg.value), { ...spec, zero: false })
  if (verb === 'q') return pad(quoteCharacter(arg.value, spec.plus), { ...spec, zero: false })
  return verb === 'U' ? unicode(arg.value, spec) : undefined
}

function codePoint(n: bigint): string {
  return n >= 0n && n <= 0x10ffffn && !(n >= 0xd800n && n <= 0xdfffn) ? String.fromCodePoint(Number(n)) : '\ufffd'
}

function quoteCharacter(n: bigint, asciiOnly: boolean): string {
  const inner = quoteText(codePoint(n), asciiOnly).slice(1, -1)
  return inner === "'" ? "'\\''" : inner === '\\"' ? `'"'` : `'${inner}'`
}

function unicode(n: bigint, spec: Spec): string {
  const hex = BigInt.asUintN(64, n).toString(16).toUpperCase()
  const shown = `U+${hex.padStart(Math.max(4, spec.precision ?? 0), '0')}`
  return pad(spec.sharp ? `${shown} '${codePoint(n)}'` : shown, { ...spec, zero: false })
}

function digits(n: bigint, base: number, verb: string, spec: Spec): string {
  let body = (n < 0n ? -n : n).toString(base)
  if (verb === 'X') body = body.toUpperCase()
  const sign = n < 0n ? '-' : spec.plus ? '+' : spec.space ? ' ' : ''
  const prefix = intPrefix(verb, body, spec)
  if (spec.precision !== undefined) {
    if (spec.precision === 0 && n === 0n) return ' '.repeat(spec.width ?? 0)
    body = body.padStart(spec.precision, '0')
  } else if (spec.zero && !spec.minus && spec.width !== undefined) {
    body = body.padStart(spec.width - sign.length, '0')
  }
  return pad(sign + prefix + body, { ...spec, zero: false })
}

function intPrefix(verb: string, body: string, spec: Spec): string {
  if (verb === 'O') return '0o'
  if (!spec.sharp) return ''
  if (verb === 'b') return '0b'
  if (verb === 'o') return body.startsWith('0') ? '' : '0'
  return verb === 'x' || verb === 'X' ? `0${verb}` : ''
}

function float(arg: Arg & { kind: 'float' }, verb: string, spec: Spec): string | undefined {
  const body = formatFloat(Math.abs(arg.value), verb, spec.precision, spec.sharp)
  if (body === undefined) return undefined
  const sign = arg.value < 0 ? '-' : spec.plus ? '+' : spec.space ? ' ' : ''
  if (spec.zero && !spec.minus && spec.width !== undefined) return sign + body.padStart(spec.width - sign.length, '0')
  return pad(sign + body, { ...spec, zero: false })
}

function formatText(s: string, verb: string, spec: Spec): string | undefined {
  const cut = spec.precision === undefined ? s : codePoints(s).slice(0, spec.precision).join('')
  if (verb === 'v' && spec.sharp) return pad(quoteText(s), spec)
  if (verb === 'v' || verb === 's') return pad(cut, spec)
  if (verb === 'q') return pad(spec.sharp && isBackquotable(cut) ? `\`${cut}\`` : quoteText(cut, spec.plus), spec)
  if (verb !== 'x' && verb !== 'X') return undefined
  const bytes = textToBytes(s).subarray(0, spec.precision)
  const hex = Array.from(bytes, (b) => b.toString(16).padStart(2, '0'))
  const lead = spec.sharp && bytes.length > 0 ? '0x' : ''
  const joined = spec.space ? hex.map((h) => lead + h).join(' ') : lead + hex.join('')
  return pad(verb === 'X' ? joined.toUpperCase() : joined, spec)
}

function isBackquotable(s: string): boolean {
  return s.isWellFormed() && !/[`\x00-\x08\x0a-\x1f\x7f\ufeff]/.test(s)
}
