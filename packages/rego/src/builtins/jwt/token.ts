import { bytesToText, isRecord, recordGet, textToBytes, type RegoRecord, type Value } from '../../value/index.ts'
import { decodeBase64 } from '../base64.ts'
import { BuiltinError, within } from '../contract.ts'
import { unmarshal } from '../json-text.ts'

type Bytes = Uint8Array<ArrayBuffer>

/** A compact JWS, taken apart. Nothing is authenticated by this. */
export type Token = {
  readonly header: RegoRecord
  readonly payload: string
  readonly signature: Bytes
  /** What the signature covers. */
  readonly signed: Bytes
}

export function parseToken(text: string): Token {
  const parts = text.split('.')
  if (parts.length === 1) throw new BuiltinError('encoded JWT had no period separators')
  const [header = '', payload = '', signature = ''] = parts
  if (parts.length !== 3) throw new BuiltinError(`encoded JWT must have 3 sections, found ${parts.length}`)
  return {
    header: parseHeader(section('header', header)),
    payload: bytesToText(section('payload', payload)),
    signature: section('signature', signature),
    signed: textToBytes(`${header}.${payload}`),
  }
}

function section(name: string, text: string): Bytes {
  return within(`JWT ${name} had invalid encoding`, () => decodeBase64(text.replace(/={1,2}$/, ''), 'url', false))
}

function parseHeader(bytes: Bytes): RegoRecord {
  const header = unmarshal(bytesToText(bytes))
  if (!isRecord(header)) throw new BuiltinError('JWT header is not an object')
  if (recordGet(header, 'enc') !== undefined) throw new BuiltinError('JWT is a JWE object, which is not supported')
  return header
}

/** The token inside the payload, if the header says that there is one; it may stand there as a JSON string. */
export function nestedToken({ header, payload }: Token): string | undefined {
  const type = recordGet(header, 'cty')
  if (typeof type !== 'string' || type.toUpperCase() !== 'JWT') return undefined
  return payload.startsWith('"') && payload.endsWith('"') ? payload.slice(1, -1) : payload
}

/** The claims of a token. */
export function claimsOf(payload: string): RegoRecord {
  const claims: Value = unmarshal(payload)
  if (!isRecord(claims)) throw new BuiltinError('JWT payload is not an object')
  return claims
}
