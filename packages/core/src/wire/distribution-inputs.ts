import { z } from 'zod'
import { MAX_TERMS_BYTES } from '../agreement/client-terms.ts'
import { nameSchema } from '../agreement/agreement.ts'
import { envelopeSchema } from '../agreement/envelope.ts'
import { distrustRuleSchema } from '../appraisal/distrust.ts'
import { ownerKeySchema } from '../base/keys.ts'
import { ASSURANCE_CLASSES } from '../claims/claims.ts'
import { clientTpmEvidenceSchema } from '../evidence/instance/client-tpm.ts'
import { identityKeySchema } from '../evidence/instance/identity-document.ts'
import { instanceFactsSchema } from '../evidence/instance/instance-facts.ts'

/** Everything that the line of the token distributor reads. */
export const distributionInputsSchema = z.strictObject({
  at: z.iso.datetime(),
  brokerId: z.string(),
  tenant: nameSchema,
  profile: z.enum(['production', 'simulated']),
  identity: z.strictObject({
    document: z.string().max(16_384),
    /** The issuer's keys at that moment: those with the document's kid. */
    keys: z.array(identityKeySchema).max(8),
    issuer: z.string().max(512),
    audience: z.string().max(512),
    /** `used` when the document fetched secrets before. */
    state: z.enum(['fresh', 'used']),
  }),
  channel: z.strictObject({
    transport: z.enum(['mtls', 'tls', 'platform']),
    address: z.string().max(64),
    certificate: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .nullable(),
    account: z.string().max(320).nullable(),
  }),
  /** What the platform said of the instance at that moment. */
  facts: instanceFactsSchema,
  tpm: clientTpmEvidenceSchema.nullable(),
  anchors: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(256),
        class: z.enum(ASSURANCE_CLASSES),
        certificate: z.string().max(16_384),
      }),
    )
    .max(64),
  /** Exact bytes of the client terms in force, base64. */
  terms: z.base64().max(Math.ceil((MAX_TERMS_BYTES * 4) / 3) + 4),
  owner: z.strictObject({ id: nameSchema, keys: z.array(ownerKeySchema).max(16) }),
  statements: z.array(envelopeSchema).max(256),
  supersededBy: z.string().nullable(),
  /** By the terms' names, with the version that was there, or null. */
  secrets: z.array(z.strictObject({ name: z.string().max(64), version: z.number().int().min(1).nullable() })).max(64),
  /** How often the terms were delivered under before. */
  delivered: z.number().int().min(0),
  distrust: z.array(distrustRuleSchema).max(1024),
})
export type DistributionInputs = z.infer<typeof distributionInputsSchema>
