import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { OwnerClient, PrincipalKey } from '@vouchsafe/client'
import {
  type Agreement,
  type AgreementBody,
  type BrokerPin,
  type Secret,
  VouchsafeError,
  parseAgreement,
  signStatement,
  toBase64,
  utf8,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { RawGuest, newP256 } from '../attack/raw-guest.ts'
import { programs } from '../programs.ts'
import { Cleanup, JsonProcess } from './processes.ts'

const START_MS = 30_000

/** One owner: a key, a broker of their own as a process, and the client that they talk to it with. */
export interface Clinic {
  readonly id: string
  readonly name: string
  readonly key: PrincipalKey
  readonly directory: string
  readonly config: string
  pin: BrokerPin
  broker: JsonProcess
  owner: OwnerClient
}

/** Everything that the demo made, and how to end it. */
export class World {
  readonly directory: string
  readonly cleanup: Cleanup
  readonly recipient: ReturnType<typeof newP256> = newP256()
  /** The clinics' data keys: looked for at the end, and to be found nowhere. */
  readonly canaries: Secret[] = []

  constructor() {
    this.cleanup = new Cleanup()
    // short, because unix socket paths are bounded; unguessable, because two demos may run at once
    this.directory = mkdtempSync(path.join(tmpdir(), 'vs-'))
    this.cleanup.add(() => rmSync(this.directory, { recursive: true, force: true }))
  }

  /** Compiled code that the processes share: private to this run, so nobody else can have put anything there. */
  get codeCache(): string {
    return this.file('code')
  }

  /** The agent as guests get it. */
  readonly agentProgram: () => Promise<string> = once(() => this.#oneFile('agent'))
  readonly #brokerProgram = once(() => this.#oneFile('broker'))

  /**
   * A program as one file, which starts in a quarter of the time: made once, while other things start. Where there is
   * nothing to make it with, an installed product, it is one file already.
   */
  async #oneFile(name: keyof typeof programs): Promise<string> {
    const maker = path.join(path.dirname(programs.agent), 'bundle.ts')
    if (!existsSync(maker)) return programs[name]
    const bundle = this.file(`${name}.mjs`)
    await promisify(execFile)(process.execPath, [maker, bundle, programs[name]])
    return bundle
  }

  file(name: string): string {
    return path.join(this.directory, name)
  }

  /** A machine with a software TPM, booted and measured. */
  async startGuest(options: Parameters<typeof RawGuest.start>[0] = {}): Promise<RawGuest> {
    const guest = await RawGuest.start(options)
    this.cleanup.add(() => guest.stop())
    return guest
  }

  /** Makes a broker for one owner, whose store can only ever hold simulated evidence, and starts it. */
  async startClinic(id: string, name: string, manufacturer: Uint8Array): Promise<Clinic> {
    const directory = this.file(id)
    mkdirSync(directory, { mode: 0o700 })
    const key = PrincipalKey.generate()
    const request = {
      directory: path.join(directory, 'broker'),
      profile: 'simulated',
      listen: { host: '127.0.0.1', port: 0 },
      publicUrl: 'https://127.0.0.1:0',
      tenants: [
        {
          id,
          owner: id,
          ownerKey: key.key,
          anchors: [{ name: 'simulated manufacturer', class: 'simulated', certificate: toBase64(manufacturer) }],
        },
      ],
    }
    const requestFile = path.join(directory, 'init.json')
    writeFileSync(requestFile, JSON.stringify(request), { mode: 0o600 })
    const init = new JsonProcess(`broker init of ${id}`, [await this.#brokerProgram(), 'init', requestFile], {
      logFile: this.file(`${id}.log`),
      codeCache: this.codeCache,
    })
    const { config, pins } = await init.line((line) => line as { config: string; pins: BrokerPin[] }, START_MS)
    await init.exited()
    const [pin] = pins
    if (pin === undefined) throw new VouchsafeError('internal', `broker init of ${id} made no tenant`)
    const broker = await this.serve(id, config)
    const clinic: Clinic = {
      id,
      name,
      key,
      directory,
      config,
      pin,
      broker,
      owner: new OwnerClient(pin, key, { timeoutMs: 1 }),
    }
    this.connect(clinic, await readyUrl(broker))
    return clinic
  }

  /** Serves a broker; `preload` runs before it, in the same process. */
  async serve(
    id: string,
    config: string,
    preload: readonly string[] = [],
    flags: readonly string[] = [],
  ): Promise<JsonProcess> {
    const program = await this.#brokerProgram()
    const broker = new JsonProcess(`broker of ${id}`, [...preload, program, 'serve', config, ...flags], {
      logFile: this.file(`${id}.log`),
      codeCache: this.codeCache,
    })
    this.cleanup.add(() => broker.stop())
    return broker
  }

  /** Points a clinic's owner at where their broker listens now. */
  connect(clinic: Clinic, url: string): void {
    clinic.owner.close()
    clinic.pin = { ...clinic.pin, url }
    clinic.owner = new OwnerClient(clinic.pin, clinic.key, { timeoutMs: 20_000 })
    this.cleanup.add(() => clinic.owner.close())
  }
}

/** The same promise for everybody who asks. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => (made ??= make())
}

export function readyUrl(broker: JsonProcess): Promise<string> {
  return broker.line((line) => {
    const { event, url } = line as { event?: string; url?: string }
    return event === 'broker.ready' && url !== undefined ? url : null
  }, START_MS)
}

/** The agreement of the two clinics over one image and one boot. */
export function writeAgreement(
  world: World,
  clinics: readonly Clinic[],
  image: string,
  args: readonly string[],
  registers: Record<string, string[]>,
): Agreement {
  const now = Date.now()
  const body: AgreementBody = {
    vouchsafe: 'agreement/v1',
    name: 'overlap',
    purpose: 'count the patients whom both clinics treat, and the mean systolic pressure over them',
    previous: null,
    notBefore: new Date(now - 60_000).toISOString(),
    expires: new Date(now + 86_400_000).toISOString(),
    owners: clinics.map((c) => ({ id: c.id, keys: [c.key.key], broker: c.pin })),
    quorum: clinics.length,
    workload: { image },
    launch: {
      args: [...args],
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
      resources: [resourceOf(c)],
      when: [{ op: 'at-least-class' as const, value: 'simulated' as const }],
    })),
    result: { recipients: [{ id: 'clinic-a', key: world.recipient.jwk }], minimumCount: 100 },
    leaseSeconds: 120,
  }
  const bytes = utf8(JSON.stringify(body, null, 1))
  writeFileSync(world.file('agreement.json'), bytes)
  return parseAgreement(bytes, nodeCrypto)
}

/** Each clinic's data key has a path that says whose it is. */
export function resourceOf(clinic: Pick<Clinic, 'id'>): string {
  return clinic.id === 'clinic-a' ? 'patients-a/key' : 'patients-b/key'
}

/** Signs one owner's approval, and brings it to every broker: anyone may carry it. */
export async function approve(clinic: Clinic, agreement: Agreement, everywhere: readonly Clinic[]): Promise<void> {
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
  for (const { owner } of everywhere) await owner.bringStatement(statement)
}
