import { isRecord, recordGet, textToBytes, type RegoMap, type RegoRecord, type Value } from '../../value/index.ts'
import { encodeBase64 } from '../base64.ts'
import { BuiltinError, type BuiltinContext } from '../contract.ts'
import { hmacOf } from '../digests.ts'
import { marshal, unmarshal } from '../json-text.ts'
import { makeSignature } from '../signatures/verify.ts'
import { ASYMMETRIC, HMAC_HASHES } from './algorithms.ts'
import { privateKeyOf, secretOf } from './jwk.ts'

/** Signs header and claims given as objects. */
export function encodeSign(
  ctx: BuiltinContext,
  header: RegoRecord | RegoMap,
  claims: RegoRecord | RegoMap,
  key: RegoRecord | RegoMap,
): Value {
  return encodeSignRaw(ctx, marshal(header), marshal(claims), marshal(key))
}

/** Signs header and payload exactly as they are written. */
export function encodeSignRaw(ctx: BuiltinContext, header: string, payload: string, key: string): Value {
  const { alg, typ } = parseHeader(header)
  if ((typ === undefined || typ === 'JWT') && !isJsonObject(payload)) {
    throw new BuiltinError('type is JWT but payload is not JSON')
  }
  const jwk = parseKey(key)
  const signed = `${encode(textToBytes(header))}.${encode(textToBytes(payload))}`
  return `${signed}.${encode(sign(ctx, alg, jwk, textToBytes(signed)))}`
}

function sign(ctx: BuiltinContext, alg: string, jwk: RegoRecord, message: Uint8Array<ArrayBuffer>): Uint8Array {
  const hash = HMAC_HASHES.get(alg)
  if (hash !== undefined) return hmacOf(hash, secretOf(jwk), message)
  const algorithm = ASYMMETRIC.get(alg)
  if (algorithm === undefined) throw new BuiltinError(`unknown JWS algorithm: ${alg}`)
  return makeSignature(ctx, algorithm, privateKeyOf(jwk), message)
}

function encode(bytes: Uint8Array): string {
  return encodeBase64(bytes, 'url', false)
}

function parseHeader(text: string): { readonly alg: string; readonly typ: Value | undefined } {
  const bad = (what: string): BuiltinError => new BuiltinError(`missing or invalid 'alg' header: ${what}`)
  if (text === '') throw bad('cannot parse JSON: cannot parse empty string')
  const header = tryUnmarshal(text)
  if (header === undefined && /^\s*[{[]/.test(text)) throw bad('cannot parse JSON')
  const alg = isRecord(header) ? recordGet(header, 'alg') : undefined
  if (typeof alg !== 'string' || !isRecord(header)) throw bad('jwsbb: header "alg" not found')
  if (!HMAC_HASHES.has(alg) && !ASYMMETRIC.has(alg)) throw new BuiltinError(`unknown JWS algorithm: ${alg}`)
  return { alg, typ: recordGet(header, 'typ') }
}

function tryUnmarshal(text: string): Value | undefined {
  try {
    return unmarshal(text)
  } catch (error) {
    if (error instanceof BuiltinError) return undefined
    throw error
  }
}

function isJsonObject(text: string): boolean {
  return tryUnmarshal(text) !== undefined
}

function parseKey(text: string): RegoRecord {
  const jwk = tryUnmarshal(text)
  if (!isRecord(jwk)) throw new BuiltinError('failed to parse a JWK key')
  return jwk
}
