import {
  type ClientTerms,
  type DistributionInputs,
  VouchsafeError,
  claimedIdentity,
  clientTermsName,
  parseClientTerms,
  verifyIdentityDocument,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { Distributor, InstanceAddress } from './context.ts'

/** A call as it arrived: the identity document, and the connection. */
export interface ClientCall {
  readonly document: string
  readonly channel: DistributionInputs['channel']
}

/** A client whose identity was verified and whom an owner has approved. Whether it gets anything is decided elsewhere. */
export interface KnownClient {
  readonly call: ClientCall
  readonly address: InstanceAddress
  readonly keys: DistributionInputs['identity']['keys']
  readonly terms: ClientTerms
}

/**
 * Whose call this is. Strangers and clients that no owner has approved end here; they are logged, not recorded, since
 * anyone with an instance on the same platform could fill the ledger otherwise.
 *
 * @throws {VouchsafeError} `token.*`; `client.unprovisioned`
 */
export async function authenticate(distributor: Distributor, call: ClientCall, at: Date): Promise<KnownClient> {
  const { issuer, audience } = distributor
  const claimed = claimedIdentity(call.document)
  const keys = [...(await distributor.keys.find(claimed.kid, at))]
  const terms = await termsInForce(distributor, claimed.instance)
  const maxAgeSeconds = terms?.body.identityMaxAgeSeconds ?? distributor.strangerMaxAgeSeconds
  const identity = await verifyIdentityDocument(
    call.document,
    { keys, issuer, audience, maxAgeSeconds, at },
    nodeCrypto,
  )
  if (terms === null)
    throw new VouchsafeError('client.unprovisioned', `instance ${identity.instance} is approved by nobody`)
  return { call, address: identity, keys, terms }
}

async function termsInForce({ services, context }: Distributor, instance: string): Promise<ClientTerms | null> {
  const stored = await services.store.currentAgreement(context.tenant.id, clientTermsName(instance))
  return stored === null ? null : parseClientTerms(stored.bytes, nodeCrypto)
}
