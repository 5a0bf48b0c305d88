/** Extended key usages: Go's number, and the name that OPA's verification options use. */
export const EXTENDED_KEY_USAGES = [
  { goNumber: 0, oid: '2.5.29.37.0', name: 'KeyUsageAny' },
  { goNumber: 1, oid: '1.3.6.1.5.5.7.3.1', name: 'KeyUsageServerAuth' },
  { goNumber: 2, oid: '1.3.6.1.5.5.7.3.2', name: 'KeyUsageClientAuth' },
  { goNumber: 3, oid: '1.3.6.1.5.5.7.3.3', name: 'KeyUsageCodeSigning' },
  { goNumber: 4, oid: '1.3.6.1.5.5.7.3.4', name: 'KeyUsageEmailProtection' },
  { goNumber: 5, oid: '1.3.6.1.5.5.7.3.5', name: 'KeyUsageIPSECEndSystem' },
  { goNumber: 6, oid: '1.3.6.1.5.5.7.3.6', name: 'KeyUsageIPSECTunnel' },
  { goNumber: 7, oid: '1.3.6.1.5.5.7.3.7', name: 'KeyUsageIPSECUser' },
  { goNumber: 8, oid: '1.3.6.1.5.5.7.3.8', name: 'KeyUsageTimeStamping' },
  { goNumber: 9, oid: '1.3.6.1.5.5.7.3.9', name: 'KeyUsageOCSPSigning' },
  { goNumber: 10, oid: '1.3.6.1.4.1.311.10.3.3', name: 'KeyUsageMicrosoftServerGatedCrypto' },
  { goNumber: 11, oid: '2.16.840.1.113730.4.1', name: 'KeyUsageNetscapeServerGatedCrypto' },
  { goNumber: 12, oid: '1.3.6.1.4.1.311.2.1.22', name: 'KeyUsageMicrosoftCommercialCodeSigning' },
  { goNumber: 13, oid: '1.3.6.1.4.1.311.61.1.1', name: 'KeyUsageMicrosoftKernelCodeSigning' },
] as const

export const ANY_USAGE = '2.5.29.37.0'
export const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'
