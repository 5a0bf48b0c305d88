import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { type LayerDecryptor, unpackResolved } from '@vouchsafe/image'
import type { Launch } from '@vouchsafe/tpm/eventlog'
import type { Emit } from '../events.ts'
import type { AdmittedImage } from './admit-image.ts'
import { THIS_PLATFORM } from './image-keys.ts'
import { type ImageUser, imageUser } from './image-user.ts'
import { type WorkloadLimits, runtimeSpec } from './runtime-spec.ts'

/** While one layer is unpacked, so often. */
const PROGRESS_MS = 2000

/**
 * Unpacks the image of a launch into a bundle, every blob held against its digest, and writes the runtime's configuration
 * beside it. Nothing is run.
 *
 * @returns Who the workload runs as.
 * @throws {ImageError} when a blob is not what its digest says, or would escape its root
 * @throws {AgentError} `workload.image`
 */
export async function prepareImage(
  launch: Launch,
  { image, source }: AdmittedImage,
  options: {
    readonly bundle: string
    readonly limits: WorkloadLimits
    readonly emit: Emit
    readonly signal: AbortSignal
    /** Opens the layers that are encrypted. */
    readonly decryptor?: LayerDecryptor
  },
): Promise<ImageUser> {
  const { bundle, limits, emit, signal, decryptor } = options
  await mkdir(bundle, { mode: 0o711 })
  const rootfs = path.join(bundle, 'rootfs')
  await unpackResolved(source, image, rootfs, {
    platform: THIS_PLATFORM,
    signal,
    onProgress: progress(image.layers, emit),
    ...(decryptor === undefined ? {} : { decryptor }),
  })
  emit({ event: 'image.unpacked', image: image.manifestDigest, layers: image.layers.length })
  const { execution } = image.config
  // without root there is one user in the container, and outside it is nobody but the agent's own
  const user = launch.isolation === 'runc' ? await imageUser(execution.user, rootfs) : { uid: 0, gid: 0 }
  const spec = runtimeSpec({ launch, image: execution, user, limits })
  await writeFile(path.join(bundle, 'config.json'), JSON.stringify(spec), { mode: 0o600 })
  return user
}

/** Says where the work is every two seconds: a small image says nothing before it is done. */
function progress(layers: AdmittedImage['image']['layers'], emit: Emit) {
  let last = performance.now()
  return ({ layer, bytes }: { readonly layer: number; readonly bytes: number }) => {
    const now = performance.now()
    if (now - last < PROGRESS_MS) return
    last = now
    const size = layers[layer]?.descriptor.size ?? 0
    emit({ event: 'image.unpacking', layer: layer + 1, layers: layers.length, bytes, size })
  }
}
