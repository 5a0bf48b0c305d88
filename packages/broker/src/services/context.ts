import type { BrokerPin, Envelope, P256Jwk, Shadow, TokenSigner } from '@vouchsafe/core'
import type { CryptoKey } from 'jose'
import type { LogSigner, Store } from '../store/store.ts'
import type { Principal, Tenant } from '../store/rows.ts'
import type { FindCollateral } from './collateral.ts'

/** What a nonce of ours turned out to be. `id` is what is consumed; it exists for every nonce that we issued. */
export type NonceCheck =
  | { readonly state: 'fresh' | 'expired'; readonly id: Uint8Array; readonly expiresAt: Date }
  | { readonly state: 'unissued' }

/** What a nonce is bound to: shown anywhere else, it was never issued (A03). */
export interface NonceScope {
  readonly purpose: 'enrol' | 'attest' | 'release' | 'request'
  readonly session: string
}

/** A tenant with its keys open: what services work with. Keys are used through it and never leave it. */
export interface TenantContext {
  readonly tenant: Tenant
  readonly brokerId: string
  readonly profile: 'production' | 'simulated'
  readonly pin: BrokerPin
  /** Whose resources these are, by the registry (decision 1). */
  readonly owner: string
  readonly issuer: string
  readonly audience: string
  readonly tokenSigner: TokenSigner
  readonly tokenKeys: ReadonlyMap<string, P256Jwk>
  /** Signs sealed payloads. */
  readonly sealingKey: CryptoKey
  readonly logSigner: LogSigner
  /** Signs decision records; a DSSE envelope over the exact record bytes. */
  signRecord(record: Uint8Array): Envelope
  issueNonce(scope: NonceScope, at: Date): { readonly nonce: string; readonly expiresAt: Date }
  checkNonce(nonce: string, scope: NonceScope, at: Date): NonceCheck
  /** Authenticated encryption of what the broker hands out and wants back unread: nothing is stored meanwhile. */
  sealHandle(content: Uint8Array): string
  openHandle(handle: string): Uint8Array | null
  encryptResource(
    path: string,
    version: number,
    value: Uint8Array,
  ): { readonly keyId: string; readonly nonce: Uint8Array; readonly ciphertext: Uint8Array }
  decryptResource(resource: {
    readonly path: string
    readonly version: number
    readonly keyId: string
    readonly nonce: Uint8Array
    readonly ciphertext: Uint8Array
  }): Uint8Array
}

/** What every service is given: nothing is global, and time is an argument. */
export interface Services {
  readonly store: Store
  readonly clock: () => Date
  /** @throws {VouchsafeError} `custody.sealed`, `request.unknown-route` for a tenant that is not here */
  context(tenant: string): Promise<TenantContext>
  readonly log: (event: string, fields: Readonly<Record<string, string | number | boolean>>) => void
  /** Left out where evidence of CPUs is not taken. */
  readonly collateral?: FindCollateral
  /** Policies on trial, by tenant. */
  readonly shadows?: Readonly<Record<string, readonly Shadow[]>>
}

/** Who made a signed call. */
export interface Caller {
  readonly principal: Principal
  /** To be consumed with whatever the call changes. */
  readonly nonce: { readonly id: Uint8Array; readonly expiresAt: Date }
}
