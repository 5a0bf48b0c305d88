import { BoundedCache } from '../bounded-cache.ts'
import { BuiltinError } from '../contract.ts'
import { daysFromCivil } from './calendar.ts'

/** A time zone: how far east of UTC it is at an instant, and what Go would call it there. */
export type Zone = {
  offsetSeconds(ns: bigint): number
  abbreviation(ns: bigint): string
}

export const UTC: Zone = { offsetSeconds: () => 0, abbreviation: () => 'UTC' }

const zones = new BoundedCache<Zone>(64)

/** An IANA zone by name. '' and 'UTC' are UTC, and so is 'Local': where the host runs may not change a decision. */
export function zoneNamed(name: string): Zone {
  if (name === '' || name === 'UTC' || name === 'Local') return UTC
  return zones.get(name, makeZone)
}

function makeZone(name: string): Zone {
  // Intl also takes offsets such as "+01:00", which Go does not know
  if (!/^[A-Za-z]/.test(name)) throw new BuiltinError(`unknown time zone ${name}`)
  let format: Intl.DateTimeFormat
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      calendar: 'gregory',
      numberingSystem: 'latn',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
      hourCycle: 'h23',
    })
  } catch (error) {
    throw new BuiltinError(`unknown time zone ${name}`, 'eval_builtin_error', { cause: error })
  }
  const offsetSeconds = (ns: bigint): number => {
    const seconds = Number((ns - (((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n)) / 1_000_000_000n)
    return localSeconds(format, seconds) - seconds
  }
  return { offsetSeconds, abbreviation: (ns) => abbreviation(name, ns, offsetSeconds(ns)) }
}

/** The wall clock of the zone at that second, as if it were UTC. */
function localSeconds(format: Intl.DateTimeFormat, seconds: number): number {
  const parts = new Map(format.formatToParts(seconds * 1000).map((p) => [p.type, p.value]))
  const part = (type: Intl.DateTimeFormatPartTypes): number => Number(parts.get(type) ?? 0)
  const year = parts.get('era') === 'BC' ? 1 - part('year') : part('year')
  return (
    daysFromCivil(year, part('month'), part('day')) * 86_400 +
    part('hour') * 3600 +
    part('minute') * 60 +
    part('second')
  )
}

/** Where Intl knows no letters, the offset stands in: `+03`. */
function abbreviation(name: string, ns: bigint, offset: number): string {
  for (const locale of ['en-US', 'en-GB', 'en-AU', 'en-IN']) {
    const format = new Intl.DateTimeFormat(locale, { timeZone: name, timeZoneName: 'short' })
    const shown = format.formatToParts(Number(ns / 1_000_000n)).find((p) => p.type === 'timeZoneName')?.value
    if (shown !== undefined && /^[A-Z]{3,5}$/.test(shown)) return shown
  }
  const minutes = Math.abs(Math.trunc(offset / 60))
  const rest = minutes % 60
  const hours = Math.floor(minutes / 60)
  const shown = String(hours).padStart(2, '0') + (rest === 0 ? '' : String(rest).padStart(2, '0'))
  return (offset < 0 ? '-' : '+') + shown
}
