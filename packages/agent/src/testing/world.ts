import { generateKeyPairSync } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type RunningBroker, initBroker, readConfig as readBrokerConfig, serveBroker } from '@vouchsafe/broker'
import {
  OwnerClient,
  PrincipalKey,
  dataRecipient,
  encryptDataFile,
  generateDataKey,
  openResult,
} from '@vouchsafe/client'
import {
  type Agreement,
  type AgreementBody,
  type BrokerPin,
  type P256Jwk,
  type Secret,
  parseAgreement,
  signStatement,
  toBase64,
  utf8,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { type SimulatedGuest, SimulatorManufacturer, startSimulatedGuest } from '@vouchsafe/simulator'
import { enrolMachine } from '../agent.ts'
import { readConfig } from '../config.ts'
import { type AgentProcess, startAgent } from './agent-process.ts'
import { SHELL_ARGS, buildShellImage } from './shell-image.ts'

/** One owner, their running broker, and a data file whose key the broker keeps. */
export interface Clinic {
  readonly id: string
  readonly key: PrincipalKey
  readonly pin: BrokerPin
  readonly owner: OwnerClient
  readonly broker: RunningBroker
  readonly dataKey: Secret
  readonly dataFile: string
  readonly plain: string
}

export interface ScenarioOptions {
  /** What the workload runs; descriptors 4 and 5 are the clinics' data, 6 is for the result. */
  readonly script: string
  /** Replaces members of the agreement. */
  readonly agreement?: (body: AgreementBody) => Partial<AgreementBody>
  readonly image?: Parameters<typeof buildShellImage>[2]
  /** Makes the layout that the agent gets out of the built one. Gives the image's digest in it. */
  readonly seal?: (plain: string, sealed: string) => Promise<string>
  /** Default: both clinics. */
  readonly approvedBy?: readonly ('clinic-a' | 'clinic-b')[]
}

/** Two clinics with real brokers over TLS, in this process. Each scenario has a machine of its own. */
export class World {
  readonly directory: string
  readonly clinics: readonly [Clinic, Clinic]
  readonly #manufacturer: SimulatorManufacturer
  readonly #guests: SimulatedGuest[] = []
  #scenarios = 0

  private constructor(directory: string, clinics: readonly [Clinic, Clinic], manufacturer: SimulatorManufacturer) {
    this.directory = directory
    this.clinics = clinics
    this.#manufacturer = manufacturer
  }

  /**
   * @param log - Called by a broker before it answers.
   * @param cloud - DER of another root that the clinics take, of class `simulated`.
   */
  static async start(log: (event: string) => void = () => undefined, cloud?: Uint8Array): Promise<World> {
    const directory = mkdtempSync(path.join(tmpdir(), 'vsa-'))
    chmodSync(directory, 0o711) // one agent runs as another user
    const manufacturer = SimulatorManufacturer.create()
    const roots = [manufacturer.certificate, ...(cloud === undefined ? [] : [cloud])]
    const start = (id: string) => startClinic(directory, id, roots, log)
    return new World(directory, [await start('clinic-a'), await start('clinic-b')], manufacturer)
  }

  /** A new machine, enrolled with both clinics, and an agreement over one image. */
  async scenario(options: ScenarioOptions): Promise<Scenario> {
    const directory = path.join(this.directory, `s${++this.#scenarios}`)
    mkdirSync(directory, { mode: 0o711 })
    const guest = await startSimulatedGuest({ directory: path.join(directory, 'g'), manufacturer: this.#manufacturer })
    this.#guests.push(guest)
    const built = path.join(directory, options.seal === undefined ? 'image' : 'plain')
    const digest = await buildShellImage(built, options.script, options.image)
    const image = (await options.seal?.(built, path.join(directory, 'image'))) ?? digest
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
    const body = agreementBody(`overlap-${this.#scenarios}`, this.clinics, guest, image, {
      kty: 'EC',
      crv: 'P-256',
      x,
      y,
    })
    const bytes = utf8(JSON.stringify({ ...body, ...options.agreement?.(body) }))
    writeFileSync(path.join(directory, 'agreement.json'), bytes)
    for (const { owner } of this.clinics) await owner.proposeAgreement(bytes)
    const scenario = new Scenario(this, directory, guest, parseAgreement(bytes, nodeCrypto), privateKey)
    const approving = options.approvedBy ?? ['clinic-a', 'clinic-b']
    await scenario.say('approve', ...this.clinics.filter(({ id }) => (approving as readonly string[]).includes(id)))
    return scenario
  }

  /** One-time tickets of both clinics, by owner. */
  async tickets(): Promise<Readonly<Record<string, string>>> {
    const issued = await Promise.all(
      this.clinics.map(async ({ id, owner }) => [id, (await owner.issueTicket('guest', 60)).ticket] as const),
    )
    return Object.fromEntries(issued)
  }

  async stop(): Promise<void> {
    for (const guest of this.#guests) await guest.stop()
    for (const { owner, broker } of this.clinics) {
      owner.close()
      await broker.stop()
    }
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** One machine, one image, one agreement. */
export class Scenario {
  readonly world: World
  readonly directory: string
  readonly guest: SimulatedGuest
  readonly agreement: Agreement
  readonly #recipientKey: KeyObject

  constructor(world: World, directory: string, guest: SimulatedGuest, agreement: Agreement, recipientKey: KeyObject) {
    this.world = world
    this.directory = directory
    this.guest = guest
    this.agreement = agreement
    this.#recipientKey = recipientKey
  }

  /** Writes the agent's configuration; `change` replaces members. */
  config(change: Readonly<Record<string, unknown>> = {}): string {
    const file = path.join(this.directory, 'agent.json')
    const config = {
      tpm: this.guest.tpm,
      bootLog: this.guest.bootLog,
      agreement: 'agreement.json',
      imageLayout: 'image',
      data: Object.fromEntries(this.world.clinics.map((c) => [`${c.id}/patients/key`, c.dataFile])),
      results: 'results',
      state: 'state',
      workspace: '.',
      waitSeconds: 30,
      ...change,
    }
    writeFileSync(file, JSON.stringify(config))
    return file
  }

  /** Enrols within this process: quicker than starting the agent for it. */
  async enrol(): Promise<this> {
    const tickets = path.join(this.directory, 'tickets.json')
    writeFileSync(tickets, JSON.stringify(await this.world.tickets()), { mode: 0o600 })
    await enrolMachine(await readConfig(this.config()), tickets, () => undefined, new AbortController().signal)
    return this
  }

  run(change: Readonly<Record<string, unknown>> = {}, options: { readonly uid?: number } = {}): AgentProcess {
    return startAgent(['run', this.config(change)], options)
  }

  /** The one recipient opens the result. */
  async result(): Promise<unknown> {
    const sealed = readFileSync(path.join(this.directory, 'results', 'clinic-a.jwe'), 'utf8')
    const expected = { agreement: this.agreement.digest, recipient: 'clinic-a' }
    return JSON.parse((await openResult(sealed, expected, this.#recipientKey)).text)
  }

  /** Signs an approval, or a withdrawal, and brings it to both brokers. */
  async say(says: 'approve' | 'withdraw', ...speakers: readonly Clinic[]): Promise<void> {
    const { digest, body } = this.agreement
    const issued = new Date(Date.now() - 1000).toISOString()
    const expires = new Date(Date.now() + 3_600_000).toISOString()
    for (const clinic of speakers) {
      const common = { agreement: digest, owner: clinic.id, key: clinic.key.key, issued }
      const envelope = signStatement(
        says === 'approve' ? { says, ...common, purpose: body.purpose, expires } : { says, ...common, reason: 'test' },
        (bytes) => clinic.key.sign(bytes),
      )
      const statement = { ...envelope, signatures: envelope.signatures.map((s) => ({ ...s })) }
      for (const { owner } of this.world.clinics) await owner.bringStatement(statement)
    }
  }
}

async function startClinic(
  directory: string,
  id: string,
  roots: readonly Uint8Array[],
  log: (event: string) => void,
): Promise<Clinic> {
  const key = PrincipalKey.generate()
  const { config } = await initBroker(
    {
      directory: path.join(directory, id),
      profile: 'simulated',
      listen: { host: '127.0.0.1', port: 0 },
      publicUrl: 'https://127.0.0.1:0',
      tenants: [
        {
          id,
          owner: id,
          ownerKey: key.key,
          anchors: roots.map((root, n) => ({
            name: n === 0 ? 'simulator' : `simulator ${n + 1}`,
            class: 'simulated',
            certificate: toBase64(root),
          })),
        },
      ],
    },
    new Date(),
  )
  const broker = await serveBroker(readBrokerConfig(config), { log })
  const pinFile = path.join(path.dirname(config), `${id}.pin.json`)
  const pin = { ...(JSON.parse(readFileSync(pinFile, 'utf8')) as BrokerPin), url: broker.url }
  const owner = new OwnerClient(pin, key, { timeoutMs: 20_000 })
  const dataKey = await generateDataKey()
  await owner.putResource('patients/key', dataKey.expose(), 0)
  const plain = `canary-${id}-${Math.random().toString(36).slice(2)}`
  const dataFile = path.join(directory, `${id}.age`)
  const encrypted = await encryptDataFile(new Blob([plain]).stream(), await dataRecipient(dataKey))
  writeFileSync(
    dataFile,
    new Uint8Array(await new Response(encrypted as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer()),
  )
  return { id, key, pin, owner, broker, dataKey, dataFile, plain }
}

function agreementBody(
  name: string,
  clinics: readonly Clinic[],
  guest: SimulatedGuest,
  image: string,
  recipient: P256Jwk,
): AgreementBody {
  const registers = Object.fromEntries(Object.entries(guest.registers).map(([n, value]) => [n, [value]]))
  return {
    vouchsafe: 'agreement/v1',
    name,
    purpose: 'count shared patients',
    previous: null,
    notBefore: '2026-01-01T00:00:00Z',
    expires: '2099-01-01T00:00:00Z',
    owners: clinics.map((c) => ({ id: c.id, keys: [c.key.key], broker: c.pin })),
    quorum: clinics.length,
    workload: { image },
    launch: {
      args: [...SHELL_ARGS],
      env: {},
      debug: false,
      network: 'none',
      output: 'closed',
      restart: 'never',
      isolation: ['runc', 'runc-rootless'],
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
    result: { recipients: [{ id: 'clinic-a', key: recipient }], minimumCount: 10 },
    leaseSeconds: 600,
  }
}
