import { randomUUID } from 'node:crypto'
import type { ConnectRouter } from '@connectrpc/connect'
import { Secret_SecretType as SecretType, TokenService } from '@vouchsafe/client/distributor'
import type { Distributor } from '../../distributor/context.ts'
import { VouchsafeError } from '@vouchsafe/core'
import { deliver } from '../../distributor/deliver.ts'
import type { WantedToken } from '../../distributor/wrap-secrets.ts'
import { answering } from './call.ts'

/** `TokenService.GetToken`: the decision, and the secrets when it is a release. */
export function tokenService(router: ConnectRouter, distributor: Distributor): void {
  router.service(TokenService, {
    getToken: (request, context) =>
      answering(distributor, 'GetToken', context, async (client) => {
        const { decision, class: assurance, secrets } = await deliver(distributor, client, wantedToken(request))
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

const MAX_NONCES = 6
const NONCE = /^[\x21-\x7e]{8,88}$/

/** Null for a call that asks for everything, as clients of the original do. */
function wantedToken({
  audience,
  nonces,
}: {
  readonly audience: string
  readonly nonces: readonly string[]
}): WantedToken | null {
  if (audience === '' && nonces.length === 0) return null
  if (audience === '') throw new VouchsafeError('input.malformed', 'nonces: of a token for which audience?')
  if (nonces.length > MAX_NONCES || new Set(nonces).size < nonces.length || !nonces.every((n) => NONCE.test(n)))
    throw new VouchsafeError('input.malformed', `nonces: at most ${MAX_NONCES}, each once, of 8 to 88 characters`)
  return { audience, nonces }
}
