export { PinnedConnection, type PinnedRequest, type PinnedResponse } from './pinned-fetch.ts'
export { BrokerRefusal } from './call.ts'
export { GuestClient } from './guest-client.ts'
export { OwnerClient, PrincipalKey } from './owner-client.ts'
