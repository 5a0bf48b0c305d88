import path from 'node:path'
import {
  buildImage,
  type Descriptor,
  type Digest,
  ImageLayout,
  parseReference,
  pushImage,
  RegistryClient,
} from '@vouchsafe/image'
import {
  decideBySignatures,
  type ImageDecision,
  parsePolicy,
  type PolicyPorts,
  readMaterialFrom,
} from '@vouchsafe/image/signing'
import { DockerRegistry } from './peers.ts'

export interface Published {
  /** Without a tag; `v1` is one. */
  readonly reference: string
  readonly name: { readonly registry: string; readonly path: string }
  readonly digest: Digest
  readonly descriptor: Descriptor
  /** The layout that it was pushed from. */
  readonly directory: string
}

/** Debian's docker-registry, and a fresh image in it for each case, so that signatures of another do not count. */
export class SignedImages {
  readonly host: string
  readonly client: RegistryClient
  readonly #registry: DockerRegistry
  readonly #directory: string
  #count = 0

  private constructor(registry: DockerRegistry, directory: string) {
    this.host = registry.host
    this.client = new RegistryClient({ hosts: { [registry.host]: { plainHttp: true, privateNetwork: true } } })
    this.#registry = registry
    this.#directory = directory
  }

  static async start(directory: string): Promise<SignedImages> {
    return new SignedImages(await DockerRegistry.start(path.join(directory, 'registry')), directory)
  }

  async publish(): Promise<Published> {
    const number = ++this.#count
    const directory = path.join(this.#directory, `image${number}`)
    const files = [{ kind: 'file', path: 'number', bytes: new TextEncoder().encode(String(number)) }] as const
    const layers = [{ kind: 'files', files }] as const
    const { digest, manifest } = await buildImage({ layers, config: {}, name: 'v1' }, directory)
    const name = { registry: this.host, path: `app${number}` }
    await pushImage(await ImageLayout.open(directory), digest, this.client.endpoint(name), { tag: 'v1' })
    return { reference: `${this.host}/app${number}`, name, digest, descriptor: manifest, directory }
  }

  /** What we say under a policy of what a name means now: by its digest, else by its tag. */
  async decide(name: string, policy: object, more: Pick<PolicyPorts, 'registries'> = {}): Promise<ImageDecision> {
    const asked = parseReference(name)
    const reader = this.client.reader(asked)
    const { digest, bytes } =
      asked.digest === undefined
        ? await reader.readTag(asked.tag ?? 'latest')
        : { ...(await reader.readManifest(asked.digest, 1e6)), digest: asked.digest }
    return decideBySignatures(
      { asked, documents: [{ role: 'manifest', digest, bytes }] },
      {
        policy: parsePolicy(new TextEncoder().encode(JSON.stringify(policy))),
        client: this.client,
        material: readMaterialFrom({}),
        at: () => new Date(),
        ...more,
      },
    )
  }

  async stop(): Promise<void> {
    this.client.close()
    await this.#registry.kill()
  }
}

export type Case = readonly [title: string, run: () => Promise<void>]

/** Runs all, says of each how it went, and sets the exit status. */
export async function runCases(cases: readonly Case[]): Promise<void> {
  let failed = 0
  for (const [title, run] of cases) {
    try {
      await run()
      console.log(`ok      ${title}`)
    } catch (error) {
      failed++
      console.log(`FAILED  ${title}\n        ${String(error)}\n${(error as { stderr?: string }).stderr ?? ''}`)
    }
  }
  console.log(`${cases.length - failed} passed, ${failed} failed`)
  process.exitCode = failed === 0 ? 0 : 1
}
