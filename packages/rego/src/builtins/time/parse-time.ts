import { BuiltinError } from '../contract.ts'
import { daysInMonth, instantOf } from './calendar.ts'
import { MONTHS, parseLayout, WEEKDAYS, type Element } from './layout.ts'

type Fields = {
  year: number
  month: number | undefined
  day: number | undefined
  yearDay: number | undefined
  hour: number
  minute: number
  second: number
  nanosecond: number
  afternoon: boolean | undefined
  offset: number
}

/** Reads a time by a Go layout. @throws {BuiltinError} with Go's words, where they are known */
export function parseTime(layout: string, value: string): bigint {
  return new TimeParser(layout, value).parse()
}

class TimeParser {
  readonly #layout: string
  readonly #value: string
  readonly #elements: readonly Element[]
  #rest: string
  readonly #f: Fields = {
    year: 0,
    month: undefined,
    day: undefined,
    yearDay: undefined,
    hour: 0,
    minute: 0,
    second: 0,
    nanosecond: 0,
    afternoon: undefined,
    offset: 0,
  }

  constructor(layout: string, value: string) {
    this.#layout = layout
    this.#value = value
    this.#elements = parseLayout(layout)
    this.#rest = value
  }

  parse(): bigint {
    for (const [i, e] of this.#elements.entries()) this.#element(e, this.#elements[i + 1])
    if (this.#rest !== '') throw this.#fail(`: extra text: ${quote(this.#rest)}`)
    return this.#instant()
  }

  #fail(detail: string): BuiltinError {
    const what = detail.startsWith(':') ? '' : ` as ${quote(this.#layout)}: `
    return new BuiltinError(`parsing time ${quote(this.#value)}${what}${detail}`)
  }

  #cannot(e: { readonly text: string }): BuiltinError {
    return this.#fail(`cannot parse ${quote(this.#rest)} as ${quote(e.text)}`)
  }

  #outOfRange(what: string): BuiltinError {
    return this.#fail(`: ${what} out of range`)
  }

  #element(e: Element, next: Element | undefined): void {
    const f = this.#f
    switch (e.kind) {
      case 'literal':
        return this.#literal(e.text)
      case 'fraction':
        return this.#fraction(e)
      case 'longMonth':
      case 'shortMonth':
        f.month = 1 + this.#name(e, MONTHS, e.kind === 'shortMonth')
        return
      case 'longWeekday':
      case 'shortWeekday':
        this.#name(e, WEEKDAYS, e.kind === 'shortWeekday')
        return
      case 'month':
      case 'zeroMonth':
        f.month = this.#number(e, e.kind === 'zeroMonth' ? 2 : 1, 2)
        if (f.month < 1 || f.month > 12) throw this.#outOfRange('month')
        return
      case 'day':
      case 'spaceDay':
      case 'zeroDay':
        if (e.kind === 'spaceDay' && this.#rest.startsWith(' ')) this.#rest = this.#rest.slice(1)
        f.day = this.#number(e, e.kind === 'zeroDay' ? 2 : 1, 2)
        return
      case 'spaceYearDay':
      case 'zeroYearDay':
        if (e.kind === 'spaceYearDay') this.#rest = this.#rest.replace(/^ {1,2}/, (s) => '0'.repeat(s.length))
        f.yearDay = this.#number(e, 3, 3)
        return
      case 'hour24':
        f.hour = this.#ranged(e, 1, 23, 'hour')
        return
      case 'hour12':
      case 'zeroHour12':
        f.hour = this.#ranged(e, e.kind === 'zeroHour12' ? 2 : 1, 12, 'hour')
        return
      case 'minute':
      case 'zeroMinute':
        f.minute = this.#ranged(e, e.kind === 'zeroMinute' ? 2 : 1, 59, 'minute')
        return
      case 'second':
      case 'zeroSecond':
        f.second = this.#ranged(e, e.kind === 'zeroSecond' ? 2 : 1, 59, 'second')
        // a fraction is accepted after the seconds even where the layout has none
        if (next?.kind !== 'fraction') this.#optionalFraction()
        return
      case 'longYear':
        f.year = this.#number(e, 4, 4)
        return
      case 'shortYear': {
        const short = this.#number(e, 2, 2)
        f.year = short >= 69 ? 1900 + short : 2000 + short
        return
      }
      case 'upperPm':
      case 'lowerPm':
        return this.#halfDay(e)
      case 'zoneName':
        return this.#zoneName(e)
      case 'zoneOffset':
        return this.#zoneOffset(e)
    }
  }

  /** A run of spaces in the layout fits any run of spaces; the rest must be the same. */
  #literal(text: string): void {
    for (let t = text; t !== '';) {
      if (t.startsWith(' ')) {
        if (this.#rest !== '' && !this.#rest.startsWith(' ')) throw this.#cannot({ text })
        t = t.replace(/^ +/, '')
        this.#rest = this.#rest.replace(/^ +/, '')
      } else if (this.#rest !== '' && this.#rest.startsWith(t.charAt(0))) {
        t = t.slice(1)
        this.#rest = this.#rest.slice(1)
      } else {
        throw this.#cannot({ text })
      }
    }
  }

  #number(e: Element, least: number, most: number): number {
    const digits = /^\d*/.exec(this.#rest.slice(0, most))?.[0] ?? ''
    if (digits.length < least) throw this.#cannot(e)
    this.#rest = this.#rest.slice(digits.length)
    return Number(digits)
  }

  #ranged(e: Element, least: number, max: number, what: string): number {
    const n = this.#number(e, least, 2)
    if (n > max) throw this.#outOfRange(what)
    return n
  }

  #name(e: Element, names: readonly string[], short: boolean): number {
    const lower = this.#rest.toLowerCase()
    const at = names.findIndex((name) => lower.startsWith((short ? name.slice(0, 3) : name).toLowerCase()))
    const name = names[at]
    if (name === undefined) throw this.#cannot(e)
    this.#rest = this.#rest.slice(short ? 3 : name.length)
    return at
  }

  #fraction(e: Element & { kind: 'fraction' }): void {
    if (e.trim) return this.#optionalFraction()
    const m = new RegExp(`^[.,](\\d{${Math.min(e.digits, 100)}})`).exec(this.#rest)
    if (m === null) throw this.#cannot(e)
    this.#takeFraction(m)
  }

  #optionalFraction(): void {
    const m = /^[.,](\d+)/.exec(this.#rest)
    if (m !== null) this.#takeFraction(m)
  }

  #takeFraction(m: RegExpExecArray): void {
    this.#f.nanosecond = Number((m[1] ?? '').padEnd(9, '0').slice(0, 9))
    this.#rest = this.#rest.slice(m[0].length)
  }

  #halfDay(e: Element): void {
    const two = this.#rest.slice(0, 2)
    const [am, pm] = e.kind === 'upperPm' ? ['AM', 'PM'] : ['am', 'pm']
    if (two !== am && two !== pm) throw this.#cannot(e)
    this.#f.afternoon = two === pm
    this.#rest = this.#rest.slice(2)
  }

  /** A name without offset means UTC; `GMT+3` says its own. */
  #zoneName(e: Element): void {
    const m = /^(?:GMT([+-]\d{1,2})|ChST|MeST|WITA|[A-Z]{3,5})/.exec(this.#rest)
    if (m === null) throw this.#cannot(e)
    if (m[1] !== undefined) this.#f.offset = Number(m[1]) * 3600
    this.#rest = this.#rest.slice(m[0].length)
  }

  #zoneOffset(e: Element): void {
    if (e.text.startsWith('Z') && this.#rest.startsWith('Z')) {
      this.#rest = this.#rest.slice(1)
      return
    }
    const shape = e.text.slice(1).replaceAll(/\d\d/g, String.raw`(\d\d)`)
    const m = new RegExp(`^([+-])${shape}`).exec(this.#rest)
    if (m === null) throw this.#cannot(e)
    const [all, sign, hours = '0', minutes = '0', seconds = '0'] = m
    if (Number(hours) > 24) throw this.#outOfRange('time zone offset hour')
    if (Number(minutes) >= 60) throw this.#outOfRange('time zone offset minute')
    if (Number(seconds) >= 60) throw this.#outOfRange('time zone offset second')
    const total = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)
    this.#f.offset = sign === '-' ? -total : total
    this.#rest = this.#rest.slice(all.length)
  }

  #instant(): bigint {
    const f = this.#f
    let { hour } = f
    if (f.afternoon === true && hour < 12) hour += 12
    else if (f.afternoon === false && hour === 12) hour = 0
    const clock = { hour, minute: f.minute, second: f.second, nanosecond: f.nanosecond }
    if (f.yearDay !== undefined) return this.#fromYearDay(f.yearDay, clock)
    const month = f.month ?? 1
    const day = f.day ?? 1
    if (day < 1 || day > daysInMonth(f.year, month)) throw this.#outOfRange('day')
    return instantOf(f.year, month, day, clock, f.offset)
  }

  #fromYearDay(yearDay: number, clock: { hour: number; minute: number; second: number; nanosecond: number }): bigint {
    const { year, month, day, offset } = this.#f
    const leap = daysInMonth(year, 2) === 29
    if (yearDay < 1 || yearDay > (leap ? 366 : 365)) throw this.#outOfRange('day-of-year')
    const instant = instantOf(year, 1, yearDay, clock, offset)
    if (month !== undefined && instantOf(year, month, day ?? 1, clock, offset) !== instant) {
      throw this.#fail(': day-of-year does not match month')
    }
    return instant
  }
}

function quote(s: string): string {
  return `"${s.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}
