import { BoundedCache } from '../bounded-cache.ts'

/** Go's time layouts: the reference time Mon Jan 2 15:04:05 MST 2006, written the way the user wants it. */

export type Element =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'fraction'; readonly text: string; readonly digits: number; readonly trim: boolean }
  | { readonly kind: Field; readonly text: string }

type Field =
  | 'longMonth'
  | 'shortMonth'
  | 'month'
  | 'zeroMonth'
  | 'longWeekday'
  | 'shortWeekday'
  | 'day'
  | 'spaceDay'
  | 'zeroDay'
  | 'spaceYearDay'
  | 'zeroYearDay'
  | 'hour24'
  | 'hour12'
  | 'zeroHour12'
  | 'minute'
  | 'zeroMinute'
  | 'second'
  | 'zeroSecond'
  | 'longYear'
  | 'shortYear'
  | 'upperPm'
  | 'lowerPm'
  | 'zoneName'
  | 'zoneOffset'

/** In order of trial: at one place the first that fits is meant. */
const FIELDS: ReadonlyArray<readonly [RegExp, Field]> = [
  [/January/y, 'longMonth'],
  [/Jan(?![a-z])/y, 'shortMonth'],
  [/Monday/y, 'longWeekday'],
  [/Mon(?![a-z])/y, 'shortWeekday'],
  [/MST/y, 'zoneName'],
  [/002/y, 'zeroYearDay'],
  [/01/y, 'zeroMonth'],
  [/02/y, 'zeroDay'],
  [/03/y, 'zeroHour12'],
  [/04/y, 'zeroMinute'],
  [/05/y, 'zeroSecond'],
  [/06/y, 'shortYear'],
  [/15/y, 'hour24'],
  [/1/y, 'month'],
  [/2006/y, 'longYear'],
  [/2/y, 'day'],
  [/__2/y, 'spaceYearDay'],
  [/_2(?!006)/y, 'spaceDay'],
  [/3/y, 'hour12'],
  [/4/y, 'minute'],
  [/5/y, 'second'],
  [/PM/y, 'upperPm'],
  [/pm/y, 'lowerPm'],
  [/[-Z]07(?:0000|:00:00|00|:00)?/y, 'zoneOffset'],
]

const FRACTION = /[.,](0+|9+)(?!\d)/y

/** Layouts that OPA knows by name. */
export const NAMED_LAYOUTS: ReadonlyMap<string, string> = new Map([
  ['ANSIC', 'Mon Jan _2 15:04:05 2006'],
  ['UnixDate', 'Mon Jan _2 15:04:05 MST 2006'],
  ['RubyDate', 'Mon Jan 02 15:04:05 -0700 2006'],
  ['RFC822', '02 Jan 06 15:04 MST'],
  ['RFC822Z', '02 Jan 06 15:04 -0700'],
  ['RFC850', 'Monday, 02-Jan-06 15:04:05 MST'],
  ['RFC1123', 'Mon, 02 Jan 2006 15:04:05 MST'],
  ['RFC1123Z', 'Mon, 02 Jan 2006 15:04:05 -0700'],
  ['RFC3339', '2006-01-02T15:04:05Z07:00'],
  ['RFC3339Nano', '2006-01-02T15:04:05.999999999Z07:00'],
])

const layouts = new BoundedCache<readonly Element[]>(64)

export function parseLayout(layout: string): readonly Element[] {
  return layouts.get(layout, readLayout)
}

function readLayout(layout: string): readonly Element[] {
  const out: Element[] = []
  let literal = ''
  const flush = (): void => {
    if (literal !== '') out.push({ kind: 'literal', text: literal })
    literal = ''
  }
  for (let i = 0; i < layout.length;) {
    const element = fractionAt(layout, i) ?? fieldAt(layout, i)
    if (element === undefined) {
      literal += layout.charAt(i++)
    } else {
      flush()
      out.push(element)
      i += element.text.length
    }
  }
  flush()
  return out
}

function fieldAt(layout: string, i: number): Element | undefined {
  for (const [pattern, kind] of FIELDS) {
    pattern.lastIndex = i
    const text = pattern.exec(layout)?.[0]
    if (text !== undefined) return { kind, text }
  }
  return undefined
}

function fractionAt(layout: string, i: number): Element | undefined {
  FRACTION.lastIndex = i
  const m = FRACTION.exec(layout)
  if (m === null) return undefined
  const [text, run = ''] = m
  return { kind: 'fraction', text, digits: run.length, trim: run.startsWith('9') }
}

export const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const

export const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const
