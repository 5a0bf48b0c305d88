import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { OwnerClient } from '@vouchsafe/client'
import { parseAgreement, resourcePathSchema, fromBase64, Secret } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { ImageError } from '@vouchsafe/image'
import type { KekPort } from '@vouchsafe/image/key-provider'
import { UsageError } from '../../output.ts'
import { readKek } from './layer-keys.ts'

const KEK_BYTES = 32

export function assertResourcePath(resource: string): void {
  if (!resourcePathSchema.safeParse(resource).success)
    throw new UsageError(`${resource} is no resource path`, 'write lower case, for example images/app/key')
}

/** What became of a key in the broker. */
export interface PlacedKek {
  readonly kek: Secret
  readonly resource: string
  readonly version: number
}

/**
 * Puts a key-encryption key into the broker as the next version of a resource, and looks whether it is there.
 *
 * @param file - Where its owner keeps it: read if there, else written. Without one it is nowhere but in the broker.
 */
export async function placeKek(client: OwnerClient, resource: string, file?: string): Promise<PlacedKek> {
  assertResourcePath(resource)
  const kek = file !== undefined && existsSync(file) ? readKek(file) : new Secret(randomBytes(KEK_BYTES))
  if (file !== undefined && !existsSync(file)) writeFileSync(file, kek.expose(), { mode: 0o600, flag: 'wx' })
  const before = (await client.listResources()).resources.find((r) => r.path === resource)
  const put = await client.putResource(resource, kek.expose(), before?.version ?? 0)
  const now = (await client.listResources()).resources.find((r) => r.path === resource)
  if (now?.version !== put.version || now.bytes !== KEK_BYTES || now.removed)
    throw new UsageError(
      `the broker does not hold ${resource} as it was put`,
      `look at: vouchsafe resource history ${resource}`,
    )
  return { kek, resource, version: put.version }
}

/** An agreement that lets guests have a resource. */
export interface Granting {
  readonly agreement: string
  readonly digest: string
  /** Approvals that are still missing; empty when it is in force. */
  readonly missing: readonly string[]
  /** It is about this very image. */
  readonly image: boolean
}

/** The agreements at the broker that grant a resource, newest versions only. */
export async function grantingAgreements(
  client: OwnerClient,
  resource: string,
  image: string,
): Promise<readonly Granting[]> {
  const { agreements } = await client.listAgreements()
  return agreements
    .filter(({ supersededBy, withdrawn }) => supersededBy === null && withdrawn.length === 0)
    .flatMap((found) => {
      const { body } = parseAgreement(fromBase64(found.agreement, 'agreement'), nodeCrypto)
      if (!body.grants.some(({ resources }) => resources.includes(resource))) return []
      return [
        { agreement: found.name, digest: found.digest, missing: found.missing, image: body.workload.image === image },
      ]
    })
}

/**
 * Keys in a folder of their owner, each beside its copy in the broker: a file's name is the resource's path.
 *
 * @param place - Puts a fresh key into the broker, before anything is wrapped under it.
 */
export function kekFolder(folder: string, place: (resource: string, kek: Secret) => Promise<void>): KekPort {
  const fileOf = (resource: string) => {
    assertResourcePath(resource)
    return path.join(folder, `${resource.replaceAll('/', '%')}.kek`)
  }
  const find = (resource: string) => {
    const file = fileOf(resource)
    return Promise.resolve(existsSync(file) ? readKek(file) : undefined)
  }
  const making = new Map<string, Promise<Secret>>()
  return {
    find,
    async obtain(resource) {
      const known = await find(resource)
      if (known !== undefined) return known
      // layers of one image ask side by side: they get one key
      const under = making.get(resource) ?? make(fileOf(resource), (kek) => place(resource, kek))
      making.set(resource, under)
      return under.finally(() => making.delete(resource))
    },
  }
}

async function make(file: string, place: (kek: Secret) => Promise<void>): Promise<Secret> {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
  const kek = new Secret(randomBytes(KEK_BYTES))
  const temporary = `${file}.${process.pid}.new`
  writeFileSync(temporary, kek.expose(), { mode: 0o600 })
  try {
    await place(kek)
  } catch (error) {
    // the broker has another key there; after any other failure it may have taken this one
    if (error instanceof ImageError && error.code === 'encryption.no-key') rmSync(temporary)
    throw error
  }
  renameSync(temporary, file)
  return kek
}
