import { type ClientResult, type ClientSecret, toBase64Url } from '@vouchsafe/core'
import { SignJWT } from 'jose'
import { randomBytes } from 'node:crypto'
import type { TenantContext } from '../services/context.ts'

/** What the token is made of, beside what the owner approved of it. */
export interface AccessTokenSubject {
  /** What the decision found of the machine. */
  readonly claims: ClientResult['claims']
  readonly decision: string
  /** What a relying party asked to find in it, so that the token is good for its request alone. */
  readonly nonces: readonly string[]
}

/**
 * A token in place of a key (TD-28): it lives for minutes, is for one audience, and names the resources and rights that
 * it is good for (TD-40). It says what was attested of the machine, so that who reads it can judge that (VT-01). Its
 * signer is the tenant's token key, which `GET /v1/tenants/…` publishes; `verifyAccessToken` of the client reads it.
 */
export async function mintAccessToken(
  context: TenantContext,
  wanted: Extract<ClientSecret['from'], { kind: 'access-token' }>,
  { claims, decision, nonces }: AccessTokenSubject,
  at: Date,
): Promise<string> {
  const seconds = Math.floor(at.getTime() / 1000)
  const { identity, facts, tpm } = claims
  const payload = {
    resources: [...wanted.resources],
    rights: [...wanted.rights],
    ...(nonces.length > 0 && { eat_nonce: nonces.length === 1 ? nonces[0] : [...nonces] }),
    submods: {
      instance: {
        project: identity.project,
        zone: identity.zone,
        name: identity.name,
        account: identity.account,
        memory_encryption: facts.memoryEncryption,
      },
      ...(tpm !== null && {
        tpm: {
          ak: tpm.akName,
          registers: { ...tpm.registers },
          ...(tpm.secureBoot !== null && { secboot: tpm.secureBoot }),
        },
      }),
    },
    'vouchsafe.class': claims.class,
    'vouchsafe.simulated': claims.simulated,
    'vouchsafe.decision': decision,
  }
  return new SignJWT(payload)
    .setProtectedHeader({ alg: 'ES256', typ: 'vouchsafe-access+jwt', kid: context.tokenSigner.kid })
    .setIssuer(context.issuer)
    .setSubject(`instance:${identity.instance}`)
    .setAudience(wanted.audience)
    .setIssuedAt(seconds)
    .setExpirationTime(seconds + wanted.lifetimeSeconds)
    .setJti(toBase64Url(randomBytes(16)))
    .sign(context.tokenSigner.key)
}
