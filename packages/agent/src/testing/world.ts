import { generateKeyPairSync } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type RunningBroker, initBroker, readConfig as readBrokerConfig, serveBroker } from '@vouchsafe/broker'
import { OwnerClient, PrincipalKey, dataRecipient, encryptDataFile, generateDataKey } from '@vouchsafe/client'
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
import { type SimulatedGuest, startSimulatedGuest } from '@vouchsafe/simulator'
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

/** Two clinics and a guest, all real: brokers over TLS, a software TPM, runc. */
export class World {
  readonly directory: string
  readonly guest: SimulatedGuest
  readonly clinics: readonly [Clinic, Clinic]
  readonly agreement: Agreement
  readonly image: string
  readonly recipientKey: KeyObject

  private constructor(parts: {
    directory: string
    guest: SimulatedGuest
    clinics: readonly [Clinic, Clinic]
    agreement: Agreement
    image: string
    recipientKey: KeyObject
  }) {
    this.directory = parts.directory
    this.guest = parts.guest
    this.clinics = parts.clinics
    this.agreement = parts.agreement
    this.image = parts.image
    this.recipientKey = parts.recipientKey
  }

  /** @param script - What the workload runs; descriptors 4 and 5 are the clinics' data, 6 is for the result. */
  static async start(
    script: string,
    change: (body: AgreementBody) => Partial<AgreementBody> = () => ({}),
    image: Parameters<typeof buildShellImage>[2] = {},
  ): Promise<World> {
    const directory = mkdtempSync(path.join(tmpdir(), 'vsa-'))
    const guest = await startSimulatedGuest({ directory: path.join(directory, 'g') })
    const clinics = await Promise.all([
      startClinic(directory, 'clinic-a', guest.manufacturerCertificate),
      startClinic(directory, 'clinic-b', guest.manufacturerCertificate),
    ])
    const digest = await buildShellImage(path.join(directory, 'image'), script, image)
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
    const body = agreementBody(clinics, guest, digest, { kty: 'EC', crv: 'P-256', x, y })
    const bytes = utf8(JSON.stringify({ ...body, ...change(body) }))
    writeFileSync(path.join(directory, 'agreement.json'), bytes)
    const agreement = parseAgreement(bytes, nodeCrypto)
    for (const { owner } of clinics) await owner.proposeAgreement(bytes)
    return new World({ directory, guest, clinics, agreement, image: digest, recipientKey: privateKey })
  }

  /** Writes the agent's configuration; `change` replaces members. */
  config(change: Readonly<Record<string, unknown>> = {}): string {
    const file = path.join(this.directory, 'agent.json')
    const config = {
      tpm: this.guest.tpm,
      bootLog: this.guest.bootLog,
      agreement: 'agreement.json',
      imageLayout: 'image',
      data: Object.fromEntries(this.clinics.map((c) => [`${c.id}/patients/key`, c.dataFile])),
      results: 'results',
      state: 'state',
      workspace: '.',
      waitSeconds: 30,
      ...change,
    }
    writeFileSync(file, JSON.stringify(config))
    return file
  }

  /** Enrols with tickets of both clinics, over standard input. */
  async enrol(): Promise<AgentProcess> {
    const tickets = await Promise.all(
      this.clinics.map(async (c) => [c.id, (await c.owner.issueTicket('guest', 60)).ticket]),
    )
    const agent = startAgent(['enrol', this.config(), '-'], { stdin: JSON.stringify(Object.fromEntries(tickets)) })
    await agent.exit
    return agent
  }

  run(change: Readonly<Record<string, unknown>> = {}): AgentProcess {
    return startAgent(['run', this.config(change)])
  }

  /** Signs an approval, or a withdrawal, and brings it to both brokers. */
  async say(says: 'approve' | 'withdraw', ...speakers: readonly Clinic[]): Promise<void> {
    const now = Date.now()
    for (const clinic of speakers) {
      const common = {
        agreement: this.agreement.digest,
        owner: clinic.id,
        key: clinic.key.key,
        issued: new Date(now - 1000).toISOString(),
      }
      const statement =
        says === 'approve'
          ? ({
              says,
              ...common,
              purpose: this.agreement.body.purpose,
              expires: new Date(now + 3_600_000).toISOString(),
            } as const)
          : ({ says, ...common, reason: 'test' } as const)
      const envelope = signStatement(statement, (bytes) => clinic.key.sign(bytes))
      const copy = { ...envelope, signatures: envelope.signatures.map((s) => ({ ...s })) }
      for (const { owner } of this.clinics) await owner.bringStatement(copy)
    }
  }

  async stop(): Promise<void> {
    for (const { owner, broker } of this.clinics) {
      owner.close()
      await broker.stop()
    }
    await this.guest.stop()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

async function startClinic(directory: string, id: string, manufacturer: Uint8Array): Promise<Clinic> {
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
          anchors: [{ name: 'simulator', class: 'simulated', certificate: toBase64(manufacturer) }],
        },
      ],
    },
    new Date(),
  )
  const broker = await serveBroker(readBrokerConfig(config), { log: () => undefined })
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
  clinics: readonly Clinic[],
  guest: SimulatedGuest,
  image: string,
  recipient: P256Jwk,
): AgreementBody {
  const registers = Object.fromEntries(Object.entries(guest.registers).map(([n, value]) => [n, [value]]))
  return {
    vouchsafe: 'agreement/v1',
    name: 'overlap',
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
