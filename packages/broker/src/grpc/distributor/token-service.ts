import { randomUUID } from 'node:crypto'
import type { ConnectRouter } from '@connectrpc/connect'
import { Secret_SecretType as SecretType, TokenService } from '@vouchsafe/client/distributor'
import type { Distributor } from '../../distributor/context.ts'
import { deliver } from '../../distributor/deliver.ts'
import { answering } from './call.ts'

/** `TokenService.GetToken`: the decision, and the secrets when it is a release. */
export function tokenService(router: ConnectRouter, distributor: Distributor): void {
  router.service(TokenService, {
    getToken: (request, context) =>
      answering(distributor, 'GetToken', context, async (client) => {
        const { decision, class: assurance, secrets } = await deliver(distributor, client)
        const registers = client.terms.body.tpm.kind === 'required' ? Object.keys(client.terms.body.tpm.registers) : []
        return {
          responseID: randomUUID(),
          inResponseTo: request.requestId,
          secrets: secrets.map(({ name, type, layout, wrapping, data }) => ({
            name,
            type: SecretType[type],
            data,
            wrapping: wrapping === 'none' ? '' : wrapping,
            layout: layout === 'direct' ? '' : layout,
          })),
          pcr: BigInt(registers[0] ?? 0),
          decision,
          class: assurance,
        }
      }),
  })
}
