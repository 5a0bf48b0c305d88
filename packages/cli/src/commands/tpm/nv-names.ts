import { EK_CERTIFICATE_INDICES } from '@vouchsafe/tpm'

const NAMES = new Map<number, string>([
  ...Object.entries(EK_CERTIFICATE_INDICES).map(([key, index]) => [index, `certificate of ${key}`] as const),
  [0x01c08000, 'platform certificate'],
  [0x01c10000, 'certificate of Google’s RSA attestation key'],
  [0x01c10001, 'template of Google’s RSA attestation key'],
  [0x01c10002, 'certificate of Google’s ECC attestation key'],
  [0x01c10003, 'template of Google’s ECC attestation key'],
  [0x01400001, 'vTPM report of Azure’s paravisor'],
  [0x01400002, 'report data for Azure’s paravisor'],
  [0x01c101d0, 'certificate of Azure’s attestation key'],
])

/** What an index is for by convention; empty where there is none. */
export function nvPurpose(index: number): string {
  if (index >= 0x01c00100 && index <= 0x01c001ff) return 'certificate chain of the endorsement key'
  return NAMES.get(index) ?? ''
}
