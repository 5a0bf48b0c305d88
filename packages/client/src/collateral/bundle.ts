import { parseSchema, parseStrictJson, utf8 } from '@vouchsafe/core'
import { z } from 'zod'
import { entrySchema, fromEntryJson, toEntryJson } from './entry.ts'
import type { CollateralStore } from './store.ts'

const MAX_BUNDLE_BYTES = 256 * 1024 * 1024

const bundleSchema = z.strictObject({
  format: z.literal('vouchsafe/collateral-bundle/v1'),
  entries: z.array(entrySchema).max(100_000),
})

/**
 * Everything in a store, as one file to carry to a machine without a network. It is not signed and need not be: every
 * answer in it is signed by its vendor, and is verified again where it is read.
 */
export async function exportCollateralBundle(store: CollateralStore): Promise<Uint8Array> {
  const entries = await Promise.all((await store.keys()).map((key) => store.get(key)))
  const kept = entries.flatMap((entry) => (entry === undefined ? [] : [toEntryJson(entry)]))
  return utf8(JSON.stringify({ format: 'vouchsafe/collateral-bundle/v1', entries: kept }))
}

/**
 * Puts a bundle's entries into a store. One that is older than what is there already stays out.
 *
 * @returns The keys that were taken.
 * @throws {VouchsafeError} `input.malformed`, `input.unknown-member`, `input.too-large`
 */
export async function importCollateralBundle(bundle: Uint8Array, store: CollateralStore): Promise<readonly string[]> {
  const { entries } = parseSchema(
    bundleSchema,
    parseStrictJson(bundle, { maxBytes: MAX_BUNDLE_BYTES }),
    'collateral bundle',
  )
  const taken: string[] = []
  for (const entry of entries.map(fromEntryJson)) {
    const before = await store.get(entry.key)
    if (before !== undefined && before.fetchedAt >= entry.fetchedAt) continue
    await store.put(entry)
    taken.push(entry.key)
  }
  return taken
}
