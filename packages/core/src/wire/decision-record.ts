import { z } from 'zod'
import { nameSchema, resourcePathSchema } from '../agreement/agreement.ts'
import { envelopeSchema } from '../agreement/envelope.ts'
import { filedSetSchema } from '../agreement/reference/named-set.ts'
import { distrustRuleSchema } from '../appraisal/distrust.ts'
import { ownerKeySchema, p256JwkSchema } from '../base/keys.ts'
import { ASSURANCE_CLASSES } from '../claims/claims.ts'
import { shadowSchema } from '../policy/shadow.ts'
import { presentationSchema } from '../token/presentation.ts'
import { evidenceSchema } from '../evidence/evidence-schema.ts'
import { collateralSchema } from '../evidence/hardware/hardware-evidence.ts'
import { type TpmEvidence, enrolmentSchema } from '../evidence/tpm/tpm-evidence.ts'
import { distributionInputsSchema } from './distribution-inputs.ts'

/** DSSE payload type of a decision record. */
export const RECORD_TYPE = 'application/vnd.vouchsafe.decision.v1+json'
export const MAX_RECORD_BYTES = 4 * 1024 * 1024

/** Everything the attesting half of the line reads. */
export const attestInputsSchema = z.strictObject({
  at: z.iso.datetime(),
  brokerId: z.string(),
  tenant: nameSchema,
  session: z.string().regex(/^[A-Za-z0-9_-]{16,64}$/),
  nonce: z.string().min(1).max(512),
  /** What the broker found when it looked at the nonce: an observation, since only its custody can tell. */
  nonceState: z.enum(['fresh', 'unissued', 'expired', 'used']),
  sealKey: p256JwkSchema,
  proofKey: p256JwkSchema,
  evidence: evidenceSchema,
  /** What the CPU's vendor said at that time. Left out where no CPU speaks; null where it could not be had. */
  collateral: collateralSchema.nullable().exactOptional(),
  enrolment: enrolmentSchema.nullable(),
  anchors: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(256),
        class: z.enum(ASSURANCE_CLASSES),
        certificate: z.string().max(16_384),
      }),
    )
    .max(64),
  /** The exact agreement bytes, base64; null when the tenant does not know the digest that the guest named. */
  agreementDigest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  agreement: z.string().nullable(),
  distrust: z.array(distrustRuleSchema).max(1024),
  /** Of the reference sets that the agreement names, those that were filed here. Left out where it names none. */
  references: z.array(filedSetSchema).max(4).exactOptional(),
})
export type AttestInputs = z.infer<typeof attestInputsSchema>
/** Those of a machine with a TPM. */
export type TpmAttestInputs = AttestInputs & { readonly evidence: TpmEvidence }

/** Everything the releasing half of the line reads. */
export const releaseInputsSchema = z.strictObject({
  at: z.iso.datetime(),
  presentation: presentationSchema,
  /** Id of the attestation that the token must stand for, and its inputs; null when the token led to none. */
  attestation: z.string().nullable(),
  attest: attestInputsSchema.nullable(),
  /** What was asked for, with the version that was there, or null where there was none. */
  resources: z.array(z.strictObject({ path: resourcePathSchema, version: z.number().int().min(1).nullable() })).max(64),
  /** The lease to renew: whose it is, and under which agreement. Null for a first release. */
  lease: z.strictObject({ id: z.string(), machine: z.string(), agreement: z.string() }).nullable(),
  owner: z.strictObject({ id: nameSchema, keys: z.array(ownerKeySchema).max(16) }),
  statements: z.array(envelopeSchema).max(256),
  supersededBy: z.string().nullable(),
  /** Policies on trial at this tenant: asked beside the agreement’s, without effect. */
  shadows: z.array(shadowSchema).max(4).optional(),
})
export type ReleaseInputs = z.infer<typeof releaseInputsSchema>

const reasonSchema = z.strictObject({
  stage: z.enum(['evidence', 'claims', 'appraisal', 'token', 'policy', 'release']),
  code: z.string(),
  expected: z.string(),
  actual: z.string(),
  advice: z.string(),
})

/** What was decided, in full: an owner reads this, a guest never does (F14). */
export const verdictSchema = z.strictObject({
  kind: z.enum(['accept', 'release', 'wait', 'deny']),
  grants: z.array(z.string()),
  missingApprovals: z.array(z.string()),
  reasons: z.array(reasonSchema),
  findings: z.array(
    z.strictObject({
      check: z.string(),
      aspect: z.string(),
      tier: z.string(),
      expected: z.string(),
      actual: z.string(),
    }),
  ),
  /** What became of each rule of the conditions that were asked. Records of before there was more than one form have none. */
  conditions: z
    .array(
      z.strictObject({
        grant: z.string(),
        form: z.enum(['plain', 'rego', 'cel']),
        rule: z.string(),
        held: z.boolean(),
        expected: z.string(),
        actual: z.string(),
      }),
    )
    .optional(),
  /** What policies on trial would have decided. Left out where there were none. */
  shadows: z
    .array(
      z.strictObject({
        name: z.string(),
        kind: z.enum(['accept', 'release', 'wait', 'deny', 'expired', 'failed']),
        differs: z.boolean(),
        reasons: z.array(z.strictObject({ code: z.string(), expected: z.string(), actual: z.string() })),
      }),
    )
    .optional(),
})
export type Verdict = z.infer<typeof verdictSchema>

const common = {
  vouchsafe: z.literal('decision/v1'),
  id: z.string().min(1).max(64),
  profile: z.enum(['production', 'simulated']),
  codeVersion: z.string(),
  verdict: verdictSchema,
}

/** A decision as recorded: inputs raw, no secret, enough to compute the verdict again years later (decision 18). */
export const decisionRecordSchema = z.discriminatedUnion('operation', [
  z.strictObject({ ...common, operation: z.literal('attest'), inputs: attestInputsSchema }),
  z.strictObject({ ...common, operation: z.literal('release'), inputs: releaseInputsSchema }),
  z.strictObject({ ...common, operation: z.literal('renew'), inputs: releaseInputsSchema }),
  z.strictObject({ ...common, operation: z.literal('distribute'), inputs: distributionInputsSchema }),
])
export type DecisionRecord = z.infer<typeof decisionRecordSchema>
