import { z } from 'zod'
import { VouchsafeError } from '../base/errors.ts'
import type { P256Jwk } from '../base/keys.ts'
import { EAR_PROFILE, TOKEN_LIFETIME_SECONDS, TOKEN_TYPE } from './issue.ts'
import { readJws, verifyJws } from './jws.ts'
import { checkTimes, seconds } from './times.ts'

const payloadSchema = z.strictObject({
  eat_profile: z.literal(EAR_PROFILE),
  iss: z.string(),
  aud: z.string(), // one exact audience: arrays are refused (E09)
  sub: z.string().min(1),
  jti: z.string().min(1),
  iat: seconds,
  nbf: seconds,
  exp: seconds,
  eat_nonce: z.string().min(1), // exactly one (E19)
  cnf: z.strictObject({ jkt: z.string().length(43) }),
  'ear.verifier-id': z.strictObject({ developer: z.string(), build: z.string() }),
  submods: z.record(
    z.string(),
    z.looseObject({ 'ear.status': z.enum(['none', 'affirming', 'warning', 'contraindicated']) }),
  ),
  'vouchsafe.session': z.string().min(1),
  'vouchsafe.seal-key': z.string().length(43),
  'vouchsafe.simulated': z.boolean(),
})
export type TokenPayload = z.infer<typeof payloadSchema>

/** What the relying party expects. All of it is required; there is no way to leave a check out. */
export interface TokenExpectation {
  readonly issuer: string
  readonly audience: string
  /** The issuer's keys by `kid`, as configured; the token's header only picks among them. */
  readonly keys: ReadonlyMap<string, P256Jwk>
  readonly at: Date
}

/**
 * Believes a token only after signature, issuer, audience and times. Possession of the bound key is `verifyProof`'s.
 *
 * @throws {VouchsafeError} `token.malformed`, `token.issuer`, `token.audience`, `token.signature`, `token.expired`
 */
export async function verifyToken(token: string, expected: TokenExpectation): Promise<TokenPayload> {
  const { header, payload } = readJws(token, TOKEN_TYPE, ['kid'])
  const parsed = payloadSchema.safeParse(payload)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new VouchsafeError('token.malformed', `payload ${issue?.path.join('.')}: ${issue?.message}`)
  }
  const claims = parsed.data
  // issuer and audience first: they tell an honest caller more than a key that cannot be found
  if (claims.iss !== expected.issuer)
    throw new VouchsafeError('token.issuer', `issuer ${claims.iss}, wanted ${expected.issuer}`)
  if (claims.aud !== expected.audience)
    throw new VouchsafeError('token.audience', `audience ${claims.aud}, wanted ${expected.audience}`)
  const kid = header['kid']
  const key = typeof kid === 'string' ? expected.keys.get(kid) : undefined
  if (key === undefined)
    throw new VouchsafeError('token.signature', `key ${JSON.stringify(kid)} is not one of the issuer’s`)
  await verifyJws(token, key)
  checkTimes(claims, TOKEN_LIFETIME_SECONDS, expected.at)
  return claims
}

/** The id that a token claims, unverified: enough to look up its attestation before the token is checked. Null when unreadable. */
export function claimedId(token: string): string | null {
  try {
    const id = readJws(token, TOKEN_TYPE, ['kid']).payload['jti']
    return typeof id === 'string' ? id : null
  } catch {
    return null // an unreadable token claims nothing; verifyToken says why
  }
}
