import { X509Certificate, createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { OwnerClient, PrincipalKey } from '@vouchsafe/client'
import { DistributorConnection, type FetchOptions, fetchSecrets } from '@vouchsafe/client/distributor'
import {
  type BrokerPin,
  type ClientTermsBody,
  digestOf,
  replayRecord,
  signStatement,
  toBase64,
  utf8,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { type SimulatedGuest, SimulatorManufacturer, startSimulatedGuest } from '@vouchsafe/simulator'
import { TEMPLATES, Tpm, toKeyObject } from '@vouchsafe/tpm'
import type { TemplateName } from '@vouchsafe/tpm/codec'
import {
  GCE_ISSUER,
  type GceInstanceSpec,
  GcePlatform,
  TlsAuthority,
  type TlsIdentity,
  gceRecording,
} from '@vouchsafe/testkit'
import { type Choices, LocalTpm, newTerms } from 'vouchsafe/distributor'
import { readConfig } from '../config.ts'
import { readDistributorConfig } from '../distributor/config.ts'
import { type DistributorParts, distributorSurface } from '../distributor/serve.ts'
import { initBroker } from '../init.ts'
import { type RunningBroker, serveBroker } from '../serve.ts'

export const AUDIENCE = 'https://tokenservice'
export const SERVER_NAME = 'tokenservice.example'
export const IMAGE = 'projects/cos-cloud/global/images/cos-stable-121'

export type Transport = 'tls' | 'mtls' | 'platform'

/** Alice's distributor with a real broker behind it, Bob's machine with a real software TPM, and a fake platform. */
export class DistributorWorld {
  readonly directory: string
  readonly platform = new GcePlatform()
  readonly manufacturer = SimulatorManufacturer.create()
  readonly owner = PrincipalKey.generate()
  readonly logged: { readonly event: string; readonly fields: Readonly<Record<string, unknown>> }[] = []
  machine!: SimulatedGuest
  servers!: TlsAuthority
  clients!: TlsAuthority
  client!: TlsIdentity
  instance!: GceInstanceSpec
  pin!: BrokerPin
  alice!: OwnerClient
  broker!: RunningBroker
  grpc!: { readonly host: string; readonly port: number }

  private constructor(directory: string) {
    this.directory = directory
  }

  static async start(
    options: {
      readonly transport?: Transport
      /** RSA keys take a software TPM seconds. */
      readonly keys?: 'rsa' | 'ecc'
      readonly instance?: Partial<GceInstanceSpec>
      readonly parts?: DistributorParts
      readonly config?: Readonly<Record<string, unknown>>
    } = {},
  ): Promise<DistributorWorld> {
    const world = new DistributorWorld(mkdtempSync(path.join(tmpdir(), 'vs-dist-')))
    world.machine = await startSimulatedGuest({
      directory: path.join(world.directory, 'g'),
      manufacturer: world.manufacturer,
    })
    const { ek, ak } = await world.publishedKeys(options.keys ?? 'ecc')
    world.instance = {
      id: '5055893581146000589',
      address: '34.121.225.36',
      image: IMAGE,
      endorsementKey: ek,
      attestationKey: ak,
      ...options.instance,
    }
    world.servers = await TlsAuthority.create('servers')
    world.clients = await TlsAuthority.create('clients')
    world.client = await world.clients.issue([
      { type: 'email', value: 'tokenclient@client-project.iam.gserviceaccount.com' },
    ])
    mkdirSync(path.join(world.directory, 'instances'))
    world.publish()
    await world.#makeBroker(options.transport ?? 'mtls', options.config ?? {})
    await world.serve(options.parts)
    return world
  }

  /** What the platform would publish of the machine's TPM, PEM. */
  async publishedKeys(kind: 'rsa' | 'ecc'): Promise<{ readonly ek: string; readonly ak: string }> {
    await using tpm = await Tpm.open(this.machine.tpm)
    const pemOf = async (template: TemplateName) => {
      await using key = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES[template] })
      return toKeyObject(key.public).export({ format: 'pem', type: 'spki' }).toString()
    }
    return kind === 'rsa'
      ? { ek: await pemOf('ekRsa2048'), ak: await pemOf('akRsa2048') }
      : { ek: await pemOf('ekEccP256'), ak: await pemOf('akEccP256') }
  }

  /** Puts the platform's answers and keys where the distributor reads them. */
  publish(changes: Partial<GceInstanceSpec> = {}): void {
    const spec = { ...this.instance, ...changes }
    const write = (name: string, value: unknown) =>
      writeFileSync(path.join(this.directory, name), JSON.stringify(value))
    write(`instances/${spec.id}.json`, gceRecording(spec))
    write('jwks.json', this.platform.jwks())
  }

  async #makeBroker(transport: Transport, extra: Readonly<Record<string, unknown>>): Promise<void> {
    const anchors = [
      { name: 'simulator', class: 'simulated' as const, certificate: toBase64(this.manufacturer.certificate) },
    ]
    await initBroker(
      {
        directory: path.join(this.directory, 'alice'),
        profile: 'simulated',
        listen: { host: '127.0.0.1', port: 0 },
        publicUrl: 'https://127.0.0.1:0',
        tenants: [{ id: 'alice', owner: 'alice', ownerKey: this.owner.key, anchors }],
      },
      new Date(),
    )
    const server = await this.servers.issue([{ type: 'dns', value: SERVER_NAME }])
    const write = (name: string, text: string) => writeFileSync(path.join(this.directory, name), text, { mode: 0o600 })
    write('server.pem', server.certificate)
    write('server.key', server.key)
    write('clients.pem', this.clients.certificate)
    const files = { certificate: { file: 'server.pem' }, key: { file: 'server.key' } }
    write(
      'distributor.json',
      JSON.stringify({
        broker: 'alice/broker.json',
        tenant: 'alice',
        listen: { host: '127.0.0.1', port: 0 },
        transport:
          transport === 'tls'
            ? { kind: 'tls', ...files }
            : { kind: transport, ...files, clientAuthorities: { file: 'clients.pem' } },
        identity: { issuer: GCE_ISSUER, audience: AUDIENCE, keys: { kind: 'file', file: 'jwks.json' } },
        instances: { kind: 'recorded', directory: 'instances' },
        ...extra,
      }),
    )
  }

  async serve(parts?: DistributorParts): Promise<void> {
    const config = readDistributorConfig(path.join(this.directory, 'distributor.json'))
    const surface = distributorSurface(config, parts)
    this.broker = await serveBroker(readConfig(config.broker), {
      log: (event, fields) => void this.logged.push({ event, fields }),
      surface,
    })
    this.grpc = surface.listening()
    const pinFile = path.join(this.directory, 'alice', 'alice.pin.json')
    this.pin = { ...(JSON.parse(readFileSync(pinFile, 'utf8')) as BrokerPin), url: this.broker.url }
    this.alice = new OwnerClient(this.pin, this.owner, { timeoutMs: 20_000 })
  }

  /** The machine's boot registers, as an owner pins them. */
  registers(...numbers: readonly number[]): Record<string, string[]> {
    const wanted = numbers.length === 0 ? Object.keys(this.machine.registers) : numbers.map(String)
    return Object.fromEntries(wanted.map((n) => [n, [this.machine.registers[n] ?? '']]))
  }

  /** What Alice would choose; each test changes what it is about. */
  choices(changes: Partial<Choices> = {}): Choices {
    return {
      owner: { id: 'alice', key: this.owner.key },
      purpose: 'count sheep',
      previous: null,
      at: new Date(),
      lifetimeSeconds: 3600,
      identityMaxAgeSeconds: 30,
      images: [IMAGE],
      metadataKeys: [],
      allowManagementAgent: false,
      address: null,
      certificate: null,
      tpm: { registers: this.registers(), bootLog: 'required', leastClass: 'simulated' },
      memoryEncryption: 'any',
      deliver: { to: 'sealed', times: 100 },
      secrets: [{ name: 'secret1', type: 'RAW', data: toBase64(utf8('fooobar')) }],
      ...changes,
    }
  }

  get thumbprint(): string {
    return createHash('sha256').update(new X509Certificate(this.client.certificate).raw).digest('hex')
  }

  /** Alice reviews, and approves as `choices` say; values are those of the choices' secrets. */
  async provision(
    changes: Partial<Choices> = {},
    edit: (body: ClientTermsBody) => ClientTermsBody = (body) => body,
  ): Promise<string> {
    const choices = this.choices(changes)
    const reviewed = await this.review()
    const previous = reviewed.terms?.digest ?? null
    const body = edit(newTerms(reviewed.facts, { ...choices, previous }))
    const terms = utf8(JSON.stringify(body))
    const secrets = choices.secrets.flatMap(({ name, data }) => (data === undefined ? [] : [{ name, value: data }]))
    const statement = this.approval(terms, body)
    return (await this.alice.provisionClient({ terms: toBase64(terms), statement, secrets })).digest
  }

  approval(terms: Uint8Array, body: ClientTermsBody, key = this.owner) {
    const envelope = signStatement(
      {
        says: 'approve',
        agreement: digestOf(terms, nodeCrypto),
        owner: 'alice',
        key: key.key,
        purpose: body.purpose,
        issued: new Date(Date.now() - 1000).toISOString(),
        expires: body.expires,
      },
      (bytes) => key.sign(bytes),
    )
    return { ...envelope, signatures: envelope.signatures.map((s) => ({ ...s })) }
  }

  review() {
    const { id, name = 'tokenclient', project = 'client-project', zone = 'us-central1-a' } = this.instance
    return this.alice.reviewInstance({ project, zone, name, instance: id })
  }

  document(overrides: Readonly<Record<string, unknown>> = {}): string {
    return this.platform.document(this.instance, AUDIENCE, overrides)
  }

  connect(
    options: { readonly document?: () => string; readonly identity?: TlsIdentity | null } = {},
  ): DistributorConnection {
    const identity = options.identity === undefined ? this.client : options.identity
    return new DistributorConnection(
      {
        host: this.grpc.host,
        port: this.grpc.port,
        authority: this.servers.certificate,
        serverName: SERVER_NAME,
        ...(identity !== null && {
          identity: { certificate: identity.certificate, key: identity.key },
        }),
      },
      async () => (options.document ?? (() => this.document()))(),
    )
  }

  /** Bob's client, whole: with its TPM unless told. */
  async fetch(
    options: {
      readonly document?: () => string
      readonly identity?: TlsIdentity | null
      readonly withTpm?: boolean
      readonly keys?: 'rsa' | 'ecc'
      readonly bootLog?: string
      readonly token?: FetchOptions['token']
    } = {},
  ) {
    const connection = this.connect(options)
    try {
      const { token } = options
      const common = { broker: this.pin, instance: this.instance.id, ...(token !== undefined && { token }) }
      if (options.withTpm === false) return await fetchSecrets(connection, { ...common, tpm: null })
      await using tpm = await LocalTpm.open({
        address: this.machine.tpm,
        bootLog: options.bootLog ?? this.machine.bootLog,
        keys: options.keys ?? 'ecc',
      })
      return await fetchSecrets(connection, { ...common, tpm })
    } finally {
      connection.close()
    }
  }

  /** The machine's TPM as its client holds it, for tests that go step by step. */
  openTpm(keys: 'rsa' | 'ecc' = 'ecc'): Promise<LocalTpm> {
    return LocalTpm.open({ address: this.machine.tpm, bootLog: this.machine.bootLog, keys })
  }

  /** Another machine of the same maker. */
  otherMachine(): Promise<SimulatedGuest> {
    return startSimulatedGuest({
      directory: mkdtempSync(path.join(this.directory, 'm')),
      manufacturer: this.manufacturer,
    })
  }

  /** What the owner reads of a refusal: the codes of its reasons, computed again from the record. */
  async why(
    decision: string | null,
  ): Promise<{ readonly kind: string; readonly reasons: string; readonly codes: readonly string[] }> {
    const { record } = await this.alice.decision(decision ?? '')
    const { reproduced, signed, verdict } = await replayRecord(record, this.pin.decisions, nodeCrypto)
    if (!reproduced || signed !== true) throw new Error('the record does not replay')
    const reasons = verdict.reasons.map((r) => `${r.code}: wanted ${r.expected}, found ${r.actual}`).join('\n')
    return { kind: verdict.kind, reasons, codes: verdict.reasons.map((r) => r.code) }
  }

  /** How a refused fetch is explained to the owner. */
  async whyRefused(run: Promise<unknown>) {
    const refused = await run.then(
      () => null,
      (error: { readonly decision?: string | null; readonly code: string }) => error,
    )
    if (refused === null) throw new Error('it was not refused')
    if (refused.decision === null || refused.decision === undefined)
      throw new Error(`it was refused without record: ${refused.code} ${String(refused)}`)
    return { code: refused.code, ...(await this.why(refused.decision)) }
  }

  async stop(): Promise<void> {
    this.alice?.close()
    await this.broker?.stop()
    await this.machine?.stop()
    rmSync(this.directory, { recursive: true, force: true })
  }
}
