import {
  formatValue,
  objectEntries,
  bytesToText,
  textToBytes,
  type RegoMap,
  type RegoRecord,
  type Value,
} from '../value/index.ts'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { BuiltinError, succeeds, type Builtin, type BuiltinContext } from './contract.ts'
import { declared, define, O, operandProblem } from './define.ts'
import { marshal, unmarshal } from './json-text.ts'
import { T } from './types.ts'
import { marshalYaml, unmarshalYaml } from './yaml.ts'

/** Some encoders leave the padding out; it is put back before decoding. */
function decodeBase64Url(s: string): Uint8Array {
  if (s.endsWith('=')) return decodeBase64(s, 'url', true)
  if (s.length % 4 === 1) throw new BuiltinError(`illegal base64url string: ${s}`)
  return decodeBase64(s + '='.repeat((4 - (s.length % 4)) % 4), 'url', true)
}

function isValidBase64(v: Value): boolean {
  return typeof v === 'string' && succeeds(() => decodeBase64(v, 'standard', true))
}

/** Lower-case hex. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('')
}

export function unhex(s: string): Uint8Array<ArrayBuffer> {
  const source = textToBytes(s)
  for (const b of source) {
    const ch = String.fromCharCode(b)
    if (!/[0-9a-fA-F]/.test(ch)) {
      const code = b.toString(16).toUpperCase().padStart(4, '0')
      throw new BuiltinError(`encoding/hex: invalid byte: U+${code} '${ch}'`)
    }
  }
  if (s.length % 2 === 1) throw new BuiltinError('encoding/hex: odd length hex string')
  return Uint8Array.from({ length: s.length / 2 }, (_, i) => Number.parseInt(s.slice(2 * i, 2 * i + 2), 16))
}

function isValidJson(v: Value): boolean {
  return typeof v === 'string' && succeeds(() => unmarshal(v))
}

function marshalWithOptions(ctx: BuiltinContext, v: Value, options: RegoRecord | RegoMap): Value {
  let pretty: boolean | undefined
  let indent: string | undefined
  let prefix: string | undefined
  for (const [k, x] of objectEntries(options)) {
    if (k === 'pretty' && typeof x === 'boolean') pretty = x
    else if (k === 'indent' && typeof x === 'string') indent = x
    else if (k === 'prefix' && typeof x === 'string') prefix = x
    else throw operandProblem(2, `object contained unknown key ${formatValue(k)}`)
  }
  const laidOut = pretty ?? (indent !== undefined || prefix !== undefined)
  const text = laidOut ? marshal(v, { prefix: prefix ?? '', indent: indent ?? '\t' }) : marshal(v)
  ctx.reserve(text.length)
  return text
}

const maybeText = declared(O.any, T.string)

/** Work in proportion to the text. */
function sized(work: (s: string) => Value) {
  return (ctx: BuiltinContext, s: string): Value => {
    ctx.spend(1 + (s.length >> 3))
    ctx.reserve(s.length)
    return work(s)
  }
}

export const ENCODING: readonly Builtin[] = [
  define(
    'base64.encode',
    [O.string],
    T.string,
    sized((s) => encodeBase64(textToBytes(s), 'standard', true)),
  ),
  define(
    'base64.decode',
    [O.string],
    T.string,
    sized((s) => bytesToText(decodeBase64(s, 'standard', true))),
  ),
  define('base64.is_valid', [maybeText], T.boolean, (_, v) => isValidBase64(v)),
  define(
    'base64url.encode',
    [O.string],
    T.string,
    sized((s) => encodeBase64(textToBytes(s), 'url', true)),
  ),
  define(
    'base64url.encode_no_pad',
    [O.string],
    T.string,
    sized((s) => encodeBase64(textToBytes(s), 'url', false)),
  ),
  define(
    'base64url.decode',
    [O.string],
    T.string,
    sized((s) => bytesToText(decodeBase64Url(s))),
  ),
  define(
    'hex.encode',
    [O.string],
    T.string,
    sized((s) => hex(textToBytes(s))),
  ),
  define(
    'hex.decode',
    [O.string],
    T.string,
    sized((s) => bytesToText(unhex(s))),
  ),
  define('json.marshal', [O.any], T.string, (ctx, v) => {
    const text = marshal(v)
    ctx.reserve(text.length)
    ctx.spend(1 + (text.length >> 3))
    return text
  }),
  define(
    'json.marshal_with_options',
    [O.any, declared(O.object, T.record({ indent: T.string, prefix: T.string, pretty: T.boolean }, T.any))],
    T.string,
    marshalWithOptions,
  ),
  define('json.unmarshal', [O.string], T.any, sized(unmarshal)),
  define('json.is_valid', [maybeText], T.boolean, (_, v) => isValidJson(v)),
  define('yaml.marshal', [O.any], T.string, (ctx, v) => {
    const text = marshalYaml(v)
    ctx.reserve(text.length)
    return text
  }),
  define('yaml.unmarshal', [O.string], T.any, sized(unmarshalYaml)),
  define('yaml.is_valid', [maybeText], T.boolean, (_, v) => typeof v === 'string' && succeeds(() => unmarshalYaml(v))),
]
