/** Doubles in the forms of Go's strconv: exact, ties to even, exponents of at least two digits. */

/** Exact decimal digits of a finite double >= 0: value = 0.digits × 10^point. */
function exactDigits(v: number): { digits: string; point: number } {
  if (v === 0) return { digits: '', point: 0 }
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, v)
  const bits = view.getBigUint64(0)
  const biased = Number((bits >> 52n) & 0x7ffn)
  const fraction = bits & 0xfffffffffffffn
  const mantissa = biased === 0 ? fraction : fraction | (1n << 52n)
  const exponent = Math.max(biased, 1) - 1075
  const scaled = exponent >= 0 ? mantissa << BigInt(exponent) : mantissa * 5n ** BigInt(-exponent)
  const digits = scaled.toString()
  return { digits: digits.replace(/0+$/, ''), point: digits.length + Math.min(0, exponent) }
}

/** The digits of the shortest text that reads back as `v`. */
function shortestDigits(v: number): { digits: string; point: number } {
  const [mantissa = '', exponent = '0'] = v.toExponential().split('e')
  const digits = mantissa.replace('.', '').replace(/0+$/, '')
  return { digits, point: digits === '' ? 0 : Number(exponent) + 1 }
}

/** Rounds to `keep` leading digits, ties to even. */
function roundTo(
  { digits, point }: { digits: string; point: number },
  keep: number,
): { digits: string; point: number } {
  if (keep >= digits.length) return { digits, point }
  if (keep < 0) return { digits: '', point: 0 }
  const head = digits.slice(0, keep)
  const tail = digits.slice(keep)
  const up = tail.startsWith('5') && /^50*$/.test(tail) ? Number(head.at(-1) ?? '0') % 2 === 1 : tail >= '5'
  if (!up) return { digits: head.replace(/0+$/, ''), point: /[1-9]/.test(head) ? point : 0 }
  const raised = (BigInt(head === '' ? '0' : head) + 1n).toString().padStart(keep, '0')
  return { digits: raised.replace(/0+$/, ''), point: point + (raised.length - keep) }
}

function exponential(d: { digits: string; point: number }, precision: number, letter: string): string {
  const exponent = d.digits === '' ? 0 : d.point - 1
  const shown = d.digits.padEnd(precision + 1, '0')
  const fraction = precision > 0 ? `.${shown.slice(1, precision + 1)}` : ''
  const tail = Math.abs(exponent).toString().padStart(2, '0')
  return `${shown.slice(0, 1)}${fraction}${letter}${exponent < 0 ? '-' : '+'}${tail}`
}

function fixed(d: { digits: string; point: number }, precision: number): string {
  const whole = d.point > 0 ? d.digits.slice(0, d.point).padEnd(d.point, '0') : '0'
  if (precision <= 0) return whole
  const below = d.point > 0 ? d.digits.slice(d.point) : '0'.repeat(-d.point) + d.digits
  return `${whole}.${below.padEnd(precision, '0').slice(0, precision)}`
}

/** `precision` digits, or as few as needed; the exponent form outside [1e-4, 10^precision). */
function general(v: number, precision: number | undefined, letter: string, sharp: boolean): string {
  const d = precision === undefined ? shortestDigits(v) : roundTo(exactDigits(v), Math.max(precision, 1))
  const wanted = precision === undefined ? 6 : Math.max(precision, 1)
  const limit =
    precision !== undefined && wanted > d.digits.length && d.digits.length >= d.point ? d.digits.length : wanted
  const exponent = d.point - 1
  const keep = sharp ? Math.max(wanted, d.digits.length) : d.digits.length
  if (d.digits !== '' && (exponent < -4 || exponent >= limit)) {
    return exponential(d, Math.max(keep - 1, 0), letter)
  }
  return fixed(d, Math.max(keep - d.point, 0))
}

/** A double >= 0 by a Go verb; undefined for verbs that floats do not have. */
export function formatFloat(v: number, verb: string, precision: number | undefined, sharp = false): string | undefined {
  switch (verb) {
    case 'e':
    case 'E': {
      const places = precision ?? 6
      return exponential(roundTo(exactDigits(v), places + 1), places, verb)
    }
    case 'f':
    case 'F': {
      const places = precision ?? 6
      const exact = exactDigits(v)
      return fixed(roundTo(exact, exact.point + places), places)
    }
    case 'g':
    case 'v':
      return general(v, precision, 'e', sharp)
    case 'G':
      return general(v, precision, 'E', sharp)
    default:
      return undefined
  }
}
