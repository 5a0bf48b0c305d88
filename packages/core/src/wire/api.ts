import { z } from 'zod'
import { brokerPinSchema, nameSchema, resourcePathSchema } from '../agreement/agreement.ts'
import { envelopeSchema } from '../agreement/envelope.ts'
import { referenceNameSchema } from '../agreement/reference/reference-set.ts'
import { distrustRuleSchema } from '../appraisal/distrust.ts'
import { ownerKeySchema, p256JwkSchema } from '../base/keys.ts'
import { ASSURANCE_CLASSES } from '../claims/claims.ts'
import { evidenceSchema } from '../evidence/evidence-schema.ts'
import { unsupportedEvidenceSchema } from '../evidence/unsupported.ts'
import { PROFILES } from '../ledger/index.ts'

/*
 * Bodies of the native HTTP API, one request and one response a route. Broker, client and the OpenAPI document all
 * read them here. Objects are strict: a member that is not named is refused.
 */

const base64 = (maxBytes: number) => z.base64().max(Math.ceil(maxBytes / 3) * 4)
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/)
const id = z.string().min(1).max(64)
const instant = z.iso.datetime()
/** A C2SP checkpoint note. */
const note = z.string().max(4096)

export const sessionSchema = z.string().regex(/^[A-Za-z0-9_-]{16,64}$/)
export const NONCE_PURPOSES = ['enrol', 'attest', 'release', 'request'] as const
export type NoncePurpose = (typeof NONCE_PURPOSES)[number]

export const errorResponse = z.strictObject({
  code: z.string(),
  message: z.string(),
  requestId: z.string(),
  /** The recorded decision, where there is one: its owner can see all of it. */
  decision: id.optional(),
})

export const tenantResponse = z.strictObject({
  broker: brokerPinSchema,
  profile: z.enum(PROFILES),
  owner: nameSchema,
  issuer: z.string(),
  audience: z.string(),
  keys: z.array(p256JwkSchema.extend({ kid: z.string() })),
})

export const nonceRequest = z.strictObject({ purpose: z.enum(NONCE_PURPOSES), session: sessionSchema })
export const nonceResponse = z.strictObject({ nonce: z.string(), expires: instant })

export const enrolBeginRequest = z.strictObject({
  ticket: z.string().min(1).max(256),
  ekCertificate: base64(8192),
  intermediates: z.array(base64(8192)).max(4),
  /** TPMT_PUBLIC of the endorsement key (its key must be the certificate's) and of the attestation key. */
  ekPublic: base64(1024),
  akPublic: base64(1024),
})
export const enrolBeginResponse = z.strictObject({
  /** Opaque; authenticated by the broker, which keeps nothing. */
  handle: z.string().max(8192),
  nonce: z.string(),
  /** TPMS_ID_OBJECT and encrypted secret, as ActivateCredential takes them, without outer sizes. */
  credential: base64(1024),
  secret: base64(1024),
})
export const enrolFinishRequest = z.strictObject({
  handle: z.string().max(8192),
  /** HMAC-SHA256(activated secret, enrolment transcript). */
  proof: base64(32),
  /** A first quote over the enrolment transcript: where the counters come from. */
  quote: z.strictObject({ attest: base64(2048), signature: base64(1024) }),
  registers: z.record(z.string().regex(/^(?:[0-9]|1[0-9]|2[0-3])$/), z.string().regex(/^[0-9a-f]{64}$/)),
})
export const enrolFinishResponse = z.strictObject({
  machine: z.string(),
  class: z.enum(ASSURANCE_CLASSES),
  checkpoint: note,
})

export const attestRequest = z.strictObject({
  session: sessionSchema,
  nonce: z.string().min(1).max(512),
  /** Id of the enrolled machine; its attestation key must be the one that signed. Null for a CPU or a cloud's vTPM, which name themselves. */
  machine: id.nullable(),
  agreement: digest,
  sealKey: p256JwkSchema,
  proofKey: p256JwkSchema,
  evidence: evidenceSchema,
  /** The last checkpoint of this tenant's log that the agent kept, and those of other brokers that it carries (decision 16). */
  kept: note.nullable(),
  carried: z.array(z.strictObject({ broker: z.string().max(64), tenant: nameSchema, checkpoint: note })).max(16),
})
/** The same with kinds that are known and not judged: read so that they are refused by their name. */
export const attestRequestOfAnyKind = attestRequest.extend({
  evidence: z.union([attestRequest.shape.evidence, unsupportedEvidenceSchema]),
})
/** Consistency of the kept checkpoint with the new one. */
const growth = z.strictObject({ checkpoint: note, consistency: z.array(z.base64().max(64)).max(64) })
export const attestResponse = z.strictObject({ id, token: z.string(), log: growth, receipt: z.string() })

export const releaseRequest = z.strictObject({
  resources: z.array(resourcePathSchema).min(1).max(64),
  /** Chosen by the agent; asking again with the same id fetches the same decision (decision 14). */
  requestId: sessionSchema,
})
export const releaseResponse = z.strictObject({
  decision: id,
  sealed: z.array(z.strictObject({ resource: resourcePathSchema, jwe: z.string() })),
  lease: z.strictObject({ id, expires: instant }),
  receipt: z.string(),
})
export const renewRequest = z.strictObject({ requestId: sessionSchema })
export const renewResponse = z.strictObject({
  decision: id,
  lease: z.strictObject({ id, expires: instant }),
  receipt: z.string(),
})

