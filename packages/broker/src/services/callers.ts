import { VouchsafeError, verifyRequest } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { Role } from '../store/rows.ts'
import type { Caller, Services, TenantContext } from './context.ts'

/** A signed call as it arrived. */
export interface SignedCall {
  readonly signature: string
  readonly method: string
  readonly path: string
  readonly body: Uint8Array
}

/**
 * Who made a signed call, if it may be made at all: the signature is over this very call, the key is one of the
 * tenant's registry in one of the roles, and the nonce is ours, fresh and for this signer's session. The nonce is
 * consumed by whatever the call changes.
 *
 * @throws {VouchsafeError} `request.signature`, `request.forbidden`, `request.replayed`
 */
export async function identifyCaller(
  services: Services,
  context: TenantContext,
  call: SignedCall,
  roles: readonly Role[],
): Promise<Caller> {
  const { method, path, body } = call
  const claims = await verifyRequest(call.signature, { method, path, body, brokerId: context.brokerId }, nodeCrypto)
  const principal = await services.store.principal(context.tenant.id, claims.key)
  if (principal === null || principal.removedAt !== null)
    throw new VouchsafeError('request.signature', 'the signing key is not in this tenant’s registry')
  if (!roles.includes(principal.role))
    throw new VouchsafeError(
      'request.forbidden',
      `this takes the role ${roles.join(' or ')}, the key has ${principal.role}`,
    )
  const nonce = context.checkNonce(claims.nonce, { purpose: 'request', session: claims.session }, services.clock())
  if (nonce.state !== 'fresh') throw new VouchsafeError('request.replayed', `the nonce is ${nonce.state}`)
  return { principal, nonce: { id: nonce.id, expiresAt: nonce.expiresAt } }
}
