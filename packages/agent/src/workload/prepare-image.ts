import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { ImageLayout, type LayerDecryptor, parseDigest, unpackImage } from '@vouchsafe/image'
import type { Launch } from '@vouchsafe/tpm/eventlog'
import { AgentError } from '../errors.ts'
import { type ImageUser, imageUser } from './image-user.ts'
import { THIS_PLATFORM } from './image-keys.ts'
import { type WorkloadLimits, runtimeSpec } from './runtime-spec.ts'

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
  options: {
    readonly imageLayout: string
    readonly bundle: string
    readonly limits: WorkloadLimits
    readonly signal: AbortSignal
    /** Opens the layers that are encrypted. */
    readonly decryptor?: LayerDecryptor
  },
): Promise<ImageUser> {
  const { imageLayout, bundle, limits, signal, decryptor } = options
  await mkdir(bundle, { mode: 0o711 })
  const rootfs = path.join(bundle, 'rootfs')
  const layout = await ImageLayout.open(imageLayout)
  const { image } = await unpackImage(layout, parseDigest(launch.image), rootfs, {
    platform: THIS_PLATFORM,
    signal,
    ...(decryptor === undefined ? {} : { decryptor }),
  })
  if (image.manifestDigest !== launch.image)
    throw new AgentError('workload.image', `${launch.image} is an index; agree on the manifest ${image.manifestDigest}`)
  const { execution } = image.config
  // without root there is one user in the container, and outside it is nobody but the agent's own
  const user = launch.isolation === 'runc' ? await imageUser(execution.user, rootfs) : { uid: 0, gid: 0 }
  const spec = runtimeSpec({ launch, image: execution, user, limits })
  await writeFile(path.join(bundle, 'config.json'), JSON.stringify(spec), { mode: 0o600 })
  return user
}
