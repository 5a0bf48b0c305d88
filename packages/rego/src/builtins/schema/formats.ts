import { BuiltinError, succeeds } from '../contract.ts'
import { parseAddress } from '../ip.ts'
import { compileRegex } from '../regex.ts'
import { parseTime } from '../time/parse-time.ts'
import { parseUri } from '../uri.ts'

function isHostname(s: string): boolean {
  return s.length <= 253 && s.split('.').every((label) => /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(label))
}

function hasScheme(s: string): boolean {
  return succeeds(() => {
    if (parseUri(s)['scheme'] === undefined) throw new BuiltinError('no scheme')
  })
}

const FORMATS: ReadonlyMap<string, (s: string) => boolean> = new Map([
  ['date', (s) => succeeds(() => parseTime('2006-01-02', s))],
  ['time', (s) => succeeds(() => parseTime('15:04:05Z07:00', s)) || succeeds(() => parseTime('15:04:05', s))],
  ['date-time', (s) => succeeds(() => parseTime('2006-01-02T15:04:05Z07:00', s))],
  ['hostname', isHostname],
  ['email', (s) => s.length <= 320 && /^[^@\s]+@[^@\s]+$/.test(s)],
  ['ipv4', (s) => !s.includes(':') && parseAddress(s) !== undefined],
  ['ipv6', (s) => s.includes(':') && parseAddress(s) !== undefined],
  ['uri', hasScheme],
  ['iri', hasScheme],
  ['uri-reference', (s) => succeeds(() => parseUri(s))],
  ['uuid', (s) => /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(s)],
  ['regex', (s) => succeeds(() => compileRegex(s))],
  ['json-pointer', (s) => s === '' || /^(?:\/(?:[^~/]|~[01])*)+$/.test(s)],
])

/** Does the text have the format? Formats that nobody knows accept everything, as the standard says. */
export function hasFormat(format: string, s: string): boolean {
  return FORMATS.get(format)?.(s) ?? true
}
