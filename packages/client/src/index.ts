export { PinnedConnection, type PinnedRequest, type PinnedResponse } from './pinned-fetch.ts'
export { BrokerRefusal } from './call.ts'
export { GuestClient } from './guest-client.ts'
export { OwnerClient, PrincipalKey } from './owner-client.ts'
export { dataRecipient, decryptDataFile, encryptDataFile, generateDataKey } from './data-file.ts'
export {
  MAX_RESULT_BYTES,
  type OpenedResult,
  type SealedResult,
  openResult,
  sealResult,
  verifyMaker,
} from './result-file.ts'
export * from './collateral/index.ts'
export * from './oidc/index.ts'
export { type BindableSocket, channelBinding, type ChannelSide } from './channel/channel-binding.ts'
