import { statfs } from 'node:fs/promises'
import type { Agreement } from '@vouchsafe/core'
import {
  guestKeyResources,
  guestKeys,
  type LayerDecryptor,
  layerDecryptor,
  type Platform,
  type ResolvedImage,
} from '@vouchsafe/image'
import { AgentError } from '../errors.ts'
import { type OwnersRelease, resourcesOf } from '../session/gather.ts'

export const THIS_PLATFORM: Platform = {
  os: 'linux',
  architecture: process.arch === 'x64' ? 'amd64' : process.arch,
}

/** `TMPFS_MAGIC` and `RAMFS_MAGIC` of statfs(2). */
const IN_MEMORY: readonly number[] = [0x01021994, 0x858458f6]

/**
 * Which of the resources that an agreement grants open the image's layers, as `owner/resource/path`. They are for the
 * agent: the workload is not handed them. Empty for an image in the clear.
 *
 * @throws {ImageError} when the annotations of an encrypted layer break their form
 * @throws {AgentError} `workload.image-key` when there is a layer that nothing granted could open: known before anything of
 *   it is unpacked
 */
export function imageKeys({ layers }: ResolvedImage, agreement: Agreement): ReadonlySet<string> {
  const keys = new Set<string>()
  for (const { descriptor, form } of layers) {
    if (!form.encrypted) continue
    const wanted = guestKeyResources(descriptor)
    const granted = agreement.body.owners.flatMap(({ id }) =>
      resourcesOf(agreement, id).flatMap((path) => (wanted.includes(path) ? [`${id}/${path}`] : [])),
    )
    if (granted.length === 0)
      throw new AgentError(
        'workload.image-key',
        `layer ${descriptor.digest} opens with ${wanted.join(' or ') || 'no key of a broker'}, which the agreement does not grant`,
      )
    for (const name of granted) keys.add(name)
  }
  return keys
}

/** Opens layers with what the owners released, whosever key it is. */
export function releasedKeys(releases: readonly OwnersRelease[]): LayerDecryptor {
  return layerDecryptor(releases.map(({ secrets }) => guestKeys((path) => Promise.resolve(secrets.get(path)))))
}

/**
 * A decrypted image, and one that was pulled, may lie in the guest's memory only: disks belong to the host (H12). Swap is
 * the host's matter, as it is for secrets.
 *
 * @param why - What is special about the image, for the message.
 * @throws {AgentError} `workload.storage`
 */
export async function assertInMemory(directory: string, why: string): Promise<void> {
  const { type } = await statfs(directory)
  if (!IN_MEMORY.includes(type))
    throw new AgentError(
      'workload.storage',
      `the image: ${why}, and ${directory} is on a disk: set workspace to a directory on tmpfs, like /dev/shm`,
    )
}
