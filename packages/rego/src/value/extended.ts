import { MAX_INTEGER_DIGITS, numberFromText, numberToBigInt, numberToDecimal, type NumberValue } from './number.ts'

/**
 * Arithmetic on numbers that are not both integers: binary floats with a mantissa of 64 bits, rounded to nearest even,
 * as OPA computes. Value = mantissa × 2^exponent; the mantissa is zero or has exactly 64 bits, apart from its sign.
 */
type Extended = { readonly mantissa: bigint; readonly exponent: number }

const BITS = 64
const ZERO: Extended = { mantissa: 0n, exponent: 0 }

/** The operation has no result that can be computed within bounds. */
export class NumberRangeError extends Error {
  override readonly name = 'NumberRangeError'
}

function bitLength(n: bigint): number {
  return n.toString(16).length * 4 - Math.clz32(Number.parseInt(n.toString(16).slice(0, 1), 16)) + 28
}

/** Rounds |n| × 2^exponent to 64 bits; `inexact` says that bits below were already cut. */
function round(n: bigint, exponent: number, inexact = false): Extended {
  if (n === 0n) return ZERO
  const negative = n < 0n
  let m = negative ? -n : n
  const extra = bitLength(m) - BITS
  let e = exponent
  if (extra > 0) {
    const shift = BigInt(extra)
    const rest = m & ((1n << shift) - 1n)
    const half = 1n << (shift - 1n)
    m >>= shift
    e += extra
    if (rest > half || (rest === half && (inexact || (m & 1n) === 1n))) m += 1n
    if (m >> 64n !== 0n) {
      m >>= 1n
      e += 1
    }
  } else if (extra < 0) {
    m <<= BigInt(-extra)
    e += extra
  }
  return { mantissa: negative ? -m : m, exponent: e }
}

/** Rounds n / d; d > 0. */
function divide(n: bigint, d: bigint, exponent = 0): Extended {
  if (n === 0n) return ZERO
  const negative = n < 0n
  const a = negative ? -n : n
  // at least two bits more than needed, so that the remainder only matters as "not exact"
  const shift = Math.max(0, BITS + 2 - (bitLength(a) - bitLength(d)))
  const scaled = a << BigInt(shift)
  const quotient = scaled / d
  const r = round(quotient, exponent - shift, scaled % d !== 0n)
  return negative ? { mantissa: -r.mantissa, exponent: r.exponent } : r
}

function fromNumber(v: NumberValue): Extended {
  const integer = numberToBigInt(v)
  if (integer !== undefined) return round(integer, 0)
  const { negative, digits, exponent } = numberToDecimal(v)
  const magnitude = digits.length + Math.abs(exponent)
  if (magnitude > MAX_INTEGER_DIGITS) throw new NumberRangeError('number out of range')
  const n = BigInt((negative ? '-' : '') + digits)
  return exponent >= 0 ? round(n * 10n ** BigInt(exponent), 0) : divide(n, 10n ** BigInt(-exponent))
}

function add(a: Extended, b: Extended): Extended {
  if (a.mantissa === 0n) return b
  if (b.mantissa === 0n) return a
  const [high, low] = a.exponent >= b.exponent ? [a, b] : [b, a]
  const distance = high.exponent - low.exponent
  // past this distance the smaller one cannot even decide a tie
  if (distance > 2 * BITS + 2) return high
  return round((high.mantissa << BigInt(distance)) + low.mantissa, low.exponent)
}

/** The shortest decimal that reads back as the same 64-bit float, written as Go writes it. */
function toNumber({ mantissa, exponent }: Extended): NumberValue {
  if (mantissa === 0n) return 0
  const negative = mantissa < 0n
  const m = negative ? -mantissa : mantissa
  // exact decimals of the value and of the middles towards its neighbours, over one common power of ten
  const halves = exponent - 1
  const scale = halves >= 0 ? 1n << BigInt(halves) : 5n ** BigInt(-halves)
  const power = halves >= 0 ? 0 : halves
  const value = (2n * m * scale).toString()
  const width = value.length + 1
  const lower = ((2n * m - 1n) * scale).toString().padStart(width, '0')
  const upper = ((2n * m + 1n) * scale).toString().padStart(width, '0')
  const digits = shortest(value.padStart(width, '0'), lower, upper, (m & 1n) === 0n)
  // digits are the leading ones of `width` places over 10^power
  const trimmed = digits.replace(/^0+/, '')
  const point = width + power - (digits.length - trimmed.length)
  const body = layOut(trimmed.replace(/0+$/, ''), point, isInteger(m, exponent))
  const number = numberFromText(negative ? `-${body}` : body)
  if (number === undefined) throw new NumberRangeError('number out of range')
  return number
}

