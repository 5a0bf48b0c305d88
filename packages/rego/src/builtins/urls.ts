import {
  isArray,
  isSet,
  newRecord,
  objectEntries,
  sortedElements,
  typeName,
  type RegoMap,
  type RegoRecord,
  type Value,
} from '../value/index.ts'
import { BuiltinError, succeeds, type Builtin } from './contract.ts'
import { declared, define, O, operandError, takeStrings } from './define.ts'
import { percentDecode, percentEncode } from './percent.ts'
import { T } from './types.ts'
import { parseUri } from './uri.ts'

function encodeQuery(s: string): string {
  return percentEncode(s, /[A-Za-z0-9\-_.~ ]/).replaceAll(' ', '+')
}

function decodeQuery(s: string): string {
  return percentDecode(s.replaceAll('+', ' '))
}

function valuesOf(v: Value): readonly string[] {
  if (typeof v === 'string') return [v]
  if (isArray(v)) return takeStrings(v, 1)
  if (isSet(v)) return takeStrings(sortedElements(v), 1)
  throw operandError(1, 'string, array, or set', typeName(v))
}

function encodeObject(o: RegoRecord | RegoMap): string {
  const pairs: string[] = []
  for (const [k, v] of objectEntries(o)) {
    if (typeof k !== 'string') throw operandError(1, 'object with string keys', `object with ${typeName(k)} key`)
    for (const text of valuesOf(v)) pairs.push(`${encodeQuery(k)}=${encodeQuery(text)}`)
  }
  return pairs.join('&')
}

function decodeObject(query: string): Value {
  const out = newRecord()
  for (const pair of query.split('&')) {
    if (pair === '') continue
    if (pair.includes(';')) throw new BuiltinError('invalid semicolon separator in query')
    const at = pair.indexOf('=')
    const key = decodeQuery(at < 0 ? pair : pair.slice(0, at))
    const value = at < 0 ? '' : decodeQuery(pair.slice(at + 1))
    const known = out[key]
    out[key] = isArray(known) ? [...known, value] : [value]
  }
  return out
}

const encodable = declared(O.object, T.object(T.string, T.oneOf(T.string, T.array(T.string), T.set(T.string))))

function isValidUri(v: Value): boolean {
  return typeof v === 'string' && v !== '' && succeeds(() => parseUri(v))
}

export const URLS: readonly Builtin[] = [
  define('urlquery.encode', [O.string], T.string, (_, s) => encodeQuery(s)),
  define('urlquery.decode', [O.string], T.string, (_, s) => decodeQuery(s)),
  define('urlquery.encode_object', [encodable], T.string, (_, o) => encodeObject(o)),
  define('urlquery.decode_object', [O.string], T.object(T.string, T.array(T.string)), (ctx, s) => {
    ctx.spend(1 + s.length)
    return decodeObject(s)
  }),
  define('uri.parse', [O.string], T.object(T.string, T.string), (_, s) => parseUri(s)),
  define('uri.is_valid', [declared(O.any, T.string)], T.boolean, (_, v) => isValidUri(v)),
]
