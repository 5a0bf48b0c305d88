import { createHash } from 'node:crypto'
import { fromBase64Url, type Json, parseStrictJson, VouchsafeError } from '@vouchsafe/core'
import { compactVerify } from 'jose'
import { IssuerKeys } from './issuer-keys.ts'
import { type OidcIssuer, type OidcIssuerInput, parseOidcIssuer } from './issuer.ts'
import { type Claims, mismatches } from './match-claims.ts'
import { OidcRefusal } from './refusal.ts'

const MAX_TOKEN = 32 * 1024
const SKEW_SECONDS = 30
const LAST_SECOND = 253_402_300_799 // of the year 9999: milliseconds are refused (E11)
const HEADERS: readonly string[] = ['alg', 'kid', 'typ']

export interface OidcVerifierOptions {
  readonly clock?: () => Date
  /** For one request to an issuer. Default 5 seconds. */
  readonly timeoutMs?: number
  /** Told `oidc.keys-fetched` and `oidc.keys-failed`, for logs. */
  readonly onEvent?: (event: string, fields: Readonly<Record<string, string>>) => void
}

/** A token that is believed. */
export interface VerifiedOidcToken {
  readonly issuer: string
  readonly subject: string
  readonly claims: Claims
  readonly expiresAt: Date
  /** SHA-256 of the token: to tell it by in logs, which must not hold it (DEF-43), and to see it twice. */
  readonly id: string
}

/**
 * Believes tokens of the issuers it was given, and of no other: exact issuer and audience, the issuer's algorithm and
 * published keys, times, and the claims expected. Keys are found by discovery and kept, so that a token costs no request.
 */
export class OidcVerifier {
  readonly #issuers: ReadonlyMap<string, { readonly issuer: OidcIssuer; readonly keys: IssuerKeys }>
  readonly #clock: () => Date

  /** @throws {VouchsafeError} `input.malformed`, `input.unknown-member`; also for no issuer, and for one named twice. */
  constructor(issuers: readonly OidcIssuerInput[], options: OidcVerifierOptions = {}) {
    const { clock = () => new Date(), timeoutMs = 5000, onEvent = () => undefined } = options
    const parsed = issuers.map(parseOidcIssuer)
    this.#clock = clock
    this.#issuers = new Map(
      parsed.map((issuer) => [issuer.issuer, { issuer, keys: new IssuerKeys(issuer, { clock, timeoutMs, onEvent }) }]),
    )
    if (this.#issuers.size !== parsed.length || parsed.length === 0)
      throw new VouchsafeError('input.malformed', 'OIDC: each issuer once, and at least one')
  }

  /**
   * @param expected.nonce - What the token's `eat_nonce` must be, and nothing beside it; `not-checked` where the server
   *   gave none out: then whoever holds a token has until its end to use it.
   * @throws {OidcRefusal} with its reason.
   */
  async verify(token: string, expected: { readonly nonce: string }): Promise<VerifiedOidcToken> {
    const { header, claims } = readToken(token)
    const known = this.#issuers.get(String(claims['iss']))
    if (known === undefined || typeof claims['iss'] !== 'string')
      throw new OidcRefusal('issuer', `issuer ${short(claims['iss'])} is not one that is trusted here`)
    const { issuer, keys } = known
    if (claims['aud'] !== issuer.audience)
      throw new OidcRefusal('audience', `audience ${short(claims['aud'])}, wanted ${issuer.audience} alone`)
    if (header['alg'] !== issuer.algorithm)
      throw new OidcRefusal('algorithm', `alg ${short(header['alg'])}, ${issuer.issuer} signs with ${issuer.algorithm}`)
    const { kid } = header
    if (typeof kid !== 'string' || kid === '') throw new OidcRefusal('malformed', 'the header names no key')
    const key = await keys.get(kid)
    await compactVerify(token, key, { algorithms: [issuer.algorithm] }).catch((cause: unknown) => {
      throw new OidcRefusal('signature', `the signature is not by key ${kid}`, { cause })
    })
    const expiresAt = this.#checkTimes(claims, issuer)
    checkNonce(claims, expected.nonce)
    const subject = claims['sub']
    if (typeof subject !== 'string' || subject === '') throw new OidcRefusal('malformed', 'sub is no text')
    checkClaims(claims, issuer)
    const id = createHash('sha256').update(token).digest('base64url')
    return { issuer: issuer.issuer, subject, claims, expiresAt, id }
  }

