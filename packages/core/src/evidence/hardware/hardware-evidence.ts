import { z } from 'zod'

const base64Url = (maxBytes: number) =>
  z
    .string()
    .regex(/^[A-Za-z0-9_-]*$/, 'wanted base64url')
    .max(Math.ceil((maxBytes * 4) / 3))
/** Canonical event log of the launch, TLV: the report's data commit to it. */
const launchLog = base64Url(256 * 1024)

/** An SEV-SNP report as an agent sends it. Nothing in it is believed before `verifyHardwareEvidence`. */
export const snpEvidenceSchema = z.strictObject({
  format: z.literal('snp'),
  /** ATTESTATION_REPORT, 1184 bytes. */
  report: base64Url(1184),
  /** DER of the VCEK or VLEK, where the host hands it to the guest. A VLEK can come no other way. */
  vek: base64Url(4096).exactOptional(),
  launchLog,
})

/** A TDX quote as an agent sends it. */
export const tdxEvidenceSchema = z.strictObject({
  format: z.literal('tdx'),
  quote: base64Url(16 * 1024),
  /** The CCEL log of the boot, as the kernel shows it: must replay to RTMR0 to RTMR2. Left out: registers are values only. */
  bootLog: base64Url(512 * 1024).exactOptional(),
  launchLog,
})

export const hardwareEvidenceSchema = z.discriminatedUnion('format', [snpEvidenceSchema, tdxEvidenceSchema])
export type HardwareEvidence = z.infer<typeof hardwareEvidenceSchema>

const base64 = (maxBytes: number) => z.base64().max(Math.ceil(maxBytes / 3) * 4)
const signedDocument = z.strictObject({
  /** The JSON value that Intel signed, byte for byte. */
  body: base64(512 * 1024),
  signature: base64(64),
  /** PEM, signer first. */
  issuerChain: z.string().max(65_536),
})

/** What the vendor says beside the evidence, as the broker had it: raw, so that a recorded decision is walked again offline. */
export const collateralSchema = z.discriminatedUnion('vendor', [
  z.strictObject({
    vendor: z.literal('amd'),
    /** DER of the chip's certificate; null where the guest brought its own. */
    vek: base64(4096).nullable(),
    /** DER of ASK and ASVK. Genuine ones need not be given. */
    intermediates: z.array(base64(8192)).max(8),
    revocationLists: z.array(base64(1024 * 1024)).max(8),
  }),
  z.strictObject({
    vendor: z.literal('intel'),
    tcbInfo: signedDocument,
    qeIdentity: signedDocument,
    pckCrl: base64(1024 * 1024),
    rootCrl: base64(1024 * 1024),
  }),
])
export type HardwareCollateral = z.infer<typeof collateralSchema>
