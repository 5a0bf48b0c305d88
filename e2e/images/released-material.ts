import { randomBytes } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type AgreementBody, Secret, utf8 } from '@vouchsafe/core'
import { encryptImage, guestRecipient, ImageLayout, LayoutWriter } from '@vouchsafe/image'
import type { SigningKey } from '@vouchsafe/image/signing'
import type { AgentProcess } from '../../packages/agent/src/testing/agent-process.ts'
import type { Scenario, World } from '../../packages/agent/src/testing/world.ts'
import { newKey, pem } from '../../packages/image/src/testing/signing.ts'
import type { LoopbackRegistry } from './loopback-registry.ts'

const SCRIPT = `M=$(cat <&3); echo "{\\"count\\":42,\\"manifest\\":$M}" >&6`
const RESOURCES = ['images/policy', 'images/ann.pub', 'images/ben.pub', 'images/login', 'images/key']

/** An owner whose broker keeps all that an image is judged and opened by: policy, two keys, the login, the layers' key. */
export class OwnersMaterial {
  readonly ann: SigningKey = newKey()
  readonly ben: SigningKey = newKey('ed25519')
  readonly #kek = new Secret(new Uint8Array(randomBytes(32)))
  readonly #world: World
  readonly #registry: LoopbackRegistry
  readonly #workspace: string

  private constructor(world: World, registry: LoopbackRegistry, workspace: string) {
    this.#world = world
    this.#registry = registry
    this.#workspace = workspace
  }

  /** Puts everything into clinic A's broker. */
  static async keep(world: World, registry: LoopbackRegistry, workspace: string): Promise<OwnersMaterial> {
    const made = new OwnersMaterial(world, registry, workspace)
    const keyPaths = ['kbs:///images/ann.pub', 'kbs:///images/ben.pub']
    const guarded = [{ type: 'sigstoreSigned', keyPaths, signedIdentity: { type: 'matchRepository' } }]
    const docker = {
      [`${registry.host}/open`]: [{ type: 'insecureAcceptAnything' }],
      [`${registry.host}/guarded`]: guarded,
    }
    const policy = JSON.stringify({ default: [{ type: 'reject' }], transports: { docker } })
    const contents = [
      utf8(policy),
      utf8(pem(made.ann)),
      utf8(pem(made.ben)),
      utf8(registry.authFile),
      made.#kek.expose(),
    ]
    const [clinicA] = world.clinics
    for (const [i, resource] of RESOURCES.entries())
      await clinicA.owner.putResource(resource, contents[i] ?? new Uint8Array(), 0)
    return made
  }

  /** An encrypted image in a repository, signed by these keys, and an enrolled machine whose agreement grants all of it. */
  async story(repository: string, ...signers: readonly SigningKey[]): Promise<AgentStory> {
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
    for (const key of signers) await this.#registry.sign(image, repository, key)
    rmSync(layout, { recursive: true })
    writeFileSync(path.join(scenario.directory, 'registries.json'), JSON.stringify(this.#registry.hosts))
    const pull = {
      reference,
      policy: 'kbs:///images/policy',
      authFile: 'kbs://clinic-a/images/login',
      registries: 'registries.json',
    }
    const agent = scenario.run({ imageLayout: undefined, pull, workspace: this.#workspace })
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