  #checkTimes(claims: Claims, { maxLifetimeSeconds }: OidcIssuer): Date {
    const [issued, expires] = [seconds(claims, 'iat'), seconds(claims, 'exp')]
    const from = 'nbf' in claims ? Math.max(seconds(claims, 'nbf'), issued) : issued
    const now = Math.floor(this.#clock().getTime() / 1000)
    if (expires <= issued || expires - issued > maxLifetimeSeconds)
      throw new OidcRefusal('lifetime', `a life of ${expires - issued} s, at most ${maxLifetimeSeconds} s`)
    if (now < from - SKEW_SECONDS)
      throw new OidcRefusal('not-yet-valid', `valid from ${iso(from)}, and it is ${iso(now)}`)
    if (now >= expires + SKEW_SECONDS)
      throw new OidcRefusal('expired', `valid until ${iso(expires)}, and it is ${iso(now)}`)
    return new Date(expires * 1000)
  }
}

function checkClaims(claims: Claims, issuer: OidcIssuer): void {
  const wrong = mismatches(claims, issuer.claims)
  if (wrong.length > 0)
    throw new OidcRefusal(
      'claims',
      wrong.map(({ claim, expected, found }) => `${claim}: expected ${expected}, found ${found}`).join('; '),
    )
}

/** One nonce, for one audience: a list in which ours stands among others is one that somebody else can use, too (E19). */
function checkNonce(claims: Claims, wanted: string): void {
  if (wanted === 'not-checked') return
  const found = claims['eat_nonce']
  const one = Array.isArray(found) && found.length === 1 ? found[0] : found
  if (wanted === '' || one !== wanted) throw new OidcRefusal('nonce', `eat_nonce is ${short(found)}, wanted ${wanted}`)
}

/** Reads strictly: duplicate members, other encodings and every header that brings or names a key elsewhere are refused (E03, E04). */
function readToken(token: string): { readonly header: Claims; readonly claims: Claims } {
  if (token.length > MAX_TOKEN) throw new OidcRefusal('malformed', `${token.length} characters, at most ${MAX_TOKEN}`)
  const [head, body, signature, ...more] = token.split('.')
  if (head === undefined || body === undefined || signature === undefined || more.length > 0)
    throw new OidcRefusal('malformed', 'not a compact JWS of three parts')
  try {
    const header = objectFrom(head, 'header')
    const claims = objectFrom(body, 'payload')
    fromBase64Url(signature, 'signature')
    for (const name of Object.keys(header))
      if (!HEADERS.includes(name)) throw new OidcRefusal('malformed', `header ${name} is not accepted`)
    if (header['typ'] !== undefined && header['typ'] !== 'JWT')
      throw new OidcRefusal('malformed', `typ ${short(header['typ'])}, wanted JWT`)
    return { header, claims }
  } catch (cause) {
    if (cause instanceof OidcRefusal) throw cause
    throw new OidcRefusal('malformed', (cause as Error).message, { cause })
  }
}

function objectFrom(part: string, what: string): Claims {
  const json: Json = parseStrictJson(fromBase64Url(part, what), { maxBytes: MAX_TOKEN })
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new OidcRefusal('malformed', `${what}: not an object`)
  return json as Claims
}

function seconds(claims: Claims, name: string): number {
  const value = claims[name]
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > LAST_SECOND)
    throw new OidcRefusal('malformed', `${name} is ${short(value)}, wanted seconds since 1970`)
  return value
}

function iso(epochSeconds: number): string {
  return new Date(epochSeconds * 1000).toISOString()
}

function short(value: Json | undefined): string {
  return value === undefined ? 'missing' : JSON.stringify(value).slice(0, 100)
}
