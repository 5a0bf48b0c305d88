import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type AgreementBody, Secret, utf8 } from '@vouchsafe/core'
import { encryptImage, guestRecipient, ImageLayout, LayoutWriter, parseDigest } from '@vouchsafe/image'
import { type SigningKey, signSimple } from '@vouchsafe/image/signing'
import * as openpgp from 'openpgp'
import type { AgentProcess } from '../../packages/agent/src/testing/agent-process.ts'
import { type Scenario, World } from '../../packages/agent/src/testing/world.ts'
import { newKey, pem } from '../../packages/image/src/testing/signing.ts'
import { LoopbackRegistry } from './loopback-registry.ts'

const SCRIPT = `M=$(cat <&3); echo "{\\"count\\":42,\\"manifest\\":$M}" >&6`
const RESOURCES = ['images/policy', 'images/ann.pub', 'images/ben.pub', 'images/login', 'images/key', 'images/ring.gpg']

/** An owner whose broker keeps all that an image is judged and opened by: policy, two keys, the login, the layers' key. */
export class OwnersMaterial {
  readonly ann: SigningKey = newKey()
  readonly ben: SigningKey = newKey('ed25519')
  /** Two OpenPGP keys that lie in one ring: each as its binary private key. */
  readonly ring: readonly Uint8Array[]
  readonly #kek = new Secret(new Uint8Array(randomBytes(32)))
  /** Where guests unpack: memory, as they must. Empty once they have ended. */
  readonly memory: string
  readonly #world: World
  readonly #registry: LoopbackRegistry

  private constructor(world: World, registry: LoopbackRegistry, memory: string, ring: readonly Uint8Array[]) {
    this.ring = ring
    this.#world = world
    this.#registry = registry
    this.memory = memory
  }

  /** Starts clinics and a registry that wants a password, and puts everything into clinic A's broker. */
  static async start(): Promise<OwnersMaterial> {
    const memory = mkdtempSync('/dev/shm/vsa-released-')
    chmodSync(memory, 0o711)
    const world = await World.start()
    const place = path.join(world.directory, 'images')
    return OwnersMaterial.#keep(world, await LoopbackRegistry.start(place, { password: true }), memory)
  }

  async stop(): Promise<void> {
    await this.#registry.stop()
    await this.#world.stop()
    rmSync(this.memory, { recursive: true, force: true })
  }

  static async #keep(world: World, registry: LoopbackRegistry, memory: string): Promise<OwnersMaterial> {
    const [one, other] = [await pgpKey('one'), await pgpKey('other')]
    const made = new OwnersMaterial(world, registry, memory, [one.secret, other.secret])
    const keyPaths = ['kbs:///images/ann.pub', 'kbs:///images/ben.pub']
    const guarded = [{ type: 'sigstoreSigned', keyPaths, signedIdentity: { type: 'matchRepository' } }]
    const docker = {
      [`${registry.host}/open`]: [{ type: 'insecureAcceptAnything' }],
      [`${registry.host}/guarded`]: guarded,
      [`${registry.host}/ring`]: [{ type: 'signedBy', keyType: 'GPGKeys', keyPath: 'kbs:///images/ring.gpg' }],
    }
    const policy = JSON.stringify({ default: [{ type: 'reject' }], transports: { docker } })
    const contents = [
      utf8(policy),
      utf8(pem(made.ann)),
      utf8(pem(made.ben)),
      utf8(registry.authFile),
      made.#kek.expose(),
      new Uint8Array(Buffer.concat([one.public, other.public])),
    ]
    const [clinicA] = world.clinics
    for (const [i, resource] of RESOURCES.entries())
      await clinicA.owner.putResource(resource, contents[i] ?? new Uint8Array(), 0)
    return made
  }

  /** An encrypted image in a repository, signed by these keys (OpenPGP's into a store of files), and an enrolled machine whose agreement grants all of it. */
  async story(repository: string, ...signers: readonly (SigningKey | Uint8Array)[]): Promise<AgentStory> {
    const scenario = await this.#world.scenario({
      script: SCRIPT,
      agreement: grantImages,
      seal: async (plain, sealed) => {
        const source = await ImageLayout.open(plain)
        const [only] = source.index.manifests
        if (only === undefined) throw new Error('nothing was built')
        const recipients = [guestRecipient(this.#kek, { resource: 'images/key' })]
        const request = { source, digest: only.digest, recipients, name: 'v1' }
        const { digest } = await encryptImage(request, await LayoutWriter.open(sealed))
        rmSync(plain, { recursive: true })
        return digest
      },
    })
    await scenario.enrol()
    const { image } = scenario.agreement.body.workload
    const layout = path.join(scenario.directory, 'image')
    const reference = await this.#registry.publish(layout, image, repository)
    const store = path.join(scenario.directory, 'store')
    for (const key of signers)
      if (!(key instanceof Uint8Array)) await this.#registry.sign(image, repository, key)
      else {
        const what = { digest: parseDigest(image), dockerReference: `${this.#registry.host}/${repository}:v1` }
        const { message } = await signSimple(what, key, { at: new Date() })
        const place = path.join(store, `${repository}@${image.replace(':', '=')}`)
        mkdirSync(place, { recursive: true })
        writeFileSync(path.join(place, 'signature-1'), message)
      }
    rmSync(layout, { recursive: true })
    writeFileSync(path.join(scenario.directory, 'registries.json'), JSON.stringify(this.#registry.hosts))
    const registriesD = path.join(scenario.directory, 'registries.d')
    mkdirSync(registriesD)
    const places = `default-docker: {lookaside: "file://${store}", use-sigstore-attachments: true}\n`
    writeFileSync(path.join(registriesD, 'default.yaml'), places)
    const pull = {
      registriesD: 'registries.d',
      reference,
      policy: 'kbs:///images/policy',
      authFile: 'kbs://clinic-a/images/login',
      registries: 'registries.json',
    }
    const agent = scenario.run({ imageLayout: undefined, pull, workspace: this.memory })
    return { scenario, agent, status: await agent.exit, events: agent.events.map(({ event }) => event) }
  }
}

export interface AgentStory {
  readonly scenario: Scenario
  readonly agent: AgentProcess
  readonly status: number | string
  readonly events: readonly string[]
}

function grantImages({ grants }: AgreementBody): Partial<AgreementBody> {
  const [first] = grants
  if (first === undefined) throw new Error('no grant to take after')
  return { grants: [...grants, { ...first, id: 'image', owner: 'clinic-a', resources: RESOURCES }] }
}

async function pgpKey(name: string): Promise<{ readonly secret: Uint8Array; readonly public: Uint8Array }> {
  const date = new Date(Date.now() - 3_600_000)
  const made = await openpgp.generateKey({ userIDs: [{ name }], format: 'binary', date })
  return { secret: made.privateKey, public: made.publicKey }
}
