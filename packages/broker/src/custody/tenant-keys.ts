import { type KeyObject, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { Secret, VouchsafeError } from '@vouchsafe/core'
import type { KeyKind, WrappedKey } from '../store/rows.ts'
import type { Store } from '../store/store.ts'
import type { RootKey } from './root-key.ts'
import { unwrap, wrap } from './wrap.ts'

/** A tenant's keys in clear. `docs/spec/keys.md` says what each signs. */
export interface TenantKeys {
  /** ECDSA P-256: attestation tokens. */
  readonly token: { readonly id: string; readonly key: KeyObject }
  /** ECDSA P-256: sealed payloads. */
  readonly sealing: { readonly id: string; readonly key: KeyObject }
  /** Ed25519: checkpoints. */
  readonly log: { readonly id: string; readonly key: KeyObject }
  /** Ed25519: decision records. */
  readonly decision: { readonly id: string; readonly key: KeyObject }
  /** 32 bytes: MAC of nonces. */
  readonly nonce: { readonly id: string; readonly key: Secret }
  /** 32 bytes: resources at rest, and handles that travel. */
  readonly resource: { readonly id: string; readonly key: Secret }
}

const ASYMMETRIC = { token: 'p256', sealing: 'p256', log: 'ed25519', decision: 'ed25519' } as const

/**
 * Opens a tenant's keys, making those that are not there yet. Two processes that start at once end with the same keys:
 * each inserts if absent and takes what is stored (decision 17).
 *
 * @throws {VouchsafeError} `custody.wrong-key` when the store's keys are wrapped under another root
 */
export async function openTenantKeys(store: Store, root: RootKey, tenant: string, at: Date): Promise<TenantKeys> {
  const wrapping = await openOrMake(store, tenant, 'wrapping', at, {
    make: () => ({ plain: new Uint8Array(randomBytes(32)), publicKey: null }),
    wrap: (place, plain) => root.wrap(place, plain),
    unwrap: (place, wrapped) => root.unwrap(place, wrapped),
  })
  const under = new Secret(wrapping.plain)
  wrapping.plain.fill(0)
  const open = (kind: Exclude<KeyKind, 'wrapping'>) =>
    openOrMake(store, tenant, kind, at, {
      make: () =>
        kind in ASYMMETRIC
          ? newKeyPair(ASYMMETRIC[kind as keyof typeof ASYMMETRIC])
          : { plain: new Uint8Array(randomBytes(32)), publicKey: null },
      wrap: (place, plain) => wrap(under, place, plain),
      unwrap: (place, wrapped) => unwrap(under, place, wrapped),
    })
  const pair = async (kind: keyof typeof ASYMMETRIC) => {
    const { id, plain } = await open(kind)
    const key = createPrivateKey({
      key: Buffer.from(plain.buffer, plain.byteOffset, plain.length),
      format: 'der',
      type: 'pkcs8',
    })
    plain.fill(0)
    return { id, key }
  }
  const symmetric = async (kind: 'nonce' | 'resource') => {
    const { id, plain } = await open(kind)
    const key = new Secret(plain)
    plain.fill(0)
    return { id, key }
  }
  try {
    return {
      token: await pair('token'),
      sealing: await pair('sealing'),
      log: await pair('log'),
      decision: await pair('decision'),
      nonce: await symmetric('nonce'),
      resource: await symmetric('resource'),
    }
  } finally {
    under.wipe()
  }
}

interface Maker {
  readonly make: () => { readonly plain: Uint8Array; readonly publicKey: Uint8Array | null }
  readonly wrap: (place: readonly string[], plain: Uint8Array) => Uint8Array
  readonly unwrap: (place: readonly string[], wrapped: Uint8Array) => Uint8Array
}

async function openOrMake(
  store: Store,
  tenant: string,
  kind: KeyKind,
  at: Date,
  maker: Maker,
): Promise<{ readonly id: string; readonly plain: Uint8Array }> {
  const stored = (await store.key(tenant, kind)) ?? (await store.addKeyOnce(tenant, newKey(tenant, kind, at, maker)))
  if (stored.kind !== kind) throw new VouchsafeError('internal', `asked for a ${kind} key, got ${stored.kind}`)
  return { id: stored.id, plain: maker.unwrap([tenant, kind, stored.id], stored.wrapped) }
}

function newKey(tenant: string, kind: KeyKind, at: Date, maker: Maker): WrappedKey {
  const id = `${kind}-${randomBytes(6).toString('hex')}`
  const { plain, publicKey } = maker.make()
  const wrapped = maker.wrap([tenant, kind, id], plain)
  plain.fill(0)
  return { id, kind, generation: 1, wrapped, publicKey, notBefore: at, notAfter: null }
}

function newKeyPair(type: 'p256' | 'ed25519') {
  const { privateKey } =
    type === 'p256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519')
  return {
    plain: new Uint8Array(privateKey.export({ format: 'der', type: 'pkcs8' })),
    publicKey: new Uint8Array(createPublicKey(privateKey).export({ format: 'der', type: 'spki' })),
  }
}
