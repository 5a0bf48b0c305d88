import { z } from 'zod'

export const base64UrlSchema = (maxBytes: number) =>
  z
    .string()
    .regex(/^[A-Za-z0-9_-]*$/, 'wanted base64url')
    .max(Math.ceil((maxBytes * 4) / 3))
const registerNumber = z.string().regex(/^(?:[0-9]|1[0-9]|2[0-3])$/)

/** What any TPM says of a boot: what it signed, and the logs that explain it. */
export const measuredBootShape = {
  /** TPMS_ATTEST and TPMT_SIGNATURE of a quote over all of the SHA-256 bank. */
  quote: z.strictObject({ attest: base64UrlSchema(2048), signature: base64UrlSchema(1024) }),
  /** All 24 registers of the SHA-256 bank, lower-case hexadecimal, by number. */
  registers: z.record(registerNumber, z.string().regex(/^[0-9a-f]{64}$/)),
  /** TCG PC Client log, crypto-agile, as the kernel exposes it. */
  bootLog: base64UrlSchema(1024 * 1024),
  /** Canonical event log of the launch, TLV. */
  launchLog: base64UrlSchema(256 * 1024),
  /** What Linux measured since the boot: `binary_runtime_measurements`. Left out where it measured nothing, register 10 being zero. */
  imaLog: base64UrlSchema(512 * 1024).exactOptional(),
}

/** TPM 2.0 evidence as an agent sends it. Nothing in it is believed before `verifyTpmEvidence`. */
export const tpmEvidenceSchema = z.strictObject({
  format: z.literal('tpm'),
  /** TPMT_PUBLIC of the attestation key. */
  akPublic: base64UrlSchema(1024),
  ...measuredBootShape,
})
export type TpmEvidence = z.infer<typeof tpmEvidenceSchema>

/** What a broker keeps of an enrolled machine: who it is, and what it looked like then. */
export const enrolmentSchema = z.strictObject({
  machine: z.string().min(1).max(64),
  /** DER in base64url. */
  ekCertificate: base64UrlSchema(8192),
  intermediates: z.array(base64UrlSchema(8192)).max(4),
  /** TPMT_PUBLIC of the attestation key that the endorsement key activated. */
  akPublic: base64UrlSchema(1024),
  resetCount: z.number().int().min(0).max(0xffffffff),
  restartCount: z.number().int().min(0).max(0xffffffff),
})
export type Enrolment = z.infer<typeof enrolmentSchema>
