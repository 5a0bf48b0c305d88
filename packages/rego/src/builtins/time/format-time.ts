import { civilTime, type CivilTime } from './calendar.ts'
import { MONTHS, parseLayout, WEEKDAYS, type Element } from './layout.ts'
import type { Zone } from './zone.ts'

/** Writes an instant by a Go layout. */
export function formatTime(ns: bigint, zone: Zone, layout: string): string {
  const offset = zone.offsetSeconds(ns)
  const t = civilTime(ns, offset)
  return parseLayout(layout)
    .map((element) => formatElement(element, t, offset, () => zone.abbreviation(ns)))
    .join('')
}

function formatElement(e: Element, t: CivilTime, offset: number, abbreviation: () => string): string {
  switch (e.kind) {
    case 'literal':
      return e.text
    case 'fraction':
      return fraction(t.nanosecond, e.text.charAt(0), e.digits, e.trim)
    case 'longMonth':
      return MONTHS[t.month - 1] ?? ''
    case 'shortMonth':
      return (MONTHS[t.month - 1] ?? '').slice(0, 3)
    case 'month':
      return String(t.month)
    case 'zeroMonth':
      return two(t.month)
    case 'longWeekday':
      return WEEKDAYS[t.weekday] ?? ''
    case 'shortWeekday':
      return (WEEKDAYS[t.weekday] ?? '').slice(0, 3)
    case 'day':
      return String(t.day)
    case 'spaceDay':
      return String(t.day).padStart(2)
    case 'zeroDay':
      return two(t.day)
    case 'spaceYearDay':
      return String(t.yearDay).padStart(3)
    case 'zeroYearDay':
      return String(t.yearDay).padStart(3, '0')
    case 'hour24':
      return two(t.hour)
    case 'hour12':
      return String(t.hour % 12 || 12)
    case 'zeroHour12':
      return two(t.hour % 12 || 12)
    case 'minute':
      return String(t.minute)
    case 'zeroMinute':
      return two(t.minute)
    case 'second':
      return String(t.second)
    case 'zeroSecond':
      return two(t.second)
    case 'longYear':
      return t.year < 0 ? `-${String(-t.year).padStart(4, '0')}` : String(t.year).padStart(4, '0')
    case 'shortYear':
      return two(t.year % 100)
    case 'upperPm':
      return t.hour >= 12 ? 'PM' : 'AM'
    case 'lowerPm':
      return t.hour >= 12 ? 'pm' : 'am'
    case 'zoneName':
      return abbreviation()
    case 'zoneOffset':
      return zoneOffset(e.text, offset)
  }
}

function two(n: number): string {
  return String(n).padStart(2, '0')
}

function fraction(ns: number, separator: string, digits: number, trim: boolean): string {
  const all = String(ns).padStart(9, '0').padEnd(digits, '0').slice(0, digits)
  if (!trim) return separator + all
  const short = all.replace(/0+$/, '')
  return short === '' ? '' : separator + short
}

function zoneOffset(style: string, offset: number): string {
  if (style.startsWith('Z') && offset === 0) return 'Z'
  const colon = style.includes(':') ? ':' : ''
  const size = style.replaceAll(':', '').length
  const abs = Math.abs(offset)
  let out = (offset < 0 ? '-' : '+') + two(Math.floor(abs / 3600))
  if (size > 3) out += colon + two(Math.floor(abs / 60) % 60)
  if (size > 5) out += colon + two(abs % 60)
  return out
}
