import { Code, ConnectError, type ConnectRouter } from '@connectrpc/connect'
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
  TokenService,
  Verifier,
} from '@vouchsafe/client/distributor'

const SERVICES = new Set(['', TokenService.typeName, Verifier.typeName, Health.typeName])

/** gRPC's health protocol, for probes: they hold no identity document, and learn nothing but that the server is up (TD-33). */
export function healthService(router: ConnectRouter): void {
  router.service(Health, {
    check: ({ service }) => {
      if (!SERVICES.has(service)) throw new ConnectError('unknown service', Code.NotFound)
      return { status: Status.SERVING }
    },
    async *watch({ service }, { signal }) {
      yield { status: SERVICES.has(service) ? Status.SERVING : Status.SERVICE_UNKNOWN }
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    },
  })
}
