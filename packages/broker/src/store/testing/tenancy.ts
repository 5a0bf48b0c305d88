import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { type Digest, type LogKey, checkLedger, digestOf, formatExportedEntry, logOrigin, utf8 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { logSigner } from '../../custody/log-signer.ts'
import type { Change } from '../changes.ts'
import type { StoreIdentity, StoredAgreement } from '../rows.ts'
import type { Decide, Epochs, LogSigner, Recorded, Store } from '../store.ts'

/** What the store's tests share: one broker, tenants with a log key each, and the shortest form of each transaction. */
export const IDENTITY: StoreIdentity = {
  profile: 'simulated',
  broker: 'broker:test',
  rootCheck: new Uint8Array(32).fill(7),
}

export function testSigner(
  tenant: string,
  key = generateKeyPairSync('ed25519').privateKey,
): LogSigner & { readonly key: LogKey } {
  return logSigner(logOrigin({ profile: IDENTITY.profile, broker: IDENTITY.broker, tenant }), key)
}

export function digest(text: string): Digest {
  return digestOf(utf8(text), nodeCrypto)
}

export const AGREEMENT = digest('agreement 1')
export const FAR_OFF = new Date('2100-01-01T00:00:00Z')

export function agreement(
  name: string,
  text: string,
  previous: Digest | null = null,
): Omit<StoredAgreement, 'filedAt' | 'version'> {
  return { digest: digest(text), name, previous, bytes: utf8(text) }
}

/** One tenant in a store, with its signer. */
export class Tenancy {
  readonly store: Store
  readonly tenant: string
  readonly signer: LogSigner & { readonly key: LogKey }

  constructor(store: Store, tenant: string, signer = testSigner(tenant)) {
    this.store = store
    this.tenant = tenant
    this.signer = signer
  }

  /** Makes the tenant, with an agreement in force and a resource. */
  async begin(): Promise<this> {
    const { store, tenant, signer } = this
    if ((await store.identity()) === null) await store.initialise(IDENTITY)
    await store.createTenant({ id: tenant, name: tenant.toUpperCase() }, signer)
    await this.apply(
      { change: 'agreement.file', agreement: agreement('study', 'agreement 1') },
      { change: 'agreement.adopt', name: 'study', digest: AGREEMENT },
      { change: 'resource.put', resource: resource('data/key', 1, 'clinic') },
    )
    return this
  }

  apply(...changes: readonly Change[]): Promise<Recorded> {
    const { tenant, signer } = this
    const entry = { kind: 'setting.changed', subject: 'test', digest: digest('change'), facts: {} } as const
    return this.store.append({ tenant, entry, changes, signer })
  }

  /** A release that would succeed, but for what `over` replaces. */
  async release(
    over: { nonce?: Uint8Array; id?: string; epochs?: Epochs } & Partial<Omit<Decide, 'decision'>> & {
        decision?: Partial<Decide['decision']>
      } = {},
  ): Promise<Decide> {
    const id = over.id ?? over.decision?.id ?? randomBytes(12).toString('hex')
    const record = utf8(JSON.stringify({ record: id }))
    const { epochs = over.epochs ?? (await this.store.head(this.tenant)).epochs } = over
    const { nonce = randomBytes(32), decision, id: _id, epochs: _epochs, ...rest } = over
    return {
      tenant: this.tenant,
      signer: this.signer,
      expect: {
        epochs,
        agreement: { name: 'study', digest: AGREEMENT },
        resources: [{ path: 'data/key', version: 1 }],
        validUntil: FAR_OFF,
      },
      consume: [{ id: nonce, expiresAt: FAR_OFF }],
      lease: { kind: 'new', id: `lease-${id}`, enrolment: 'machine-1', expiresAt: FAR_OFF },
      ...rest,
      decision: {
        id,
        record,
        digest: digestOf(record, nodeCrypto),
        outcome: 'release',
        code: 'ok',
        marks: ['enrolment:machine-1', 'image:sha256:aa', `agreement:${AGREEMENT}`],
        facts: {},
        request: { id: `request-${id}`, proofKey: 'thumbprint' },
        ...decision,
      },
    }
  }

  /** The whole log, as it would be exported. */
  async export(): Promise<readonly string[]> {
    const lines: string[] = []
    for (;;) {
      const page = await this.store.entries(this.tenant, lines.length, 500)
      if (page.length === 0) return lines
      lines.push(...page.map(formatExportedEntry))
    }
  }

  async check(kept?: string): ReturnType<typeof checkLedger> {
    return checkLedger(await this.export(), { logKey: this.signer.key, kept, crypto: nodeCrypto })
  }
}

export function resource(path: string, version: number, owner: string, text = 'ciphertext') {
  const bytes = utf8(text)
  return { path, version, owner, keyId: 'k1', nonce: new Uint8Array(12), ciphertext: bytes, metadata: utf8('{}') }
}
