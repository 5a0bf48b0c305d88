import {
  type ClientResult,
  type ClientSecret,
  VouchsafeError,
  type WalkOf,
  jwkThumbprint,
  seal,
  utf8,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { Resource } from '../store/rows.ts'
import { mintAccessToken } from './access-token.ts'
import type { KnownClient } from './authenticate.ts'
import type { Distributor } from './context.ts'

/** A secret on its way to the client. */
export interface DeliveredSecret {
  readonly name: string
  readonly type: ClientSecret['type']
  readonly layout: ClientSecret['layout']
  /** `sealed`: a compact JWE to the attested key, in `data` as text. */
  readonly wrapping: 'none' | 'sealed'
  readonly data: Uint8Array
}

/** One access token instead of everything that was approved. */
export interface WantedToken {
  readonly audience: string
  readonly nonces: readonly string[]
}

/**
 * Puts what was released into the form in which it leaves: sealed to the attested key, or as it is where the owner pinned
 * the connection's certificate, or sealed it to the TPM before it came here.
 */
export async function wrapSecrets(
  distributor: Distributor,
  client: KnownClient,
  released: {
    readonly walk: WalkOf<ClientResult>
    readonly resources: ReadonlyMap<string, Resource>
    readonly decision: string
    readonly wanted: WantedToken | null
  },
): Promise<readonly DeliveredSecret[]> {
  const { terms } = client
  const { resources, decision, wanted } = released
  const { result } = released.walk
  if (result === null) throw new VouchsafeError('internal', 'a release without result')
  const { context, services } = distributor
  const sealKey = terms.body.delivery.to === 'sealed' ? (result.tpm?.sealKey ?? null) : null
  return Promise.all(
    secretsFor(client, wanted).map(async ({ name, type, layout, from }): Promise<DeliveredSecret> => {
      const resource = resources.get(name)
      const value =
        from.kind === 'access-token'
          ? utf8(
              await mintAccessToken(
                context,
                from,
                { claims: result.claims, decision, nonces: wanted?.nonces ?? [] },
                services.clock(),
              ),
            )
          : context.decryptResource(present(resource, name))
      // what the owner sealed to the TPM needs no second seal, and other clients could not open one
      if (type === 'TPM' || terms.body.delivery.to === 'client-certificate')
        return { name, type, layout, wrapping: 'none', data: value }
      if (sealKey === null) throw new VouchsafeError('internal', 'nothing is sealed without an attested key')
      const sealedContext = {
        issuer: context.brokerId,
        tenant: context.tenant.id,
        resource: resource?.path ?? `access-token/${name.toLowerCase()}`,
        version: resource?.version ?? 1,
        agreement: terms.digest,
        decision,
        sealKey: jwkThumbprint(sealKey, nodeCrypto),
      }
      const jwe = await seal(value, sealedContext, sealKey, context.sealingKey)
      value.fill(0)
      return { name, type, layout, wrapping: 'sealed', data: utf8(jwe) }
    }),
  )
}

/** What of the approved secrets a call asks for. */
export function secretsFor({ terms }: KnownClient, wanted: WantedToken | null): readonly ClientSecret[] {
  if (wanted === null) return terms.body.secrets
  return terms.body.secrets.filter(({ from }) => from.kind === 'access-token' && from.audience === wanted.audience)
}

function present(resource: Resource | undefined, name: string): Resource {
  if (resource === undefined) throw new VouchsafeError('internal', `secret ${name} was released but is not there`)
  return resource
}
