import { sha256 } from '@noble/hashes/sha2.js'
import {
  formatValue,
  isObject,
  jsonName,
  newRecord,
  numberToBigInt,
  objectEntries,
  objectGet,
  ObjectBuilder,
  RegoSet,
  textToBytes,
  toJson,
  type NumberValue,
  type RegoMap,
  type RegoRecord,
  type Value,
} from '../value/index.ts'
import type { Builtin, BuiltinContext } from './contract.ts'
import { declared, define, O, operandProblem } from './define.ts'
import { hmacOf } from './digests.ts'
import { hex } from './encoding.ts'
import { formatTime } from './time/format-time.ts'
import { UTC } from './time/zone.ts'
import { T } from './types.ts'
import { parseUri } from './uri.ts'

type Obj = RegoRecord | RegoMap

type Credentials = {
  readonly accessKey: string
  readonly secretKey: string
  readonly service: string
  readonly region: string
  readonly sessionToken: string | undefined
  readonly unsignedPayload: boolean
}

/** Texts that must be there; the error names all that are missing or wrong. */
function takeTexts(o: Obj, position: number, what: string, names: readonly string[]): string[] {
  const listed = (bad: readonly string[]): string => formatValue(RegoSet.of(bad))
  const missing = names.filter((name) => objectGet(o, name) === undefined)
  if (missing.length > 0) throw operandProblem(position, `missing required ${what} parameters(s): ${listed(missing)}`)
  const wrong = names.filter((name) => typeof objectGet(o, name) !== 'string')
  if (wrong.length > 0)
    throw operandProblem(position, `invalid values for required ${what} parameters(s): ${listed(wrong)}`)
  return names.map((name) => String(objectGet(o, name)))
}

function takeCredentials(config: Obj): Credentials {
  const [accessKey = '', region = '', secretKey = '', service = ''] = takeTexts(config, 2, 'AWS config', [
    'aws_access_key',
    'aws_region',
    'aws_secret_access_key',
    'aws_service',
  ])
  const token = objectGet(config, 'aws_session_token')
  const unsigned = objectGet(config, 'disable_payload_signing') ?? false
  if (typeof unsigned !== 'boolean') {
    throw operandProblem(2, "invalid value for 'disable_payload_signing' in AWS config")
  }
  return {
    accessKey,
    secretKey,
    service,
    region,
    sessionToken: typeof token === 'string' ? token : undefined,
    unsignedPayload: unsigned,
  }
}

function bodyOf(request: Obj): string {
  const raw = objectGet(request, 'raw_body')
  if (typeof raw === 'string') return raw
  const body = objectGet(request, 'body')
  return body === undefined ? '' : toJson(body)
}

/** Headers that proxies change are not signed. */
const UNSIGNED = new Set(['authorization', 'user-agent', 'x-amzn-trace-id'])

function signRequest(ctx: BuiltinContext, request: Obj, config: Obj, timeNs: NumberValue): Value {
  const [method = '', url = ''] = takeTexts(request, 1, 'request', ['method', 'url'])
  const credentials = takeCredentials(config)
  const ns = numberToBigInt(timeNs)
  if (ns === undefined || ns < 0n || ns >= 1n << 63n) {
    throw operandProblem(3, 'could not convert time_ns value into a unix timestamp')
  }
  const body = bodyOf(request)
  ctx.spend(20 + (body.length >> 5))
  const uri = parseUri(url)
  const date = formatTime(ns, UTC, '20060102T150405Z')
  const payload = credentials.unsignedPayload ? 'UNSIGNED-PAYLOAD' : hex(sha256(textToBytes(body)))
  const added = addedHeaders(credentials, uri, date, payload)
  const signed = signedHeaders(request, added)
  const names = signed.map(([name]) => name).join(';')
  const canonical = [
    method,
    String(uri['raw_path'] ?? ''),
    String(uri['raw_query'] ?? ''),
    ...signed.map(([name, value]) => `${name}:${value}`),
    '',
    names,
    payload,
  ].join('\n')
  const scope = [date.slice(0, 8), credentials.region, credentials.service, 'aws4_request']
  const signature = sign(credentials, scope, date, canonical)
  const credential = `${credentials.accessKey}/${scope.join('/')}`
  added.set('Authorization', `AWS4-HMAC-SHA256 Credential=${credential},SignedHeaders=${names},Signature=${signature}`)
  return withHeaders(request, added)
}

function addedHeaders(credentials: Credentials, uri: RegoRecord, date: string, payload: string): Map<string, string> {
  const port = uri['port'] === undefined ? '' : `:${String(uri['port'])}`
  const out = new Map([
    ['host', `${String(uri['hostname'] ?? '')}${port}`],
    ['x-amz-date', date],
  ])
  if (credentials.service === 's3' || credentials.service === 'glacier') out.set('x-amz-content-sha256', payload)
  if (credentials.sessionToken !== undefined) out.set('x-amz-security-token', credentials.sessionToken)
  return out
}

/** What the signature covers, by lower-case name in order. A header that the request has itself is signed as it has it. */
function signedHeaders(request: Obj, added: ReadonlyMap<string, string>): Array<readonly [string, string]> {
  const all = new Map(added)
  const given = objectGet(request, 'headers')
  for (const [name, value] of isObject(given) ? objectEntries(given) : []) {
    const lower = jsonName(name).toLowerCase()
    if (!UNSIGNED.has(lower)) all.set(lower, typeof value === 'string' ? value.trim() : formatValue(value))
  }
  return [...all].sort(([a], [b]) => (a < b ? -1 : 1))
}

function sign({ secretKey }: Credentials, scope: readonly string[], date: string, canonical: string): string {
  const mac = (key: Uint8Array, text: string): Uint8Array => hmacOf('sha256', key, textToBytes(text))
  let key: Uint8Array = textToBytes(`AWS4${secretKey}`)
  for (const part of scope) key = mac(key, part)
  const digest = hex(sha256(textToBytes(canonical)))
  return hex(mac(key, ['AWS4-HMAC-SHA256', date, scope.join('/'), digest].join('\n')))
}

function withHeaders(request: Obj, added: ReadonlyMap<string, string>): Value {
  const headers = newRecord()
  const given = objectGet(request, 'headers')
  for (const [name, value] of isObject(given) ? objectEntries(given) : []) headers[jsonName(name)] = value
  for (const [name, value] of added) headers[name] = value
  const out = new ObjectBuilder()
  for (const [k, v] of objectEntries(request)) out.set(k, v)
  return out.set('headers', headers).finish()
}

const object = declared(O.object, T.object(T.string))

export const AWS: readonly Builtin[] = [
  define('providers.aws.sign_req', [object, object, O.number], T.object(), signRequest),
]
