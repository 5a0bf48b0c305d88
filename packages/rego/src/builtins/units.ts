import { numberFromBigInt, numberFromText, type Value } from '../value/index.ts'
import { BuiltinError, type Builtin } from './contract.ts'
import { define, O } from './define.ts'
import { T } from './types.ts'

/** Exact fraction n / d. */
type Fraction = { readonly n: bigint; readonly d: bigint }

const DECIMAL = ['k', 'm', 'g', 't', 'p', 'e'] as const
const FACTORS: ReadonlyMap<string, bigint> = new Map([
  ['', 1n],
  ...DECIMAL.flatMap((letter, i): Array<[string, bigint]> => {
    const power = BigInt(i + 1)
    return [
      [letter, 1000n ** power],
      [`${letter}i`, 1024n ** power],
    ]
  }),
])

/** Exponents past this are refused before any power is computed. */
const MAX_EXPONENT = 1000

/** Where the number ends and the unit begins; an `e` belongs to the number only before a digit or sign. */
function cut(text: string): readonly [string, string] {
  const m = /^(?:[\d.+-]|[eE](?=[\d+-])[+-]?)*/.exec(text)
  const end = m?.[0].length ?? 0
  return [text.slice(0, end), text.slice(end)]
}

function parseAmount(name: string, what: string, text: string): Fraction {
  const m = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text)
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = m ?? []
  if (m === null || whole + fraction === '') {
    throw new BuiltinError(`${name}: could not parse ${what} to a number`)
  }
  if (exponent.length > 6 || Math.abs(Number(exponent)) > MAX_EXPONENT)
    throw new BuiltinError(`${name}: exponent too large`)
  const power = Number(exponent) - fraction.length
  const digits = BigInt(sign + whole + fraction)
  return power >= 0 ? { n: digits * 10n ** BigInt(power), d: 1n } : { n: digits, d: 10n ** BigInt(-power) }
}

function split(name: string, what: string, raw: string): readonly [Fraction, string] {
  const text = raw.replaceAll('"', '')
  if (text.includes(' ')) throw new BuiltinError(`${name}: spaces not allowed in resource strings`)
  const [amount, unit] = cut(text)
  if (amount === '') throw new BuiltinError(`${name}: no ${what} provided`)
  return [parseAmount(name, what, amount), unit]
}

function scale({ n, d }: Fraction, factor: bigint): Fraction {
  return { n: n * factor, d }
}

function parse(raw: string): Value {
  const [amount, unit] = split('units.parse', 'amount', raw)
  // alone, a small m means a thousandth and a large one a million
  const { n, d } =
    unit === 'm' ? { n: amount.n, d: amount.d * 1000n } : scale(amount, factorOf('units.parse: unit', unit))
  if (n % d === 0n) return numberFromBigInt(n / d)
  return tenPlaces(n, d)
}

function factorOf(what: string, unit: string): bigint {
  const factor = FACTORS.get(unit.toLowerCase())
  if (factor === undefined) throw new BuiltinError(`${what} ${unit} not recognized`)
  return factor
}

/** As OPA prints fractions: ten places, rounded half away from zero. */
function tenPlaces(n: bigint, d: bigint): Value {
  const negative = n < 0n
  const rounded = ((negative ? -n : n) * 2n * 10n ** 10n + d) / (2n * d)
  const digits = rounded.toString().padStart(11, '0')
  const text = `${negative ? '-' : ''}${digits.slice(0, -10)}.${digits.slice(-10)}`
  return numberFromText(text) ?? 0
}

function parseBytes(raw: string): Value {
  const name = 'units.parse_bytes'
  const [amount, unit] = split(name, 'byte amount', raw.toLowerCase())
  const { n, d } = scale(amount, factorOf(`${name}: byte unit`, unit.replace(/b$/, '')))
  return numberFromBigInt(n / d)
}

export const UNITS: readonly Builtin[] = [
  define('units.parse', [O.string], T.number, (_, s) => parse(s)),
  define('units.parse_bytes', [O.string], T.number, (_, s) => parseBytes(s)),
]
