/** The proleptic Gregorian calendar on whole days and nanoseconds; no time zones. */

export const NS_PER_SECOND = 1_000_000_000n
const SECONDS_PER_DAY = 86_400

export type CivilTime = {
  readonly year: number
  /** 1 to 12. */
  readonly month: number
  readonly day: number
  readonly hour: number
  readonly minute: number
  readonly second: number
  /** 0 to 999,999,999. */
  readonly nanosecond: number
  /** 0 is Sunday. */
  readonly weekday: number
  /** 1 to 366. */
  readonly yearDay: number
}

/** Days from 1970-01-01; month and day may lie outside their ranges and carry over. */
export function daysFromCivil(year: number, month: number, day: number): number {
  const months = year * 12 + (month - 1)
  const y = Math.floor(months / 12)
  const m = (((months % 12) + 12) % 12) + 1
  // March-based years make the leap day the last day
  const shifted = m <= 2 ? y - 1 : y
  const era = Math.floor(shifted / 400)
  const yearOfEra = shifted - era * 400
  const dayOfYear = Math.floor((153 * (m + (m > 2 ? -3 : 9)) + 2) / 5)
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468 + (day - 1)
}

function civilFromDays(days: number): { year: number; month: number; day: number } {
  const z = days + 719_468
  const era = Math.floor(z / 146_097)
  const dayOfEra = z - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const month = shiftedMonth + (shiftedMonth < 10 ? 3 : -9)
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1,
  }
}

/** The civil time `offsetSeconds` east of UTC at an instant in nanoseconds. */
export function civilTime(ns: bigint, offsetSeconds: number): CivilTime {
  const nanosecond = Number(((ns % NS_PER_SECOND) + NS_PER_SECOND) % NS_PER_SECOND)
  const seconds = Number((ns - BigInt(nanosecond)) / NS_PER_SECOND) + offsetSeconds
  const days = Math.floor(seconds / SECONDS_PER_DAY)
  const ofDay = seconds - days * SECONDS_PER_DAY
  const date = civilFromDays(days)
  return {
    ...date,
    hour: Math.floor(ofDay / 3600),
    minute: Math.floor(ofDay / 60) % 60,
    second: ofDay % 60,
    nanosecond,
    weekday: (((days + 4) % 7) + 7) % 7,
    yearDay: days - daysFromCivil(date.year, 1, 1) + 1,
  }
}

export type Clock = {
  readonly hour: number
  readonly minute: number
  readonly second: number
  readonly nanosecond: number
}

/** The instant of a civil time; every part may lie outside its range. */
export function instantOf(year: number, month: number, day: number, clock: Clock, offsetSeconds: number): bigint {
  const seconds =
    daysFromCivil(year, month, day) * SECONDS_PER_DAY +
    clock.hour * 3600 +
    clock.minute * 60 +
    clock.second -
    offsetSeconds
  return BigInt(seconds) * NS_PER_SECOND + BigInt(clock.nanosecond)
}

export function daysInMonth(year: number, month: number): number {
  return daysFromCivil(year, month + 1, 1) - daysFromCivil(year, month, 1)
}
