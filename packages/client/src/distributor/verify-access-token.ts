import { type P256Jwk, VouchsafeError, readJws } from '@vouchsafe/core'
import { compactVerify } from 'jose'
import { z } from 'zod'

const SKEW_SECONDS = 30
const seconds = z.number().int().min(0).max(253_402_300_799)
const texts = z.array(z.string())

const payloadSchema = z.strictObject({
  iss: z.string(),
  aud: z.string(),
  sub: z.string().min(1),
  jti: z.string().min(1),
  iat: seconds,
  exp: seconds,
  resources: texts.min(1),
  rights: texts.min(1),
  eat_nonce: z.union([z.string(), texts]).optional(),
  submods: z.strictObject({
    instance: z.strictObject({
      project: z.string(),
      zone: z.string(),
      name: z.string(),
      account: z.string(),
      memory_encryption: z.string(),
    }),
    /** Left out for a machine that its owner exempted from TPM checks. */
    tpm: z
      .strictObject({ ak: z.string(), registers: z.record(z.string(), z.string()), secboot: z.boolean().optional() })
      .optional(),
  }),
  'vouchsafe.class': z.string(),
  'vouchsafe.simulated': z.boolean(),
  'vouchsafe.decision': z.string(),
})
/** What a distributor attested of a machine, and what the token is good for. */
export type AccessTokenPayload = z.infer<typeof payloadSchema>

/** What the relying party expects. All of it is required; there is no way to leave a check out. */
export interface AccessTokenExpectation {
  /** Of the tenant, as `GET /v1/tenants/NAME` answers; keep your own copy. */
  readonly issuer: string
  readonly audience: string
  /** The tenant's keys by `kid`; the token's header only picks among them. */
  readonly keys: ReadonlyMap<string, P256Jwk>
  /** What this server gave out for this request, and nothing beside it in the token; `not-checked` where it gave none. */
  readonly nonce: string
  /** Whether a token of a simulated store will do: never where a secret is real. */
  readonly simulated: 'accepted' | 'refused'
  readonly at: Date
}

/**
 * Believes an access token of a distributor: signature, issuer, audience, nonce and times. A bearer token: it speaks for
 * whoever holds it until it ends, and a nonce makes it good for one request.
 *
 * @throws {VouchsafeError} `token.malformed`, `token.issuer`, `token.audience`, `token.signature`, `token.expired`,
 *   `token.nonce`
 */
export async function verifyAccessToken(token: string, expected: AccessTokenExpectation): Promise<AccessTokenPayload> {
  const { header, payload } = readJws(token, 'vouchsafe-access+jwt', ['kid'])
  const parsed = payloadSchema.safeParse(payload)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new VouchsafeError('token.malformed', `payload ${issue?.path.join('.')}: ${issue?.message}`)
  }
  const claims = parsed.data
  if (claims.iss !== expected.issuer)
    throw new VouchsafeError('token.issuer', `issuer ${claims.iss}, wanted ${expected.issuer}`)
  if (claims['vouchsafe.simulated'] && expected.simulated !== 'accepted')
    throw new VouchsafeError('token.issuer', 'the token is of a simulated store')
  if (claims.aud !== expected.audience)
    throw new VouchsafeError('token.audience', `audience ${claims.aud}, wanted ${expected.audience}`)
  const { kid } = header
  const key = typeof kid === 'string' ? expected.keys.get(kid) : undefined
  if (key === undefined)
    throw new VouchsafeError('token.signature', `key ${JSON.stringify(kid)} is not one of the issuer’s`)
  await compactVerify(token, { ...key, alg: 'ES256' }, { algorithms: ['ES256'] }).catch((cause: unknown) => {
    throw new VouchsafeError('token.signature', 'the signature does not verify under the expected key', { cause })
  })
  const now = expected.at.getTime() / 1000
  if (claims.exp <= claims.iat || now < claims.iat - SKEW_SECONDS || now >= claims.exp + SKEW_SECONDS)
    throw new VouchsafeError('token.expired', `valid from ${claims.iat} to ${claims.exp}, and it is ${Math.floor(now)}`)
  if (expected.nonce !== 'not-checked' && (expected.nonce === '' || claims.eat_nonce !== expected.nonce))
    throw new VouchsafeError(
      'token.nonce',
      `eat_nonce is ${JSON.stringify(claims.eat_nonce)}, wanted ${expected.nonce}`,
    )
  return claims
}
