import type { IdentityKey, InstanceFacts } from '@vouchsafe/core'
import type { Services, TenantContext } from '../services/context.ts'
import type { AttestationSessions } from './sessions.ts'

/** Where an instance is, as its identity document says once it is verified. */
export interface InstanceAddress {
  readonly instance: string
  readonly name: string
  readonly project: string
  readonly zone: string
}

/** Who tells what an instance is. Asked anew for every decision. */
export interface InstanceSource {
  /** @throws {VouchsafeError} `endorsement.unavailable` when it cannot be told; then nothing is decided */
  read(address: InstanceAddress, at: Date): Promise<InstanceFacts>
}

/** The keys under which the platform signs identity documents. */
export interface IdentityKeys {
  /** Those with this kid; empty when the issuer has none. @throws {VouchsafeError} `endorsement.unavailable` */
  find(kid: string, at: Date): Promise<readonly IdentityKey[]>
}

/** Everything that the distributor works with. */
export interface Distributor {
  readonly services: Services
  readonly context: TenantContext
  readonly issuer: string
  readonly audience: string
  /** How old the identity document of an instance may be that no owner has approved. */
  readonly strangerMaxAgeSeconds: number
  readonly keys: IdentityKeys
  readonly instances: InstanceSource
  readonly sessions: AttestationSessions
}
