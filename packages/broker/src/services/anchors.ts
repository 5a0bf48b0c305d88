import { type AttestInputs, fromBase64, parseSchema, parseStrictJson, utf8, x509 } from '@vouchsafe/core'
import { z } from 'zod'
import type { Store } from '../store/store.ts'

const SETTING = 'anchors'

export const anchorsSchema = z
  .array(
    z.strictObject({
      name: z.string().min(1).max(256),
      class: z.enum(x509.ANCHOR_CLASSES),
      certificate: z.base64().max(16_384),
    }),
  )
  .max(64)

/** The certificates in which this tenant's chains may end. None kept means none trusted. */
export async function anchorsOf(store: Store, tenant: string): Promise<AttestInputs['anchors']> {
  const bytes = await store.setting(tenant, SETTING)
  return bytes === null
    ? []
    : parseSchema(anchorsSchema, parseStrictJson(bytes, { maxBytes: 2 * 1024 * 1024 }), 'anchors')
}

/** For verification: the same anchors, parsed. */
export async function parsedAnchorsOf(store: Store, tenant: string): Promise<readonly x509.Anchor[]> {
  return (await anchorsOf(store, tenant)).map((a) => x509.parseAnchor(fromBase64(a.certificate, 'anchor'), a))
}

/** The change that files a set of anchors. */
export function anchorsChange(anchors: AttestInputs['anchors']) {
  return { change: 'setting.put', name: SETTING, value: utf8(JSON.stringify(anchors)) } as const
}
