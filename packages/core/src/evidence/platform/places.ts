/** Where Azure's paravisor keeps its report, takes data for the next one, and holds the vTPM's attestation key. */
export const AZURE_VTPM = { report: 0x01400001, userData: 0x01400002, key: 0x81000003 } as const

/** Where Google's vTPMs keep the templates of the attestation keys that Google certifies, and those certificates. */
export const GCE_VTPM = {
  rsa: { template: 0x01c10001, certificate: 0x01c10000 },
  ecc: { template: 0x01c10003, certificate: 0x01c10002 },
} as const
