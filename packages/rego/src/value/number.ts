/**
 * Rego numbers. A number is what its decimal text says, exactly; it has one of three forms:
 *
 * - `number`: a safe integer, or a fraction whose shortest text (`String(n)`) is the text it came from. Such a
 *   `number` stands for that decimal, not for the binary double: 0.1 is one tenth.
 * - `bigint`: an integer outside the safe range, up to 1000 digits, written plainly.
 * - `BoxedNumber`: everything else, with its text: `1.0`, `1e3`, `-0`, `1e-7` with other spelling, long fractions.
 *
 * A `number` and a `bigint` are therefore never equal, and native `===`, `<`, `Set` and `Map` are right on those two.
 */
export type NumberValue = number | bigint | BoxedNumber

const MAX_BIGINT_DIGITS = 1000
/** Integers with more digits are kept and compared, but nothing is computed with them. */
export const MAX_INTEGER_DIGITS = 10_000
const MAX_BIGINT = 10n ** BigInt(MAX_BIGINT_DIGITS)
const SAFE = BigInt(Number.MAX_SAFE_INTEGER)

/**
 * A number whose text differs from the text that its value would get. Equal to any number with the same `key`:
 * the value as `number` or `bigint` where one of them can hold it, else `<digits>e<exponent>` without spare zeros.
 */
export class BoxedNumber {
  readonly text: string
  readonly key: number | bigint | string
  constructor(text: string, key: number | bigint | string) {
    this.text = text
    this.key = key
  }
}

/** Decimal digits and power of ten: value = digits × 10^exponent. Zero has the digits '' and exponent 0. */
export type Decimal = { readonly negative: boolean; readonly digits: string; readonly exponent: number }

const NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/

/** Takes a JSON number literal apart; undefined when `text` is not one, or its exponent has more than 12 digits. */
export function parseDecimal(text: string): Decimal | undefined {
  const m = NUMBER.exec(text)
  if (m === null) return undefined
  const [, sign, whole = '', fraction = '', exponentText = '0'] = m
  if (exponentText.length > 12) return undefined
  const all = whole + fraction
  let start = 0
  while (start < all.length && all.charCodeAt(start) === 48) start++
  let end = all.length
  while (end > start && all.charCodeAt(end - 1) === 48) end--
  if (start === end) return { negative: false, digits: '', exponent: 0 }
  const exponent = Number(exponentText) - fraction.length + (all.length - end)
  return { negative: sign === '-', digits: all.slice(start, end), exponent }
}

function keyOf(d: Decimal): number | bigint | string {
  if (d.digits === '') return 0
  const sign = d.negative ? '-' : ''
  if (d.exponent >= 0) {
    if (d.digits.length + d.exponent > MAX_BIGINT_DIGITS) return `${sign}${d.digits}e${d.exponent}`
    const n = BigInt(sign + d.digits + '0'.repeat(d.exponent))
    return n >= -SAFE && n <= SAFE ? Number(n) : n
  }
  const n = Number(`${sign}${d.digits}e${d.exponent}`)
  if (Number.isFinite(n) && !Number.isInteger(n)) {
    const back = parseDecimal(String(n))
    if (back !== undefined && back.digits === d.digits && back.exponent === d.exponent) return n
  }
  return `${sign}${d.digits}e${d.exponent}`
}

/**
 * The number that a JSON number literal denotes; keeps the text.
 *
 * @returns undefined when `text` is not a JSON number (leading zeros pass: lexer and JSON reader refuse them).
 */
export function numberFromText(text: string): NumberValue | undefined {
  const n = Number(text)
  if (Number.isSafeInteger(n) || !Number.isInteger(n)) {
    if (String(n) === text && Number.isFinite(n)) return n
  } else if (/^-?[1-9]\d*$/.test(text) && text.length <= MAX_BIGINT_DIGITS) {
    return BigInt(text)
  }
  const d = parseDecimal(text)
  if (d === undefined) return undefined
  const key = keyOf(d)
  return typeof key !== 'string' && String(key) === text ? key : new BoxedNumber(text, key)
}

/** The number with this integer value. */
export function numberFromBigInt(n: bigint): NumberValue {
  if (n >= -SAFE && n <= SAFE) return Number(n)
  if (n > -MAX_BIGINT && n < MAX_BIGINT) return n
  const text = n.toString()
  const d = parseDecimal(text)
  return new BoxedNumber(text, d === undefined ? text : keyOf(d))
}

/** True for all three forms. */
export function isNumber(v: unknown): v is NumberValue {
  return typeof v === 'number' || typeof v === 'bigint' || v instanceof BoxedNumber
}

/** The literal text: `1.0` stays `1.0`. */
export function numberText(v: NumberValue): string {
  return v instanceof BoxedNumber ? v.text : String(v)
}

/** `number` or `bigint` where one of them holds the value exactly, else a canonical text. Equal numbers have equal keys. */
export function numberKey(v: NumberValue): number | bigint | string {
  return v instanceof BoxedNumber ? v.key : v
}

/** The value as decimal digits, exact. */
export function numberToDecimal(v: NumberValue): Decimal {
  const d = parseDecimal(String(numberKey(v)))
  if (d === undefined) throw new Error('a number lost its text')
  return d
}

/** The exact integer value, also of `1.0` and `1e3`; undefined for fractions and for integers of over 10,000 digits. */
export function numberToBigInt(v: NumberValue): bigint | undefined {
  if (typeof v === 'number') return Number.isInteger(v) ? BigInt(v) : undefined
  if (typeof v === 'bigint') return v
  const { key } = v
  if (typeof key === 'bigint') return key
  if (typeof key === 'number') return Number.isInteger(key) ? BigInt(key) : undefined
  const d = numberToDecimal(v)
  if (d.exponent < 0 || d.digits.length + d.exponent > MAX_INTEGER_DIGITS) return undefined
  return BigInt((d.negative ? '-' : '') + d.digits + '0'.repeat(d.exponent))
}

/** The integer value if it is a safe one (`1.0` gives 1), else undefined. For indices, counts, options. */
export function numberToSafeInteger(v: NumberValue): number | undefined {
  const key = numberKey(v)
  return typeof key === 'number' && Number.isSafeInteger(key) ? key : undefined
}

/** The nearest double; infinite beyond its range. Only for printing and host interfaces. */
export function numberToDouble(v: NumberValue): number {
  return Number(numberText(v))
}

/** Order by exact value. */
export function compareNumbers(a: NumberValue, b: NumberValue): -1 | 0 | 1 {
  const x = numberKey(a)
  const y = numberKey(b)
  if (typeof x !== 'string' && typeof y !== 'string') return x < y ? -1 : x > y ? 1 : 0
  if (x === y) return 0
  return compareDecimals(numberToDecimal(a), numberToDecimal(b))
}

function compareDecimals(a: Decimal, b: Decimal): -1 | 0 | 1 {
  const signA = a.digits === '' ? 0 : a.negative ? -1 : 1
  const signB = b.digits === '' ? 0 : b.negative ? -1 : 1
  if (signA !== signB) return signA < signB ? -1 : 1
  if (signA === 0) return 0
  const larger = signA > 0 ? 1 : -1
  const magnitudeA = a.digits.length + a.exponent
  const magnitudeB = b.digits.length + b.exponent
  if (magnitudeA !== magnitudeB) return magnitudeA > magnitudeB ? larger : (-larger as -1 | 1)
  if (a.digits === b.digits) return 0
  // same magnitude and no trailing zeros: the digit strings order as texts
  return a.digits > b.digits ? larger : (-larger as -1 | 1)
}
