import {
  isArray,
  isNumber,
  numberFromBigInt,
  numberToBigInt,
  typeName,
  type NumberValue,
  type Value,
} from '../../value/index.ts'
import { BuiltinError, type Builtin, type BuiltinContext } from '../contract.ts'
import { declared, define, O, operandError, operandProblem, takeInteger } from '../define.ts'
import { T } from '../types.ts'
import { civilTime, daysInMonth, instantOf, type CivilTime } from './calendar.ts'
import { parseDuration } from './duration.ts'
import { formatTime } from './format-time.ts'
import { NAMED_LAYOUTS, WEEKDAYS } from './layout.ts'
import { parseTime } from './parse-time.ts'
import { UTC, zoneNamed, type Zone } from './zone.ts'

const MIN = -(1n << 63n)
const MAX = (1n << 63n) - 1n

function inRange(ns: bigint): Value {
  if (ns < MIN || ns > MAX) throw new BuiltinError('time outside of valid range')
  return numberFromBigInt(ns)
}

type Moment = { readonly ns: bigint; readonly zone: Zone; readonly layout: string | undefined }

/** Nanoseconds, or nanoseconds with zone, or those with a layout. */
function takeMoment(v: Value, position: number, most: 2 | 3): Moment {
  if (isNumber(v)) return { ns: takeNanoseconds(v), zone: UTC, layout: undefined }
  if (!isArray(v)) {
    throw operandError(position, most === 2 ? 'one of {array, number}' : 'either number or array', typeName(v))
  }
  const [ns, zone, layout] = v
  if (v.length === 0 || v.length > most) throw operandProblem(position, `must be an array of 1 to ${most} elements`)
  if (ns === undefined || !isNumber(ns)) throw operandError(position, 'number', typeName(ns ?? null))
  if (zone !== undefined && typeof zone !== 'string') throw operandError(position, 'string', typeName(zone))
  if (layout !== undefined && typeof layout !== 'string') throw operandError(position, 'string', typeName(layout))
  return { ns: takeNanoseconds(ns), zone: zoneNamed(zone ?? ''), layout }
}

function takeNanoseconds(v: NumberValue): bigint {
  const ns = numberToBigInt(v)
  if (ns === undefined || ns < MIN || ns > MAX) throw new BuiltinError('timestamp too big')
  return ns
}

function civil({ ns, zone }: Moment): CivilTime {
  return civilTime(ns, zone.offsetSeconds(ns))
}

function addDate(_: BuiltinContext, v: NumberValue, years: NumberValue, months: NumberValue, days: NumberValue): Value {
  const t = civilTime(takeNanoseconds(v), 0)
  const [y, m, d] = [takeInteger(years, 2), takeInteger(months, 3), takeInteger(days, 4)]
  // far outside anything that can be a result; keeps the arithmetic exact
  if ([y, m, d].some((n) => Math.abs(n) > 10_000_000)) throw new BuiltinError('time outside of valid range')
  return inRange(instantOf(t.year + y, t.month + m, t.day + d, t, 0))
}

/** Years, months, days, hours, minutes, seconds between two moments, in the zone of the first. */
function difference(a: Moment, b: Moment): Value {
  const [from, to] = a.ns <= b.ns ? [a.ns, b.ns] : [b.ns, a.ns]
  const start = civilTime(from, a.zone.offsetSeconds(from))
  const end = civilTime(to, a.zone.offsetSeconds(to))
  let year = end.year - start.year
  let month = end.month - start.month
  let day = end.day - start.day
  let hour = end.hour - start.hour
  let minute = end.minute - start.minute
  let second = end.second - start.second
  if (second < 0) [second, minute] = [second + 60, minute - 1]
  if (minute < 0) [minute, hour] = [minute + 60, hour - 1]
  if (hour < 0) [hour, day] = [hour + 24, day - 1]
  if (day < 0) [day, month] = [day + daysInMonth(start.year, start.month), month - 1]
  if (month < 0) [month, year] = [month + 12, year - 1]
  return [year, month, day, hour, minute, second]
}

const withZone = T.oneOf(T.number, T.tuple(T.number, T.string))
const momentOperand = declared(O.any, withZone)
const formatOperand = declared(
  O.any,
  T.oneOf(T.number, T.tuple(T.number, T.string), T.tuple(T.number, T.string, T.string)),
)
const threeNumbers = T.tuple(T.number, T.number, T.number)

function layoutNamed(layout: string): string {
  return NAMED_LAYOUTS.get(layout) ?? layout
}

export const TIME: readonly Builtin[] = [
  define('time.now_ns', [], T.number, (ctx) => numberFromBigInt(ctx.timeNs), { nondeterministic: true }),
  define('time.parse_ns', [O.string, O.string], T.number, (_, layout, value) =>
    inRange(parseTime(layoutNamed(layout), value)),
  ),
  define('time.parse_rfc3339_ns', [O.string], T.number, (_, value) =>
    inRange(parseTime(layoutNamed('RFC3339'), value)),
  ),
  define('time.parse_duration_ns', [O.string], T.number, (_, text) => inRange(parseDuration(text))),
  define('time.date', [momentOperand], threeNumbers, (_, v) => {
    const { year, month, day } = civil(takeMoment(v, 1, 2))
    return [year, month, day]
  }),
  define('time.clock', [momentOperand], threeNumbers, (_, v) => {
    const { hour, minute, second } = civil(takeMoment(v, 1, 2))
    return [hour, minute, second]
  }),
  define('time.weekday', [momentOperand], T.string, (_, v) => WEEKDAYS[civil(takeMoment(v, 1, 2)).weekday] ?? ''),
  define('time.add_date', [O.number, O.number, O.number, O.number], T.number, addDate),
  define(
    'time.diff',
    [momentOperand, momentOperand],
    T.tuple(T.number, T.number, T.number, T.number, T.number, T.number),
    (_, a, b) => difference(takeMoment(a, 1, 2), takeMoment(b, 2, 2)),
  ),
  define('time.format', [formatOperand], T.string, (_, v) => {
    const { ns, zone, layout } = takeMoment(v, 1, 3)
    return formatTime(ns, zone, layoutNamed(layout ?? 'RFC3339Nano'))
  }),
]
