import { VouchsafeError, distributorWire } from '@vouchsafe/core'
import type { InstanceSource } from '../distributor/context.ts'
import { listClients, provisionClient, reviewInstance } from '../distributor/provision.ts'
import { type Route, callerOf, route } from './route.ts'

const KIB = 1024
const owner = { kind: 'signed', roles: ['owner'] } as const
const readers = { kind: 'signed', roles: ['owner', 'auditor'] } as const

/** What owners call to review and approve clients of the token distributor, at the tenant that it serves. */
export function distributorRoutes(tenant: string, instances: InstanceSource): readonly Route[] {
  const base = '/v1/tenants/:tenant/distributor'
  const own = (params: Readonly<Record<string, string>>) => {
    if (params['tenant'] !== tenant)
      throw new VouchsafeError('request.unknown-route', 'no distributor serves this tenant here')
  }
  return [
    route({
      method: 'GET',
      path: `${base}/instances/:project/:zone/:name/:instance`,
      summary: 'What the platform says of an instance now, for review',
      access: owner,
      maxBytes: 0,
      request: null,
      response: distributorWire.instanceResponse,
      handle: ({ services, context, params }) => {
        own(params)
        const { project = '', zone = '', name = '', instance = '' } = params
        return reviewInstance(services, context, instances, { project, zone, name, instance })
      },
    }),
    route({
      method: 'POST',
      path: `${base}/clients`,
      summary: 'Approve a client: terms, approval and secrets at once',
      access: owner,
      maxBytes: 4096 * KIB,
      request: distributorWire.provisionRequest,
      response: distributorWire.provisionResponse,
      handle: (call) => {
        own(call.params)
        return provisionClient(call.services, call.context, callerOf(call), call.body)
      },
    }),
    route({
      method: 'GET',
      path: `${base}/clients`,
      summary: 'Approved clients, and how often they fetched',
      access: readers,
      maxBytes: 0,
      request: null,
      response: distributorWire.listClientsResponse,
      handle: ({ services, context, params }) => {
        own(params)
        return listClients(services, context)
      },
    }),
  ]
}
