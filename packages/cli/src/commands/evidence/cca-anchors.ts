import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type evidence, parseSchema, parseStrictJson } from '@vouchsafe/core'
import { z } from 'zod'

const schema = z
  .array(
    z.object({
      pkey: z.object({ kty: z.literal('EC'), crv: z.string(), x: z.string(), y: z.string() }),
      'implementation-id': z.string().regex(/^[0-9a-f]{64}$/),
      'instance-id': z.string().regex(/^[0-9a-f]{66}$/),
    }),
  )
  .min(1)
  .max(4096)

/** Arm gives no certificates, but lists of keys: a trust anchor store, in the form that Veraison’s tools write. */
export function readCcaAnchors(file: string): readonly evidence.CcaAnchor[] {
  return parseSchema(schema, parseStrictJson(readFileSync(file), { maxBytes: 4_000_000 }), file).map((entry) => ({
    name: `${file}: ${entry['instance-id'].slice(0, 16)}…`,
    class: 'hardware',
    implementationId: entry['implementation-id'],
    instanceId: entry['instance-id'],
    spki: new Uint8Array(
      createPublicKey({ key: entry.pkey as JsonWebKey, format: 'jwk' }).export({ type: 'spki', format: 'der' }),
    ),
  }))
}
