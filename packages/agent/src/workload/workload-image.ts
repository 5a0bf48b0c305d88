import type { Agreement } from '@vouchsafe/core'
import type { Launch } from '@vouchsafe/tpm/eventlog'
import type { Config } from '../config.ts'
import { AgentError } from '../errors.ts'
import type { Emit } from '../events.ts'
import type { OwnersRelease } from '../session/gather.ts'
import { admitImage, type AdmittedImage } from './admit-image.ts'
import { assertInMemory, imageKeys, releasedKeys } from './image-keys.ts'
import { configuredMaterial, grantedResource, readImageMaterial } from './image-material.ts'
import { type ImageOrigin, isReleased } from './image-origin.ts'
import type { ImageUser } from './image-user.ts'
import { prepareImage } from './prepare-image.ts'

interface Options {
  readonly config: Config
  readonly agreement: Agreement
  readonly launch: Launch
  readonly emit: Emit
  readonly signal: AbortSignal
}

/**
 * The image of one launch, from where the configuration says to where it lies unpacked. What can be refused without
 * asking an owner is refused by `open`; what owners must release for it first waits for `unpack`.
 */
export class WorkloadImage implements Disposable {
  readonly #options: Options
  readonly #own: Set<string>
  #admitted: AdmittedImage | undefined
  #prepared: ImageUser | undefined

  private constructor(options: Options, own: Set<string>) {
    this.#options = options
    this.#own = own
  }

  /**
   * Resources that open or judge the image, as `owner/resource/path`: for the agent, and none of the workload's. All of
   * them are known once the image is unpacked.
   */
  get resources(): ReadonlySet<string> {
    return this.#own
  }

  /**
   * @throws {ImageError} when its documents are not what their digests say, or its policy refuses it
   * @throws {AgentError} `workload.other-image`, `workload.storage`, `workload.material`, `workload.image-key`, `data.missing`
   */
  static async open(options: Options, bundle: string): Promise<WorkloadImage> {
    const { config, agreement } = options
    const origin = config.image
    assertIsLaunched(origin, options.launch)
    const own = new Set((await wantedFirst(origin)).map((uri) => grantedResource(uri, agreement).name))
    const image = new WorkloadImage(options, own)
    image.#assertIsNoData()
    // a pulled one lies nowhere yet: it goes where no host can change it, and nothing in the clear onto a disk (H12)
    if (origin.kind === 'registry') await assertInMemory(config.workspace, 'it is pulled')
    if (own.size > 0) return image
    try {
      const admitted = await image.#admit([], options.signal)
      if (own.size === 0) await image.#unpackInto(bundle, admitted, { releases: [], signal: options.signal })
      return image
    } catch (error) {
      image[Symbol.dispose]()
      throw error
    }
  }

  /**
   * Makes the bundle, unless that is done.
   *
   * @param lost - Aborted when what was released may no longer be used.
   * @returns Who the workload runs as.
   */
  async unpack(bundle: string, releases: readonly OwnersRelease[], lost: AbortSignal): Promise<ImageUser> {
    const signal = AbortSignal.any([this.#options.signal, lost])
    const admitted = this.#admitted ?? (await this.#admit(releases, signal))
    return this.#prepared ?? (await this.#unpackInto(bundle, admitted, { releases, signal }))
  }

  async #admit(releases: readonly OwnersRelease[], signal: AbortSignal): Promise<AdmittedImage> {
    const { config, agreement, launch, emit } = this.#options
    const material = await readImageMaterial(agreement, releases)
    const onNamed = (place: string) => {
      if (isReleased(place)) this.#own.add(grantedResource(place, agreement).name)
    }
    const { timeoutSeconds } = config
    const admitted = await admitImage(config.image, { launch, material, onNamed, timeoutSeconds, emit, signal })
    this.#admitted = admitted
    const keys = imageKeys(admitted.image, agreement)
    for (const name of keys) this.#own.add(name)
    this.#assertIsNoData()
    if (keys.size > 0) await assertInMemory(config.workspace, 'it is encrypted')
    return admitted
  }

  async #unpackInto(
    bundle: string,
    admitted: AdmittedImage,
    { releases, signal }: { readonly releases: readonly OwnersRelease[]; readonly signal: AbortSignal },
  ): Promise<ImageUser> {
    const { config, launch, emit } = this.#options
    const { limits } = config
    const more = releases.length === 0 ? {} : { decryptor: releasedKeys(releases) }
    this.#prepared = await prepareImage(launch, admitted, { bundle, limits, emit, signal, ...more })
    return this.#prepared
  }

  /** What is for the image is not handed on, so data under it would silently be left out. */
  #assertIsNoData(): void {
    const name = Object.keys(this.#options.config.data).find((data) => this.#own.has(data))
    if (name !== undefined)
      throw new AgentError('data.missing', `data ${name}: that resource is for the image, and is the key of no data`)
  }

  [Symbol.dispose](): void {
    this.#admitted?.[Symbol.dispose]()
  }
}

function assertIsLaunched(origin: ImageOrigin, launch: Launch): void {
  if (origin.kind === 'layout' || origin.reference.digest === launch.image) return
  throw new AgentError(
    'workload.other-image',
    `pull.reference names ${origin.reference.digest}, and what is launched is ${launch.image}: name the agreed image`,
  )
}

/** What must be released before the image can be judged: by the configuration, or by a policy that is a file. */
async function wantedFirst(origin: ImageOrigin): Promise<readonly string[]> {
  if (origin.kind === 'layout') return []
  const configured = configuredMaterial(origin)
  if (isReleased(origin.policy)) return configured
  const { materialNamedBy, parsePolicy, readMaterialFrom } = await import('@vouchsafe/image/verifying')
  const policy = parsePolicy(await readMaterialFrom({})(origin.policy), origin.policy)
  return [...configured, ...materialNamedBy(policy).filter(isReleased)]
}
