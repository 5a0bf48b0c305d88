import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import path from 'node:path'
import { GuestClient, OwnerClient, PrincipalKey } from '@vouchsafe/client'
import {
  type Agreement,
  type BrokerPin,
  EMPTY_FRONTIER,
  appendLeaf,
  leafHash,
  parseAgreement,
  toBase64,
  utf8,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { SimulatorManufacturer } from '@vouchsafe/simulator'
import { RawGuest } from 'vouchsafe/attack/raw-guest'
import { readConfig } from '../../packages/broker/src/config.ts'
import { logSigner } from '../../packages/broker/src/custody/log-signer.ts'
import { openCustodyFile, readPassphrase } from '../../packages/broker/src/custody/root-key.ts'
import { openTenantKeys } from '../../packages/broker/src/custody/tenant-keys.ts'
import { initBroker } from '../../packages/broker/src/init.ts'
import { openStoreOf } from '../../packages/broker/src/open-store.ts'
import type { PostgresServer } from '../../packages/broker/src/store/testing/postgres-server.ts'
import { agreementOf, approve, launchOf } from '../../packages/broker/src/testing/two-clinics.ts'
import { fillPostgres, fillSqlite } from '../stores/fill.ts'
import { type NamedSize, history } from '../stores/history.ts'
import type { Usage } from './broker.ts'

const ID = 'clinic'
export const RESOURCE = 'patients/key'
const PROGRAM = new URL('broker.ts', import.meta.url).pathname

/** Where a clinic's broker keeps its state. */
export type Place =
  | { readonly kind: 'SQLite' }
  | { readonly kind: 'PostgreSQL'; readonly server: PostgresServer; readonly database: string }

/** One owner whose broker has lived for a while and runs as a process, and one enrolled guest on a software TPM. */
export interface Clinic {
  readonly name: string
  readonly size: NamedSize
  readonly place: Place
  readonly pin: BrokerPin
  readonly owner: OwnerClient
  readonly guest: RawGuest
  readonly client: GuestClient
  readonly agreement: Agreement
  readonly machine: string
  usage(): Promise<Usage>
  stop(): Promise<void>
}

export async function startClinic(
  directory: string,
  place: Place,
  size: NamedSize,
  manufacturer: SimulatorManufacturer,
): Promise<Clinic> {
  const key = PrincipalKey.generate()
  const guest = await RawGuest.start({ manufacturer })
  const certificate = toBase64(guest.machine.manufacturerCertificate)
  const made = await initBroker(
    {
      directory: path.join(directory, `${place.kind}-${size.entries}`),
      profile: 'simulated',
      listen: { host: '127.0.0.1', port: 0 },
      publicUrl: 'https://127.0.0.1:0',
      ...(place.kind === 'SQLite' ? {} : { postgresUrl: place.server.url(place.database) }),
      tenants: [{ id: ID, owner: ID, ownerKey: key.key, anchors: [{ name: 'sim', class: 'simulated', certificate }] }],
    },
    new Date(),
  )
  await age(made.config, place, size)
  const child = fork(PROGRAM, [made.config], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const { url } = await answerOf<{ url: string }>(child)
  const [initial] = made.pins
  if (initial === undefined) throw new Error('a broker without a tenant')
  const pin = { ...initial, url }
  const owner = new OwnerClient(pin, key, { timeoutMs: 30_000 })
  const client = new GuestClient(pin, { timeoutMs: 30_000 })
  const clinic = { id: ID, key, pin, owner }
  const agreement = parseAgreement(utf8(JSON.stringify(agreementOf([clinic], guest.pins()))), nodeCrypto)
  await owner.putResource(RESOURCE, utf8('a data key of thirty-two bytes..'), 0)
  await owner.proposeAgreement(agreement.bytes)
  await approve(clinic, agreement, [clinic])
  await guest.launch(launchOf(agreement))
  return {
    name: `${place.kind}, ${size.name}`,
    size,
    place,
    pin,
    owner,
    guest,
    client,
    agreement,
    machine: await guest.enrol(client, (await owner.issueTicket('guest', 600)).ticket),
    async usage() {
      const answer = answerOf<Usage>(child)
      child.send('usage')
      return await answer
    },
    async stop() {
      owner.close()
      client.close()
      const ended = once(child, 'exit')
      child.disconnect()
      await ended
      await guest.stop()
    },
  }
}

/** Gives a new broker the past of an old one: the rows, and a head that its own log key signs. */
async function age(configFile: string, place: Place, size: NamedSize): Promise<void> {
  const config = readConfig(configFile)
  const store = await openStoreOf(config, () => new Date())
  const root = openCustodyFile(config.custody.file, readPassphrase(config.custody.passphraseFile))
  const keys = await openTenantKeys(store, root, ID, new Date())
  const tenant = await store.tenant(ID)
  if (tenant === null) throw new Error('a broker without its tenant')
  let frontier = EMPTY_FRONTIER
  for (const { entry } of await store.entries(ID, 0, 100))
    frontier = appendLeaf(frontier, leafHash(entry, nodeCrypto), nodeCrypto).frontier
  await store.close()
  const rows = history(ID, size, { frontier, origin: tenant.origin }, logSigner(tenant.origin, keys.log.key))
  if (config.store.kind === 'sqlite') fillSqlite(config.store.file, ID, rows)
  else if (place.kind === 'PostgreSQL') await fillPostgres(place.server, place.database, ID, rows)
  // the head that was kept outside is of before: the broker adopts the one it finds
  rmSync(config.headGuard, { recursive: true, force: true })
}

async function answerOf<T>(child: ChildProcess): Promise<T> {
  return await new Promise((resolve, reject) => {
    const ended = (status: number | null): void => reject(new Error(`the broker ended with ${status}`))
    child.once('exit', ended)
    child.once('message', (message) => {
      child.off('exit', ended)
      resolve(message as T)
    })
  })
}
