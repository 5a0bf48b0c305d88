import { BuiltinError } from '../contract.ts'

const NS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
  d: 86_400_000_000_000n,
  w: 604_800_000_000_000n,
  y: 31_536_000_000_000_000n,
}

const MAX = (1n << 63n) - 1n
const PART = /(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h|d|w|y)/y

/** Nanoseconds of a duration such as `1h15m30.5s`; days have 24 hours, years 365 days. */
export function parseDuration(text: string): bigint {
  const sign = text.startsWith('-') ? -1n : 1n
  const body = text.replace(/^[+-]/, '')
  if (body === '0') return 0n
  let total = 0n
  let at = 0
  while (at < body.length) {
    PART.lastIndex = at
    const m = PART.exec(body)
    const [all = '', whole = '', fraction = '', unit = ''] = m ?? []
    const scale = NS[unit]
    if (scale === undefined || whole.length + fraction.length === 0) break
    // digits past what a nanosecond can show are cut, as Go does
    const places = fraction.slice(0, 18)
    total +=
      BigInt(whole === '' ? '0' : whole) * scale +
      (BigInt(places === '' ? '0' : places) * scale) / 10n ** BigInt(places.length)
    if (total > MAX) break
    at += all.length
  }
  if (at === 0 || at < body.length || total > MAX) {
    throw new BuiltinError(`time: invalid duration "${text.slice(0, 100)}"`)
  }
  return sign * total
}
