import { VouchsafeError } from '@vouchsafe/core'
import { type GrpcServer, listenGrpc } from '../grpc/distributor/server.ts'
import { distributorRoutes } from '../http/distributor-routes.ts'
import type { Surface } from '../serve.ts'
import type { DistributorConfig } from './config.ts'
import type { InstanceSource } from './context.ts'
import { openIdentityKeys } from './identity-keys.ts'
import { openInstanceSource } from './instance-source.ts'
import { AttestationSessions } from './sessions.ts'
import { type TransportCredential, openTransport } from './transport.ts'

/** Parts that a caller may put in the place of those that the configuration names. */
export interface DistributorParts {
  readonly instances?: InstanceSource
  readonly transport?: TransportCredential
}

/** A tenant's distributor beside its broker: same store, same keys, same log; another surface. */
export function distributorSurface(
  config: DistributorConfig,
  parts: DistributorParts = {},
): Surface & { listening(): { readonly host: string; readonly port: number } } {
  const instances = parts.instances ?? openInstanceSource(config.instances)
  let grpc: GrpcServer | null = null
  return {
    routes: distributorRoutes(config.tenant, instances),
    open: async (services) => {
      const context = await services.context(config.tenant)
      const transport = parts.transport ?? (await openTransport(config.transport, services.store, context))
      grpc = await listenGrpc(
        {
          services,
          context,
          issuer: config.identity.issuer,
          audience: config.identity.audience,
          strangerMaxAgeSeconds: config.identity.maxAgeSeconds,
          keys: openIdentityKeys(config.identity.keys),
          instances,
          sessions: new AttestationSessions(),
        },
        transport,
        config.listen,
      )
      return grpc
    },
    listening: () => {
      if (grpc === null) throw new VouchsafeError('internal', 'the distributor does not listen yet')
      return { host: grpc.host, port: grpc.port }
    },
  }
}
