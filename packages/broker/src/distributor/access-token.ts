import { type ClientSecret, toBase64Url } from '@vouchsafe/core'
import { SignJWT } from 'jose'
import { randomBytes } from 'node:crypto'
import type { TenantContext } from '../services/context.ts'

/**
 * A token in place of a key (TD-28): it lives for minutes, is for one audience, and names the resources and rights that
 * it is good for (TD-40). Its signer is the tenant's token key, which `GET /v1/tenants/…` publishes.
 */
export async function mintAccessToken(
  context: TenantContext,
  wanted: Extract<ClientSecret['from'], { kind: 'access-token' }>,
  instance: string,
  decision: string,
  at: Date,
): Promise<string> {
  const seconds = Math.floor(at.getTime() / 1000)
  return new SignJWT({ resources: [...wanted.resources], rights: [...wanted.rights], 'vouchsafe.decision': decision })
    .setProtectedHeader({ alg: 'ES256', typ: 'vouchsafe-access+jwt', kid: context.tokenSigner.kid })
    .setIssuer(context.issuer)
    .setSubject(`instance:${instance}`)
    .setAudience(wanted.audience)
    .setIssuedAt(seconds)
    .setExpirationTime(seconds + wanted.lifetimeSeconds)
    .setJti(toBase64Url(randomBytes(16)))
    .sign(context.tokenSigner.key)
}
