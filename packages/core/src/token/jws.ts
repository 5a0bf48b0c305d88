import { compactVerify } from 'jose'
import { fromBase64Url } from '../base/encoding.ts'
import { VouchsafeError } from '../base/errors.ts'
import type { P256Jwk } from '../base/keys.ts'
import { type Json, parseStrictJson } from '../base/strict-json.ts'

const MAX_JWS_BYTES = 64 * 1024

/** Headers that name or fetch a key. A token never chooses its own trust anchor (E03, E04). */
const KEY_HEADERS = ['jwk', 'jku', 'x5c', 'x5u', 'x5t', 'x5t#S256']

export interface JwsMembers {
  readonly header: { readonly [member: string]: Json }
  readonly payload: { readonly [member: string]: Json }
}

/**
 * Reads header and payload of a compact JWS strictly (duplicate members, foreign encodings and unknown `crit` refused),
 * without believing any of it.
 *
 * @throws {VouchsafeError} `token.malformed`
 */
export function readJws(
  token: string,
  typ: string,
  allowedHeaders: readonly string[],
  alg: 'ES256' | 'EdDSA' | 'RS256' = 'ES256',
): JwsMembers {
  if (token.length > MAX_JWS_BYTES)
    throw new VouchsafeError('token.malformed', `token: ${token.length} characters, at most ${MAX_JWS_BYTES}`)
  const parts = token.split('.')
  const [head, body, signature] = parts
  if (parts.length !== 3 || head === undefined || body === undefined || signature === undefined)
    throw new VouchsafeError('token.malformed', `token: ${parts.length} parts, wanted a compact JWS of 3`)
  try {
    const header = asObject(parseStrictJson(fromBase64Url(head, 'header'), { maxBytes: MAX_JWS_BYTES }), 'header')
    const payload = asObject(parseStrictJson(fromBase64Url(body, 'payload'), { maxBytes: MAX_JWS_BYTES }), 'payload')
    fromBase64Url(signature, 'signature')
    for (const name of Object.keys(header)) {
      if (name !== 'alg' && name !== 'typ' && !allowedHeaders.includes(name))
        throw new VouchsafeError(
          'token.malformed',
          `header ${name}: ${KEY_HEADERS.includes(name) ? 'a token may not bring its own key' : 'not expected'}`,
        )
    }
    if (header['alg'] !== alg)
      throw new VouchsafeError('token.malformed', `header alg: ${JSON.stringify(header['alg'])}, wanted "${alg}"`)
    if (header['typ'] !== typ)
      throw new VouchsafeError(
        'token.malformed',
        `header typ: ${JSON.stringify(header['typ'])}, wanted ${JSON.stringify(typ)}`,
      )
    return { header, payload }
  } catch (cause) {
    if (cause instanceof VouchsafeError && cause.code === 'token.malformed') throw cause
    throw new VouchsafeError('token.malformed', `token: ${cause instanceof Error ? cause.message : 'unreadable'}`, {
      cause,
    })
  }
}

/** @throws {VouchsafeError} `token.signature`. The algorithm is ours, never the token's (E01, E02, E08). */
export async function verifyJws(token: string, key: P256Jwk): Promise<void> {
  try {
    await compactVerify(token, { ...key, alg: 'ES256' }, { algorithms: ['ES256'] })
  } catch (cause) {
    throw new VouchsafeError('token.signature', 'the signature does not verify under the expected key', { cause })
  }
}

function asObject(value: Json, what: string): { readonly [member: string]: Json } {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new VouchsafeError('token.malformed', `${what}: not an object`)
  return value as { readonly [member: string]: Json }
}
