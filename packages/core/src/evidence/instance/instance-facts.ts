import { z } from 'zod'

const text = (max: number) => z.string().min(1).max(max)
const bytes = (max: number) => z.base64().max(Math.ceil((max * 4) / 3) + 4)
const instant = z.iso.datetime()

/** One entry of the platform's audit trail that is about the instance, or about what it inherits. */
export const auditEntrySchema = z.strictObject({
  at: instant,
  /** As the platform names it, with version, for example `v1.compute.instances.setMetadata`. */
  method: text(256),
  principal: z.string().max(320),
  /** Names of launch metadata that the entry sets or changes. */
  metadataKeys: z.array(z.string().max(256)).max(256),
})
export type AuditEntry = z.infer<typeof auditEntrySchema>

/**
 * What a platform says of an instance at one moment, in words that fit every platform. Nothing of it comes from the guest;
 * how far it can be believed is `source`.
 */
export const instanceFactsSchema = z.strictObject({
  /** `live` was asked of the platform for this decision, `recorded` is a file of the platform's answers, `static` is an owner's own. */
  source: z.enum(['live', 'recorded', 'static']),
  at: instant,
  instance: text(64),
  name: text(128),
  project: text(128),
  zone: text(128),
  created: instant,
  status: text(64),
  /** What keeps the host out of memory, by the platform's word: `none`, `SEV`, `SEV_SNP`, `TDX`. */
  memoryEncryption: text(32),
  secureBoot: z.boolean(),
  launch: z.strictObject({
    /** Exact bytes; null where the instance has none. */
    userData: bytes(256 * 1024).nullable(),
    fingerprint: text(256),
    /** Every key of launch metadata, the instance's own and what it inherits. */
    metadataKeys: z.array(z.string().max(256)).max(512),
  }),
  disks: z.array(z.strictObject({ name: text(256), boot: z.boolean(), image: z.string().max(512).nullable() })).max(64),
  accounts: z.array(text(320)).max(8),
  addresses: z.array(text(64)).max(64),
  /** True when the addresses above stand for other machines as well. */
  sharedAddress: z.boolean(),
  /** True when an agent that can change packages inside the instance is on. */
  managementAgent: z.boolean(),
  /** What the platform publishes of the instance's TPM: DER SubjectPublicKeyInfo and certificates. */
  tpm: z.strictObject({
    endorsementKey: bytes(2048).nullable(),
    endorsementCertificate: bytes(8192).nullable(),
    attestationKey: bytes(2048).nullable(),
  }),
  audit: z.strictObject({
    /** False when the trail was cut, or does not reach back to when the instance was made. */
    complete: z.boolean(),
    entries: z.array(auditEntrySchema).max(2000),
  }),
})
export type InstanceFacts = z.infer<typeof instanceFactsSchema>
