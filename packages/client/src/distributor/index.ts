export { TokenService, Verifier, Secret_SecretType } from './gen/tokenservice_pb.js'
export type { Secret, TokenResponse } from './gen/tokenservice_pb.js'
export { Health, HealthCheckResponse_ServingStatus } from './gen/health_pb.js'
export { type DistributorAddress, DistributorConnection, DistributorRefusal } from './connection.ts'
export {
  type ClientTpm,
  type FetchOptions,
  type FetchedSecret,
  type FetchedSecrets,
  fetchSecrets,
} from './fetch-secrets.ts'
export { type RetryOptions, isWorthWaiting, withBackOff } from './back-off.ts'
export { type AccessTokenExpectation, type AccessTokenPayload, verifyAccessToken } from './verify-access-token.ts'
