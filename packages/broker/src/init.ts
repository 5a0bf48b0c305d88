import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import {
  type BrokerPin,
  SIMULATOR_OID,
  Secret,
  VouchsafeError,
  digestOf,
  fromBase64,
  logOrigin,
  nameSchema,
  ownerKeySchema,
  parseSchema,
  parseStrictJson,
  toBase64,
  utf8,
  x509,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { z } from 'zod'
import { type BrokerConfig, configSchema } from './config.ts'
import { logSigner } from './custody/log-signer.ts'
import { type RootKey, createCustodyFile, readPassphrase } from './custody/root-key.ts'
import { openTenantKeys } from './custody/tenant-keys.ts'
import { openStoreOf } from './open-store.ts'
import { anchorsChange, anchorsSchema } from './services/anchors.ts'
import { OWNER_SETTING, openTenant } from './services/tenant-context.ts'
import { brokerId, createIdentity } from './tls/identity.ts'

/** What `broker init` is told. The profile can never change afterwards (decision 9). */
export const initSchema = z.strictObject({
  directory: z.string().min(1),
  profile: z.enum(['production', 'simulated']),
  listen: z.strictObject({ host: z.string().min(1), port: z.number().int().min(0).max(65_535) }),
  publicUrl: z.url({ protocol: /^https$/ }),
  /** Left out: an SQLite file in the directory. */
  postgresUrl: z.string().min(1).optional(),
  /** Left out: a random passphrase is written beside the custody file, for trying things out. */
  passphraseFile: z.string().min(1).optional(),
  tenants: z
    .array(z.strictObject({ id: nameSchema, owner: nameSchema, ownerKey: ownerKeySchema, anchors: anchorsSchema }))
    .min(1)
    .max(64),
})
export type InitRequest = z.output<typeof initSchema>

/**
 * Makes a broker: custody, identity, store, and its first tenants with their first owner keys. Writes `broker.json` and
 * one pin a tenant, for owners and agreements.
 *
 * @throws {VouchsafeError} `request.conflict` when the directory holds a broker already; `endorsement.untrusted` for an
 *   anchor that the profile does not admit.
 */
export async function initBroker(
  request: InitRequest,
  at: Date,
): Promise<{ readonly config: string; readonly pins: readonly BrokerPin[] }> {
  const directory = path.resolve(request.directory)
  const configFile = path.join(directory, 'broker.json')
  if (existsSync(configFile))
    throw new VouchsafeError('request.conflict', `${configFile} is there already: a broker is made once`)
  for (const { anchors } of request.tenants) assertAnchors(request.profile, anchors)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const passphraseFile =
    request.passphraseFile === undefined ? newPassphrase(directory) : path.resolve(request.passphraseFile)
  const config: BrokerConfig = parseSchema(
    configSchema,
    {
      listen: request.listen,
      publicUrl: request.publicUrl,
      store:
        request.postgresUrl === undefined
          ? { kind: 'sqlite', file: path.join(directory, 'broker.sqlite') }
          : { kind: 'postgres', url: request.postgresUrl },
      custody: { file: path.join(directory, 'custody.json'), passphraseFile },
      identity: path.join(directory, 'identity.json'),
      headGuard: path.join(directory, 'heads'),
    },
    'configuration',
  )
  const root = createCustodyFile(config.custody.file, readPassphrase(passphraseFile))
  const identity = await createIdentity(at)
  const broker = brokerId(identity.certificate)
  const wrapped = root.wrap(['identity'], identity.privateKey)
  writeFileSync(
    config.identity,
    `${JSON.stringify({ certificate: toBase64(identity.certificate), key: toBase64(wrapped) })}\n`,
    { mode: 0o600, flag: 'wx' },
  )
  const pins = await initStore(request, config, root, broker, identity.certificate, at)
  for (const pin of pins)
    writeFileSync(path.join(directory, `${pin.tenant}.pin.json`), `${JSON.stringify(pin, null, 2)}\n`, { mode: 0o644 })
  writeFileSync(configFile, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600, flag: 'wx' })
  return { config: configFile, pins }
}

async function initStore(
  request: InitRequest,
  config: BrokerConfig,
  root: RootKey,
  broker: string,
  identity: Uint8Array,
  at: Date,
): Promise<readonly BrokerPin[]> {
  const store = await openStoreOf(config, () => new Date())
  try {
    await store.initialise({ profile: request.profile, broker, rootCheck: root.checkValue() })
    const pins: BrokerPin[] = []
    for (const { id, owner, ownerKey, anchors } of request.tenants) {
      const signer = await firstSigner(store, root, request.profile, broker, id, at)
      await store.createTenant({ id, name: id }, signer)
      await store.append({
        tenant: id,
        entry: {
          kind: 'principal.added',
          subject: owner,
          digest: digestOf(utf8(ownerKey), nodeCrypto),
          facts: { role: 'owner', by: 'broker init' },
        },
        changes: [
          { change: 'principal.add', principal: { key: ownerKey, party: owner, role: 'owner' } },
          { change: 'setting.put', name: OWNER_SETTING, value: utf8(owner) },
          anchorsChange(anchors),
        ],
        signer,
      })
      const facts = { brokerId: broker, profile: request.profile, publicUrl: request.publicUrl, identity }
      pins.push((await openTenant(store, root, facts, id, at)).pin)
    }
    return pins
  } finally {
    await store.close()
  }
}

async function firstSigner(
  store: Awaited<ReturnType<typeof openStoreOf>>,
  root: RootKey,
  profile: InitRequest['profile'],
  broker: string,
  tenant: string,
  at: Date,
) {
  const keys = await openTenantKeys(store, root, tenant, at)
  return logSigner(logOrigin({ profile, broker, tenant }), keys.log.key)
}

/**
 * A production store has no place for a simulator's anchor: neither one that says so by its class, nor one that a
 * simulator made (decision 9). What nobody can do is recognise a software TPM under a root that its owner declares genuine.
 */
function assertAnchors(profile: InitRequest['profile'], anchors: z.output<typeof anchorsSchema>): void {
  for (const anchor of anchors) {
    const { certificate } = x509.parseAnchor(fromBase64(anchor.certificate, 'anchor'), anchor)
    const simulated = certificate.extensions.has(SIMULATOR_OID)
    if (profile === 'production' && (anchor.class === 'simulated' || simulated))
      throw new VouchsafeError(
        'endorsement.untrusted',
        `anchor ${anchor.name} is a simulator’s: a production store cannot accept it`,
      )
    if (simulated && anchor.class !== 'simulated')
      throw new VouchsafeError(
        'endorsement.untrusted',
        `anchor ${anchor.name} was made by a simulator, and cannot have the class ${anchor.class}`,
      )
  }
}

function newPassphrase(directory: string): string {
  const file = path.join(directory, 'passphrase')
  const secret = new Secret(randomBytes(24))
  writeFileSync(file, `${toBase64(secret.expose())}\n`, { mode: 0o600, flag: 'wx' })
  return file
}

/** @throws {VouchsafeError} `input.malformed`, `input.unknown-member` */
export function readInitRequest(file: string): InitRequest {
  return parseSchema(initSchema, parseStrictJson(readFileSync(file), { maxBytes: 4 * 1024 * 1024 }), file)
}
