import { parseDocument, stringify, type Tags } from 'yaml'
import {
  BoxedNumber,
  isArray,
  isSet,
  isObject,
  jsonMembers,
  newRecord,
  numberFromBigInt,
  numberFromText,
  numberToBigInt,
  numberToDouble,
  printable,
  sortedElements,
  wellFormed,
  type Value,
} from '../value/index.ts'
import { BuiltinError } from './contract.ts'
import { boundBrackets, boundIndentation } from './nesting.ts'

/** What Go's reader does not know or turns into text: times of day as numbers, dates, ordered maps. */
const UNKNOWN_TAGS = new Set(['omap', 'pairs', 'set', 'timestamp'].map((name) => `tag:yaml.org,2002:${name}`))

function keepKnownTags(tags: Tags): Tags {
  return tags.filter((tag) => typeof tag === 'string' || (!UNKNOWN_TAGS.has(tag.tag) && tag.format !== 'TIME'))
}

const MAX_DEPTH = 1000

/** YAML 1.1 as Go's reader takes it; a name given twice and explosions of aliases are refused. */
export function unmarshalYaml(text: string): Value {
  boundBrackets(text)
  boundIndentation(text)
  const document = parseDocument(text, {
    version: '1.1',
    intAsBigInt: true,
    customTags: keepKnownTags,
    logLevel: 'silent',
  })
  const [error] = document.errors
  if (error !== undefined) {
    // the reader reports this like bad syntax; it is not: the evaluation ends
    if (error.message.includes('call stack')) throw new RangeError('Maximum call stack size exceeded')
    const line = error.linePos?.[0].line ?? 1
    const what = error.code === 'MISSING_CHAR' ? 'did not find expected character' : error.message.split('\n')[0]
    throw new BuiltinError(`yaml: line ${line}: ${what}`)
  }
  let plain: unknown
  try {
    plain = document.toJS({ mapAsMap: true, maxAliasCount: 100 })
  } catch (cause) {
    throw new BuiltinError('yaml: too many or unknown aliases', 'eval_builtin_error', { cause })
  }
  return fromYaml(plain, MAX_DEPTH)
}

function fromYaml(v: unknown, depth: number): Value {
  if (depth <= 0) throw new BuiltinError('yaml: nested too deeply')
  if (v === null || v === undefined) return null
  if (typeof v === 'boolean') return v
  if (typeof v === 'string') return wellFormed(v)
  if (typeof v === 'bigint') return numberFromBigInt(v)
  if (typeof v === 'number') return finite(v)
  if (Array.isArray(v)) return v.map((x) => fromYaml(x, depth - 1))
  if (!(v instanceof Map)) throw new BuiltinError('yaml: unsupported value')
  const out = newRecord()
  for (const [k, x] of v) out[keyText(k)] = fromYaml(x, depth - 1)
  return out
}

function finite(n: number): Value {
  const value = Number.isFinite(n) ? numberFromText(String(n)) : undefined
  if (value === undefined) throw new BuiltinError(`yaml: ${n} is no JSON number`)
  return value
}

/** Keys become text, as in JSON. */
function keyText(k: unknown): string {
  if (typeof k === 'string') return wellFormed(k)
  if (k === null || typeof k === 'number' || typeof k === 'boolean' || typeof k === 'bigint') return String(k)
  throw new BuiltinError('yaml: unsupported map key')
}

/** YAML text: block style, names sorted, sequences not indented. */
export function marshalYaml(v: Value): string {
  return stringify(toYaml(v), { compat: 'yaml-1.1', indentSeq: false, lineWidth: 0, aliasDuplicateObjects: false })
}

function toYaml(v: Value): unknown {
  if (typeof v === 'string') return printable(v)
  if (v instanceof BoxedNumber) return numberToBigInt(v) ?? numberToDouble(v)
  if (isArray(v)) return v.map(toYaml)
  if (isSet(v)) return sortedElements(v).map(toYaml)
  if (isObject(v)) return new Map(jsonMembers(v).map(([k, x]) => [printable(k), toYaml(x)]))
  return v
}
