import { readFileSync } from 'node:fs'
import { VouchsafeError, fromBase64, parseSchema, parseStrictJson } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { z } from 'zod'
import type { BrokerConfig } from './config.ts'
import { type RootKey, openCustodyFile, readPassphrase } from './custody/root-key.ts'
import { brokerApp } from './http/app.ts'
import type { Route } from './http/route.ts'
import { ROUTES } from './http/routes.ts'
import { listen } from './http/server.ts'
import { openStoreOf } from './open-store.ts'
import { collateralFinder } from './services/collateral.ts'
import type { Services, TenantContext } from './services/context.ts'
import { announceShadows, readShadows } from './services/shadows.ts'
import { openTenant } from './services/tenant-context.ts'
import type { StoreOptions } from './store/sql-store.ts'
import type { Store } from './store/store.ts'
import { type BrokerIdentity, brokerId, issueServerCertificate } from './tls/identity.ts'

export interface RunningBroker {
  readonly id: string
  readonly url: string
  /** Stops taking requests, lets the running ones end, closes the store. */
  stop(): Promise<void>
}

/** Another surface on the same services: routes beside the native ones, and a listener that lives as long as the broker. */
export interface Surface {
  readonly routes: readonly Route[]
  open(services: Services): Promise<{ close(): Promise<void> }>
}

const identitySchema = z.strictObject({ certificate: z.string(), key: z.string() })

/**
 * Serves a broker: custody is opened before anything listens, so that a broker whose custody stays shut serves nothing.
 *
 * @throws {VouchsafeError} `custody.wrong-key`, `store.*`, `input.malformed`, `peer.unreachable`
 */
export async function serveBroker(
  config: BrokerConfig,
  options: { readonly log: Services['log']; readonly surface?: Surface } & Pick<
    StoreOptions,
    'adoptHeads' | 'onStatement'
  >,
): Promise<RunningBroker> {
  const clock = () => new Date()
  const shadows = config.shadows === undefined ? {} : readShadows(config.shadows)
  announceShadows(shadows, clock(), options.log)
  const root = openCustodyFile(config.custody.file, readPassphrase(config.custody.passphraseFile))
  const identity = readIdentity(config.identity, root)
  const store = await openStoreOf(config, clock, options)
  try {
    const id = await assertSameBroker(store, root, identity)
    const listening: { url: string } = { url: config.publicUrl }
    const services: Services = {
      store,
      clock,
      log: options.log,
      shadows,
      ...(config.collateral !== undefined && {
        collateral: collateralFinder(config.collateral, { clock, log: options.log }),
      }),
      context: tenantContexts(store, root, identity, id, listening, clock),
    }
    const hosts = [...new Set([config.listen.host, new URL(config.publicUrl).hostname])]
    const server = await listen(
      brokerApp(services, [...ROUTES, ...(options.surface?.routes ?? [])]),
      config.listen,
      await issueServerCertificate(identity, hosts, clock()),
    )
    const url = new URL(config.publicUrl)
    if (config.listen.port === 0) url.port = String(server.port)
    listening.url = url.href.replace(/\/$/, '')
    const beside = await options.surface?.open(services).catch(async (error: unknown) => {
      await server.close()
      throw error
    })
    return {
      id,
      url: listening.url,
      stop: async () => {
        await beside?.close()
        await server.close()
        await store.close()
      },
    }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** The store, the custody file and the identity must be one broker's; a replica started with another's refuses (decision 17). */
async function assertSameBroker(store: Store, root: RootKey, identity: BrokerIdentity): Promise<string> {
  const known = await store.identity()
  if (known === null) throw new VouchsafeError('store.unknown', 'the store was never initialised: run broker init')
  if (!nodeCrypto.equal(known.rootCheck, root.checkValue()))
    throw new VouchsafeError(
      'custody.wrong-key',
      'the custody file is not the one that this store’s keys are wrapped under',
    )
  const id = brokerId(identity.certificate)
  if (known.broker !== id)
    throw new VouchsafeError('custody.wrong-key', `the store belongs to ${known.broker}, the identity is ${id}`)
  return id
}

/** Opens tenants when they are first asked for, and keeps them open. */
function tenantContexts(
  store: Store,
  root: RootKey,
  identity: BrokerIdentity,
  id: string,
  listening: { readonly url: string },
  clock: () => Date,
) {
  const open = new Map<string, TenantContext>()
  return async (tenant: string): Promise<TenantContext> => {
    const known = open.get(tenant)
    if (known !== undefined) return known
    const stored = await store.identity()
    if (stored === null) throw new VouchsafeError('internal', 'the store lost its identity')
    const context = await openTenant(
      store,
      root,
      { brokerId: id, profile: stored.profile, publicUrl: listening.url, identity: identity.certificate },
      tenant,
      clock(),
    )
    open.set(tenant, context)
    return context
  }
}

function readIdentity(file: string, root: RootKey): BrokerIdentity {
  const { certificate, key } = parseSchema(
    identitySchema,
    parseStrictJson(readFileSync(file), { maxBytes: 16_384 }),
    file,
  )
  return { certificate: fromBase64(certificate), privateKey: root.unwrap(['identity'], fromBase64(key)) }
}
