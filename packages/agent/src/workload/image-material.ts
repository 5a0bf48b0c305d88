import type { Agreement } from '@vouchsafe/core'
import type { MaterialReader } from '@vouchsafe/image/verifying'
import { AgentError } from '../errors.ts'
import { type OwnersRelease, resourcesOf } from '../session/gather.ts'
import { isReleased, type RegistryOrigin } from './image-origin.ts'

/** A resource of the agreement that a `kbs://` address means. */
export interface GrantedResource {
  readonly owner: string
  readonly path: string
  /** `owner/path` */
  readonly name: string
}

/**
 * Finds what an address means among what the agreement grants. One owner must grant it: of two with the same path
 * either could put its own in the place of the other's.
 *
 * @throws {AgentError} `workload.material`
 */
export function grantedResource(uri: string, agreement: Agreement): GrantedResource {
  const [, host = '', path = ''] = /^kbs:\/\/([^/]*)\/(.+)$/.exec(uri) ?? []
  const found = agreement.body.owners
    .filter(({ id }) => (host === '' || host === id) && resourcesOf(agreement, id).includes(path))
    .map(({ id }) => id)
  const [owner, ...more] = found
  if (owner === undefined) throw new AgentError('workload.material', `${uri}: the agreement grants no such resource`)
  if (more.length > 0)
    throw new AgentError(
      'workload.material',
      `${uri}: ${found.join(' and ')} grant it; say whose: kbs://${owner}/${path}`,
    )
  return { owner, path, name: `${owner}/${path}` }
}

/** What the configuration itself wants released before the image can be pulled. */
export function configuredMaterial({ policy, registries, authFile }: RegistryOrigin): readonly string[] {
  return [policy, registries, authFile].filter((place) => place !== undefined).filter(isReleased)
}

/** Reads files, and what was released. */
export async function readImageMaterial(
  agreement: Agreement,
  releases: readonly OwnersRelease[],
): Promise<MaterialReader> {
  const { readMaterialFrom } = await import('@vouchsafe/image/verifying')
  return readMaterialFrom({
    resource: async (uri) => {
      const { owner, path, name } = grantedResource(uri, agreement)
      const secret = releases.find(({ session }) => session.owner.id === owner)?.secrets.get(path)
      if (secret === undefined) throw new AgentError('workload.material', `${name} was not released`)
      return new Uint8Array(secret.expose()) // a copy: what was released is wiped at the end
    },
  })
}
