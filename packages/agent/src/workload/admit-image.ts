import {
  acceptImage,
  ImageLayout,
  type ImageSource,
  parseAuthFile,
  parseDigest,
  parseRegistries,
  referenceText,
  RegistryClient,
  type ResolvedImage,
  resolveImage,
} from '@vouchsafe/image'
import type { MaterialReader } from '@vouchsafe/image/verifying'
import type { Launch } from '@vouchsafe/tpm/eventlog'
import { AgentError } from '../errors.ts'
import type { Emit } from '../events.ts'
import { THIS_PLATFORM } from './image-keys.ts'
import type { ImageOrigin, RegistryOrigin } from './image-origin.ts'

/** An image whose documents are those of the launch's digest, and which its policy accepts where it has one. */
export interface AdmittedImage extends Disposable {
  readonly image: ResolvedImage
  readonly source: ImageSource
}

export interface AdmitOptions {
  readonly launch: Launch
  readonly material: MaterialReader
  /** Told of what the policy names, used here or not: it is for the agent, and none of the workload's. */
  readonly onNamed: (place: string) => void
  /** How long a registry may be silent. */
  readonly timeoutSeconds: number
  readonly emit: Emit
  readonly signal: AbortSignal
}

/**
 * Reads the documents of the launch's image, and no layer: from a registry the manifest by digest, then the policy, and
 * only where that accepts the configuration.
 *
 * @throws {ImageError} `policy.refused`, `registry.*`, and when documents are not what their digests say
 * @throws {AgentError} `workload.image` for an index: what is agreed on is one manifest
 */
export async function admitImage(origin: ImageOrigin, options: AdmitOptions): Promise<AdmittedImage> {
  const admitted = origin.kind === 'layout' ? await fromLayout(origin.directory, options) : await pull(origin, options)
  const { image } = options.launch
  const { manifestDigest } = admitted.image
  if (manifestDigest === image) return admitted
  admitted[Symbol.dispose]()
  throw new AgentError('workload.image', `${image} is an index; agree on the manifest ${manifestDigest}`)
}

async function fromLayout(directory: string, { launch }: AdmitOptions): Promise<AdmittedImage> {
  const source = await ImageLayout.open(directory)
  const image = await resolveImage(source, parseDigest(launch.image), { platform: THIS_PLATFORM })
  return { image, source, [Symbol.dispose]: () => undefined }
}

async function pull(origin: RegistryOrigin, options: AdmitOptions): Promise<AdmittedImage> {
  const { emit, material, signal } = options
  const { reference } = origin
  emit({ event: 'image.pulling', reference: referenceText(reference), policy: origin.policy })
  // OpenPGP and Sigstore's verifier are read by those who pull
  const { materialNamedBy, parsePolicy, pullPolicy, readRegistriesD } = await import('@vouchsafe/image/verifying')
  const policy = parsePolicy(await material(origin.policy), origin.policy)
  for (const place of materialNamedBy(policy)) options.onNamed(place)
  const registries = origin.registriesD === undefined ? undefined : await readRegistriesD(origin.registriesD)
  const client = await registryClient(origin, options)
  try {
    const source = client.reader(reference, signal)
    const image = await acceptImage({
      source,
      asked: reference,
      digest: reference.digest,
      platform: THIS_PLATFORM,
      policy: pullPolicy({
        policy,
        client,
        material,
        at: () => new Date(),
        signal,
        ...(registries === undefined ? {} : { registries }),
        onDecision: ({ kind, scope, signers }) => {
          if (kind !== 'accept') return // the refusal says why
          const names = signers.map(({ name, key }) => name ?? key)
          emit({ event: 'image.accepted', image: reference.digest, scope, signers: names })
        },
      }),
    })
    return { image, source, [Symbol.dispose]: () => client.close() }
  } catch (error) {
    client.close()
    throw error
  }
}

async function registryClient(
  { registries, authFile, proxy, leastRate, attempts }: RegistryOrigin,
  { material, timeoutSeconds, emit }: AdmitOptions,
): Promise<RegistryClient> {
  return new RegistryClient({
    hosts: registries === undefined ? {} : parseRegistries(await material(registries), registries),
    ...(authFile === undefined ? {} : { credentials: parseAuthFile(await material(authFile), authFile) }),
    ...(proxy === undefined ? {} : { proxy }),
    ...(leastRate === undefined ? {} : { leastRate: { bytesPerSecond: leastRate } }),
    retry: { attempts },
    idleSeconds: timeoutSeconds,
    onPassedOver: ({ mirror, what, reason }) =>
      emit({ event: 'image.mirror-passed-over', mirror, what, code: reason.code }),
  })
}