export const putResourceRequest = z.strictObject({ value: base64(1 << 20), previousVersion: z.number().int().min(0) })
export const resourceVersion = z.strictObject({
  path: resourcePathSchema,
  version: z.number().int(),
  created: instant,
  removed: z.boolean(),
  bytes: z.number().int(),
})
export const putResourceResponse = z.strictObject({
  path: resourcePathSchema,
  version: z.number().int(),
  receipt: z.string(),
})
export const listResourcesResponse = z.strictObject({ resources: z.array(resourceVersion) })

export const proposeAgreementRequest = z.strictObject({ agreement: base64(256 * 1024) })
export const proposeAgreementResponse = z.strictObject({ digest, receipt: z.string() })
export const agreementStatus = z.strictObject({
  digest,
  name: nameSchema,
  agreement: base64(256 * 1024),
  statements: z.array(envelopeSchema),
  supersededBy: z.string().nullable(),
  approved: z.array(nameSchema),
  missing: z.array(nameSchema),
  withdrawn: z.array(nameSchema),
})
export const listAgreementsResponse = z.strictObject({ agreements: z.array(agreementStatus) })
export const statementRequest = z.strictObject({ statement: envelopeSchema })
export const statementResponse = z.strictObject({ receipt: z.string() })

/** Largest signature of an image that is recorded, with its key and all that it takes to check it alone. */
export const MAX_SIGNATURE_RECORD_BYTES = 32 * 1024
/** Of one image. */
export const MAX_RECORDED_SIGNATURES = 64

export const recordSignatureRequest = z.strictObject({ record: base64(MAX_SIGNATURE_RECORD_BYTES) })
export const recordedSignature = z.strictObject({
  /** As it was first shown here: its digest is the ledger entry's. */
  record: base64(MAX_SIGNATURE_RECORD_BYTES),
  receipt: z.string(),
})
export const recordSignatureResponse = recordedSignature.extend({
  /** It was in the ledger before: nothing was added. */
  repeated: z.boolean(),
})
export const listSignaturesResponse = z.strictObject({
  signatures: z.array(recordedSignature).max(MAX_RECORDED_SIGNATURES),
})

export const ticketRequest = z.strictObject({
  name: nameSchema,
  lifetimeSeconds: z.number().int().min(1).max(604_800),
  /** An enrolled machine that may enrol again, once: its owner knows why it restarted. */
  machine: id.optional(),
})
export const ticketResponse = z.strictObject({ ticket: z.string(), expires: instant })

export const machineSummary = z.strictObject({
  machine: id,
  class: z.string(),
  resetCount: z.number().int(),
  restartCount: z.number().int(),
  enrolled: instant,
  ended: instant.nullable(),
})
export const listMachinesResponse = z.strictObject({ machines: z.array(machineSummary) })
export const retireMachineResponse = z.strictObject({ machine: id, endedLeases: z.array(id) })

/** One version of a set, signed by whoever vouches for its values. */
export const fileReferenceRequest = z.strictObject({ signer: ownerKeySchema, version: envelopeSchema })
export const endReferenceRequest = z.strictObject({ value: referenceNameSchema, reason: z.string().min(1).max(512) })
export const referenceResponse = z.strictObject({
  set: referenceNameSchema,
  version: z.number().int(),
  receipt: z.string(),
})
const party = z.string().max(64)
export const referenceValueStatus = z.strictObject({
  id: referenceNameSchema,
  kind: z.string(),
  state: z.enum(['holds', 'over', 'ended']),
  notAfter: instant,
  how: z.string(),
  source: z.string(),
})
export const referenceSetStatus = z.strictObject({
  set: referenceNameSchema,
  /** Who vouches for the values: every version is signed by this key. */
  signer: ownerKeySchema,
  version: z.number().int(),
  digest,
  issued: instant,
  values: z.array(referenceValueStatus),
})
export const listReferencesResponse = z.strictObject({ sets: z.array(referenceSetStatus) })
export const referenceHistoryResponse = z.strictObject({
  set: referenceSetStatus,
  /** The newest version, as its signer signed it. */
  envelope: envelopeSchema,
  /** Oldest first: versions as they were filed, and values that were ended here. */
  filings: z.array(
    z.strictObject({
      at: instant,
      by: party,
      version: z.number().int(),
      digest,
      ended: z.strictObject({ value: referenceNameSchema, reason: z.string() }).nullable(),
    }),
  ),
})

export const distrustRequest = z.strictObject({ rule: distrustRuleSchema, dryRun: z.boolean() })
export const affectedRelease = z.strictObject({
  decision: id,
  at: instant,
  machine: z.string(),
  resources: z.array(resourcePathSchema),
  lease: id,
  running: z.boolean(),
})
export const distrustResponse = z.strictObject({
  applied: z.boolean(),
  affected: z.array(affectedRelease),
  receipt: z.string().nullable(),
})

export const principalRequest = z.strictObject({
  role: z.enum(['owner', 'operator', 'auditor']),
  id: nameSchema,
  key: ownerKeySchema,
})

export const decisionResponse = z.strictObject({ record: envelopeSchema, receipt: z.string() })
export const decisionSummary = z.strictObject({ id, at: instant, outcome: z.string(), code: z.string() })
export const listDecisionsResponse = z.strictObject({ decisions: z.array(decisionSummary) })
export const leaseResponse = z.strictObject({
  id,
  decision: id,
  machine: z.string(),
  expires: instant,
  renewals: z.number().int(),
})
export const listLeasesResponse = z.strictObject({ leases: z.array(leaseResponse) })
/** A page of the exported log; `size` is the number of entries at the time of the answer. */
export const ledgerPage = z.strictObject({ size: z.number().int().min(0), lines: z.array(z.string().max(65_536)) })
