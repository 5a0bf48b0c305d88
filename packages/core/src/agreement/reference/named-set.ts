import { z } from 'zod'
import type { CryptoPort } from '../../base/crypto.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { ownerKeySchema } from '../../base/keys.ts'
import { envelopeSchema } from '../envelope.ts'
import {
  liveEntries,
  openReferenceVersion,
  type ReferenceEntry,
  type ReferenceVersion,
  referenceNameSchema,
} from './reference-set.ts'

/**
 * A set that an agreement names: what its signer vouches for holds beside what the agreement pins itself. Whoever approves
 * the agreement lets this key say, from then on, which boots are good.
 */
export const namedSetSchema = z.strictObject({
  set: referenceNameSchema,
  signer: ownerKeySchema,
  /** No version before this one counts. */
  atLeast: z.number().int().min(1),
})
export type NamedSet = z.infer<typeof namedSetSchema>

/** A set as a broker keeps it: its newest version as signed, and the values that the broker's owner ended there. */
export const filedSetSchema = z.strictObject({
  set: referenceNameSchema,
  version: envelopeSchema,
  ended: z.array(referenceNameSchema).max(1024),
})
export type FiledSet = z.infer<typeof filedSetSchema>

/** What became of a named set: the values that hold, or why it has none to give. */
export interface OpenedSet {
  readonly named: NamedSet
  readonly version: ReferenceVersion | null
  /** Empty when there is a version that counts. */
  readonly refusal: string
  readonly live: readonly ReferenceEntry[]
}

/**
 * Opens the sets that an agreement names, under the keys that the agreement names. A set that is missing, older than
 * agreed, or of another signer is told as such and gives nothing.
 */
export async function openNamedSets(
  named: readonly NamedSet[],
  filed: readonly FiledSet[],
  at: Date,
  crypto: CryptoPort,
): Promise<readonly OpenedSet[]> {
  return Promise.all(named.map((one) => openNamedSet(one, filed, at, crypto)))
}

async function openNamedSet(
  named: NamedSet,
  filed: readonly FiledSet[],
  at: Date,
  crypto: CryptoPort,
): Promise<OpenedSet> {
  const refuse = (refusal: string): OpenedSet => ({ named, version: null, refusal, live: [] })
  const found = filed.find(({ set }) => set === named.set)
  if (found === undefined) return refuse('no such set is filed here')
  let version: ReferenceVersion
  try {
    version = await openReferenceVersion(found.version, named.signer, crypto)
  } catch (error) {
    if (!(error instanceof VouchsafeError) || error.code === 'internal') throw error
    return refuse(error.message)
  }
  const { set } = version
  if (set.name !== named.set) return refuse(`what is filed under this name is ${set.name}`)
  if (set.version < named.atLeast) return refuse(`version ${set.version} is the newest here`)
  const live = liveEntries(set, at).filter(({ id }) => !found.ended.includes(id))
  return { named, version, refusal: '', live }
}
