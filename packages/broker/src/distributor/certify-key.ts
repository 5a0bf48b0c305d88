import { digestOf } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { KnownClient } from './authenticate.ts'
import type { Distributor } from './context.ts'

/** Records that a key was made in an approved client's TPM: whoever gets a signature by it can look it up in the log. */
export async function certifySigningKey(
  { services, context }: Distributor,
  { address, terms }: KnownClient,
  spki: Uint8Array,
): Promise<void> {
  const tenant = context.tenant.id
  const digest = digestOf(spki, nodeCrypto)
  await services.store.append({
    tenant,
    entry: {
      kind: 'key.certified',
      subject: digest,
      digest,
      facts: { instance: address.instance, terms: terms.digest },
    },
    changes: [],
    signer: context.logSigner,
  })
  services.log('distributor.key-certified', { tenant, instance: address.instance, key: digest })
}
