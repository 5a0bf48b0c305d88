import { createPublicKey, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import {
  type P256Jwk,
  RECORD_TYPE,
  VouchsafeError,
  concat,
  formatLogKey,
  formatOwnerKey,
  fromBase64Url,
  jwkThumbprint,
  p256JwkSchema,
  parseSchema,
  signEnvelope,
  toBase64,
  toBase64Url,
  fromUtf8,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { CryptoKey } from 'jose'
import { logSigner, rawPublicKey } from '../custody/log-signer.ts'
import { checkNonce, issueNonce } from '../custody/nonces.ts'
import type { RootKey } from '../custody/root-key.ts'
import { openTenantKeys } from '../custody/tenant-keys.ts'
import { unwrap, wrap } from '../custody/wrap.ts'
import type { Store } from '../store/store.ts'
import type { TenantContext } from './context.ts'

/** Name of the setting that holds whose resources a tenant's are. */
export const OWNER_SETTING = 'owner'

/** What is the same for all tenants of a broker. */
export interface BrokerFacts {
  readonly brokerId: string
  readonly profile: 'production' | 'simulated'
  readonly publicUrl: string
  /** DER of the identity certificate. */
  readonly identity: Uint8Array
}

/** Opens a tenant: its keys from custody, its owner from the registry. @throws {VouchsafeError} `request.unknown-route` when there is none */
export async function openTenant(
  store: Store,
  root: RootKey,
  broker: BrokerFacts,
  tenantId: string,
  at: Date,
): Promise<TenantContext> {
  const tenant = await store.tenant(tenantId)
  const owner = tenant === null ? null : await store.setting(tenantId, OWNER_SETTING)
  if (tenant === null || owner === null) throw new VouchsafeError('request.unknown-route', 'no such tenant')
  const keys = await openTenantKeys(store, root, tenantId, at)
  const signer = logSigner(tenant.origin, keys.log.key)
  const decisionKey = formatOwnerKey(rawPublicKey(keys.decision.key))
  const issuer = { brokerId: broker.brokerId, tenant: tenantId, restoreEpoch: await store.restoreEpoch() }
  const tokenJwk = publicJwk(keys.token.key)
  const kid = jwkThumbprint(tokenJwk, nodeCrypto)
  const resourceKey = keys.resource
  return {
    tenant,
    brokerId: broker.brokerId,
    profile: broker.profile,
    owner: fromUtf8(owner),
    pin: {
      id: broker.brokerId,
      tenant: tenantId,
      url: broker.publicUrl,
      identity: toBase64(broker.identity),
      sealing: publicJwk(keys.sealing.key),
      decisions: decisionKey,
      log: formatLogKey(signer.key),
    },
    issuer: `vouchsafe:${broker.profile}:${broker.brokerId}:${tenantId}`,
    audience: `${broker.brokerId}/${tenantId}`,
    tokenSigner: { kid, key: keys.token.key as unknown as CryptoKey },
    tokenKeys: new Map([[kid, tokenJwk]]),
    sealingKey: keys.sealing.key as unknown as CryptoKey,
    logSigner: signer,
    signRecord: (record) =>
      signEnvelope(RECORD_TYPE, record, decisionKey, (bytes) => new Uint8Array(sign(null, bytes, keys.decision.key))),
    issueNonce: (scope, now) => issueNonce(keys.nonce.key, issuer, scope, now),
    checkNonce: (nonce, scope, now) => checkNonce(keys.nonce.key, issuer, nonce, scope, now),
    sealHandle: (content) => toBase64Url(wrap(resourceKey.key, [tenantId, 'handle'], content)),
    openHandle: (handle) => openHandle(handle, (bytes) => unwrap(resourceKey.key, [tenantId, 'handle'], bytes)),
    encryptResource: (path, version, value) => {
      // nonce and ciphertext travel apart in the store's rows
      const wrapped = wrap(resourceKey.key, resourcePlace(tenantId, path, version), value)
      return { keyId: resourceKey.id, nonce: wrapped.slice(0, 12), ciphertext: wrapped.slice(12) }
    },
    decryptResource: (r) => {
      if (r.keyId !== resourceKey.id)
        throw new VouchsafeError('custody.wrong-key', `resource ${r.path} was encrypted under key ${r.keyId}`)
      return unwrap(resourceKey.key, resourcePlace(tenantId, r.path, r.version), concat(r.nonce, r.ciphertext))
    },
  }
}

/** Where a resource's ciphertext belongs: moved to another tenant, path or version it does not open (decision 11). */
function resourcePlace(tenant: string, path: string, version: number): readonly string[] {
  return [tenant, 'resource', path, String(version)]
}

function openHandle(handle: string, open: (bytes: Uint8Array) => Uint8Array): Uint8Array | null {
  try {
    return open(fromBase64Url(handle, 'handle'))
  } catch (error) {
    if (error instanceof VouchsafeError) return null // not base64url, not ours, or changed: the caller refuses in its own words
    throw error
  }
}

function publicJwk(key: KeyObject): P256Jwk {
  return parseSchema(p256JwkSchema, createPublicKey(key).export({ format: 'jwk' }), 'key')
}
