import { fromBase64, parseSchema, parseStrictJson, toBase64, utf8 } from '@vouchsafe/core'
import { z } from 'zod'

/** One answer of a vendor, as it came. */
export interface CollateralPart {
  readonly url: string
  /** PEM from the header in which Intel sends the chain of a document's signer. */
  readonly issuerChain?: string
  readonly body: Uint8Array
}

/** What is kept: raw answers, never a verdict about them. Each reader verifies them again (D10). */
export interface CollateralEntry {
  /** Names what the answers are for, such as `amd/vcek/Milan/…`. */
  readonly key: string
  readonly fetchedAt: Date
  readonly parts: readonly CollateralPart[]
}

export const MAX_ENTRY_BYTES = 8 * 1024 * 1024

const base64 = z.string().max(MAX_ENTRY_BYTES)
/** An entry on disk and in bundles. */
export const entrySchema = z.strictObject({
  format: z.literal('vouchsafe/collateral/v1'),
  key: z.string().min(1).max(512),
  fetchedAt: z.iso.datetime(),
  parts: z
    .array(z.strictObject({ url: z.string().max(2048), issuerChain: z.string().max(65536).optional(), body: base64 }))
    .min(1)
    .max(8),
})
export type EntryJson = z.infer<typeof entrySchema>

export function toEntryJson(entry: CollateralEntry): EntryJson {
  return {
    format: 'vouchsafe/collateral/v1',
    key: entry.key,
    fetchedAt: entry.fetchedAt.toISOString(),
    parts: entry.parts.map(({ url, issuerChain, body }) => ({
      url,
      ...(issuerChain !== undefined && { issuerChain }),
      body: toBase64(body),
    })),
  }
}

export function fromEntryJson(json: EntryJson): CollateralEntry {
  return {
    key: json.key,
    fetchedAt: new Date(json.fetchedAt),
    parts: json.parts.map(({ url, issuerChain, body }) => ({
      url,
      ...(issuerChain !== undefined && { issuerChain }),
      body: fromBase64(body, 'collateral body'),
    })),
  }
}

export function encodeEntry(entry: CollateralEntry): Uint8Array {
  return utf8(JSON.stringify(toEntryJson(entry)))
}

/** @throws {VouchsafeError} `input.malformed`, `input.too-large`, `input.unknown-member` */
export function parseEntry(bytes: Uint8Array): CollateralEntry {
  const json = parseStrictJson(bytes, { maxBytes: 2 * MAX_ENTRY_BYTES })
  return fromEntryJson(parseSchema(entrySchema, json, 'collateral entry'))
}