function isInteger(m: bigint, exponent: number): boolean {
  return exponent >= 0 || (exponent >= -BITS && (m & ((1n << BigInt(-exponent)) - 1n)) === 0n)
}

/** Leading digits of `value`, as few as stay between the bounds (all three of equal width); bounds count if `inclusive`. */
function shortest(value: string, lower: string, upper: string, inclusive: boolean): string {
  for (let n = 1; n < value.length; n++) {
    const down = value.slice(0, n)
    const rest = value.slice(n)
    const zeros = '0'.repeat(rest.length)
    const up = (BigInt(down) + 1n).toString().padStart(n, '0')
    const downFits = inclusive ? down + zeros >= lower : down + zeros > lower
    const upFits = inclusive ? up + zeros <= upper : up + zeros < upper
    if (downFits && upFits) return nearer(down, up, rest)
    if (downFits) return down
    if (upFits) return up
  }
  return value
}

function nearer(down: string, up: string, rest: string): string {
  const half = `5${'0'.repeat(rest.length - 1)}`
  if (rest !== half) return rest < half ? down : up
  return Number(down.at(-1)) % 2 === 0 ? down : up
}

/** Go's %g with the fewest digits; integers without exponent. `point` digits stand before the decimal point. */
function layOut(digits: string, point: number, integer: boolean): string {
  if (integer) return digits.padEnd(point, '0')
  const exponent = point - 1
  if (exponent >= -4 && exponent < 6) {
    return point <= 0 ? `0.${'0'.repeat(-point)}${digits}` : `${digits.slice(0, point)}.${digits.slice(point)}`
  }
  const sign = exponent < 0 ? '-' : '+'
  const tail = Math.abs(exponent).toString().padStart(2, '0')
  return `${digits.slice(0, 1)}${digits.length > 1 ? `.${digits.slice(1)}` : ''}e${sign}${tail}`
}

/** a + b in 64-bit floats. @throws {NumberRangeError} */
export function addExtended(a: NumberValue, b: NumberValue): NumberValue {
  return toNumber(add(fromNumber(a), fromNumber(b)))
}

/** a - b in 64-bit floats. @throws {NumberRangeError} */
export function subtractExtended(a: NumberValue, b: NumberValue): NumberValue {
  const { mantissa, exponent } = fromNumber(b)
  return toNumber(add(fromNumber(a), { mantissa: -mantissa, exponent }))
}

/** a × b in 64-bit floats. @throws {NumberRangeError} */
export function multiplyExtended(a: NumberValue, b: NumberValue): NumberValue {
  const x = fromNumber(a)
  const y = fromNumber(b)
  return toNumber(round(x.mantissa * y.mantissa, x.exponent + y.exponent))
}

/** a / b in 64-bit floats; undefined when b is zero. @throws {NumberRangeError} */
export function divideExtended(a: NumberValue, b: NumberValue): NumberValue | undefined {
  const x = fromNumber(a)
  const y = fromNumber(b)
  if (y.mantissa === 0n) return undefined
  const sign = y.mantissa < 0n ? -1n : 1n
  return toNumber(divide(x.mantissa * sign, y.mantissa * sign, x.exponent - y.exponent))
}

/** The value as a 64-bit float, cut or rounded to an integer. @throws {NumberRangeError} */
export function roundExtended(v: NumberValue, how: 'floor' | 'ceil' | 'half-away'): bigint {
  const { mantissa, exponent } = fromNumber(v)
  if (exponent >= 0) return mantissa << BigInt(exponent)
  const negative = mantissa < 0n
  const m = negative ? -mantissa : mantissa
  const shift = BigInt(-exponent)
  const whole = m >> shift
  const rest = m & ((1n << shift) - 1n)
  const awayFromZero = how === 'half-away' ? rest >> (shift - 1n) === 1n : rest !== 0n && (how === 'ceil') === !negative
  const magnitude = awayFromZero ? whole + 1n : whole
  return negative ? -magnitude : magnitude
}
