import { z } from 'zod'
import { MAX_TERMS_BYTES } from '../agreement/client-terms.ts'
import { CLIENT_CLASSES } from '../agreement/client-terms.ts'
import { nameSchema } from '../agreement/agreement.ts'
import { envelopeSchema } from '../agreement/envelope.ts'
import { instanceFactsSchema } from '../evidence/instance/instance-facts.ts'

/* Bodies of the HTTP API by which owners provision clients of the token distributor. */

const base64 = (maxBytes: number) => z.base64().max(Math.ceil(maxBytes / 3) * 4)
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/)
const instant = z.iso.datetime()
const secretName = z.string().min(1).max(64)

/** What the platform says of an instance now, for its owner's review; and the terms in force, if there are any. */
export const instanceResponse = z.strictObject({
  facts: instanceFactsSchema,
  terms: z.strictObject({ digest, terms: base64(MAX_TERMS_BYTES) }).nullable(),
})

export const provisionRequest = z.strictObject({
  /** Exact bytes of the client terms. */
  terms: base64(MAX_TERMS_BYTES),
  /** The owner's approval of them. */
  statement: envelopeSchema,
  /** Values of the secrets that come from resources, all of them; each becomes the resource's next version. */
  secrets: z.array(z.strictObject({ name: secretName, value: base64(512 * 1024) })).max(64),
})
export const provisionResponse = z.strictObject({ digest, receipt: z.string() })

export const withdrawRequest = z.strictObject({ statement: envelopeSchema })

export const clientSummary = z.strictObject({
  instance: z.string(),
  digest,
  class: z.enum(CLIENT_CLASSES),
  /** Why nothing is known of its state; null for a client whose TPM is asked for. */
  exempt: z.string().nullable(),
  address: z.string().nullable(),
  certificate: z.string().nullable(),
  secrets: z.array(secretName),
  delivered: z.number().int(),
  times: z.number().int(),
  expires: instant,
  withdrawn: z.boolean(),
  done: z.boolean(),
})
export const listClientsResponse = z.strictObject({ owner: nameSchema, clients: z.array(clientSummary) })
