import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { GuestClient, OwnerClient, PrincipalKey } from '@vouchsafe/client'
import {
  type Agreement,
  type AgreementBody,
  type BrokerPin,
  type LaunchClaims,
  parseAgreement,
  signStatement,
  toBase64,
  utf8,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { readConfig } from '../config.ts'
import { initBroker } from '../init.ts'
import { type RunningBroker, serveBroker } from '../serve.ts'
import type { PostgresServer } from '../store/testing/postgres-server.ts'
import { SimulatorManufacturer } from '@vouchsafe/simulator'
import { RawGuest, newP256 } from 'vouchsafe/attack/raw-guest'

export const IMAGE = `sha256:${'1a'.repeat(32)}`

/** One owner with a broker of their own, running. */
export interface TestClinic {
  readonly id: string
  readonly key: PrincipalKey
  readonly pin: BrokerPin
  readonly owner: OwnerClient
  readonly guest: GuestClient
  readonly broker: RunningBroker
  readonly config: string
}

/** Two clinics, one guest, one agreement: real brokers over TLS, a real software TPM. */
export interface TwoClinics {
  /** Certifies the TPMs that the clinics accept. */
  readonly manufacturer: SimulatorManufacturer
  readonly a: TestClinic
  readonly b: TestClinic
  readonly guest: RawGuest
  readonly agreement: Agreement
  /** The guest's machine id, the same at both. */
  readonly machine: string
  readonly directory: string
  /** The events that the brokers logged. */
  readonly logged: { readonly event: string; readonly fields: Readonly<Record<string, unknown>> }[]
  approve(clinic: TestClinic, agreement?: Agreement): Promise<void>
  stop(): Promise<void>
}

export const launchOf = (agreement: Agreement): LaunchClaims => ({
  agreement: agreement.digest,
  image: IMAGE,
  imageReference: 'overlap',
  args: ['/app/run'],
  env: {},
  debug: false,
  network: 'none',
  output: 'closed',
  restart: 'never',
  isolation: 'runc',
  capabilities: [],
  mounts: [],
})

/** A database of each clinic's own. */
export async function postgresUrls(server: PostgresServer): Promise<(clinic: string) => string> {
  const databases = { 'clinic-a': await server.create(), 'clinic-b': await server.create() }
  return (clinic) => server.url(databases[clinic as keyof typeof databases])
}

export async function startTwoClinics(
  options: {
    readonly postgresUrl?: (clinic: string) => string
    readonly agreement?: (body: AgreementBody) => AgreementBody
  } = {},
): Promise<TwoClinics> {
  const directory = mkdtempSync(path.join(tmpdir(), 'vs-clinics-'))
  const logged: TwoClinics['logged'] = []
  const manufacturer = SimulatorManufacturer.create()
  const guest = await RawGuest.start({ manufacturer })
  const start = async (id: string): Promise<TestClinic> => {
    const key = PrincipalKey.generate()
    const postgres = options.postgresUrl === undefined ? {} : { postgresUrl: options.postgresUrl(id) }
    const anchors = [
      { name: 'simulator', class: 'simulated' as const, certificate: toBase64(guest.machine.manufacturerCertificate) },
    ]
    const { config } = await initBroker(
      {
        directory: path.join(directory, id),
        profile: 'simulated',
        listen: { host: '127.0.0.1', port: 0 },
        publicUrl: 'https://127.0.0.1:0',
        ...postgres,
        tenants: [{ id, owner: id, ownerKey: key.key, anchors }],
      },
      new Date(),
    )
    return startClinic(id, key, config, logged)
  }
  const [a, b] = await Promise.all([start('clinic-a'), start('clinic-b')])
  const body = agreementOf([a, b], guest.pins())
  const agreement = parseAgreement(utf8(JSON.stringify(options.agreement?.(body) ?? body)), nodeCrypto)
  let machine = ''
  for (const clinic of [a, b]) {
    await clinic.owner.putResource('patients/key', utf8(`data key of ${clinic.id}`), 0)
    await clinic.owner.proposeAgreement(agreement.bytes)
    machine = await guest.enrol(clinic.guest, (await clinic.owner.issueTicket('guest', 600)).ticket)
  }
  await guest.launch(launchOf(agreement))
  return {
    manufacturer,
    a,
    b,
    guest,
    agreement,
    machine,
    directory,
    logged,
    approve: (clinic, of = agreement) => approve(clinic, of, [a, b]),
    stop: async () => {
      await Promise.all([a, b].map(stopClinic))
      await guest.stop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** Serves a broker that was made before, as a restart does. */
export async function startClinic(
  id: string,
  key: PrincipalKey,
  config: string,
  logged: TwoClinics['logged'],
): Promise<TestClinic> {
  const broker = await serveBroker(readConfig(config), { log: (event, fields) => void logged.push({ event, fields }) })
  const pin = {
    ...(JSON.parse(readFileSync(path.join(path.dirname(config), `${id}.pin.json`), 'utf8')) as BrokerPin),
    url: broker.url,
  }
  return {
    id,
    key,
    pin,
    broker,
    config,
    owner: new OwnerClient(pin, key, { timeoutMs: 20_000 }),
    guest: new GuestClient(pin, { timeoutMs: 20_000 }),
  }
}

export async function stopClinic(clinic: TestClinic): Promise<void> {
  clinic.owner.close()
  clinic.guest.close()
  await clinic.broker.stop()
}

/** An agreement of these owners, each of whom must approve. */
export function agreementOf(
  clinics: readonly Pick<TestClinic, 'id' | 'key' | 'pin'>[],
  registers: Record<string, string[]>,
): AgreementBody {
  return {
    vouchsafe: 'agreement/v1',
    name: 'overlap',
    purpose: 'count shared patients',
    previous: null,
    notBefore: '2026-01-01T00:00:00Z',
    expires: '2099-01-01T00:00:00Z',
    owners: clinics.map((c) => ({ id: c.id, keys: [c.key.key], broker: c.pin })),
    quorum: clinics.length,
    workload: { image: IMAGE },
    launch: {
      args: ['/app/run'],
      env: {},
      debug: false,
      network: 'none',
      output: 'closed',
      restart: 'never',
      isolation: ['runc'],
      capabilities: [],
      mounts: [],
    },
    environment: { leastClass: 'simulated', hostExcluded: false, registers, dangerouslyUnpinnedRegisters: [] },
    grants: clinics.map((c) => ({
      id: `${c.id}-key`,
      owner: c.id,
      resources: ['patients/key'],
      when: [{ op: 'at-least-class' as const, value: 'simulated' as const }],
    })),
    result: { recipients: [{ id: 'clinic-a', key: newP256().jwk }], minimumCount: 10 },
    leaseSeconds: 600,
  }
}

/** One owner's approval, brought to all brokers. */
export async function approve(
  clinic: Pick<TestClinic, 'id' | 'key'>,
  agreement: Agreement,
  everywhere: readonly Pick<TestClinic, 'owner'>[],
): Promise<void> {
  const now = Date.now()
  const envelope = signStatement(
    {
      says: 'approve',
      agreement: agreement.digest,
      owner: clinic.id,
      key: clinic.key.key,
      purpose: agreement.body.purpose,
      issued: new Date(now - 1000).toISOString(),
      expires: new Date(now + 3_600_000).toISOString(),
    },
    (bytes) => clinic.key.sign(bytes),
  )
  const statement = { ...envelope, signatures: envelope.signatures.map((s) => ({ ...s })) }
  for (const other of everywhere) await other.owner.bringStatement(statement)
}
