import { TpmError } from '../codec/errors.ts'
import type { Executor } from './executor.ts'
import { getCapability } from './capabilities.ts'
import { nvRead } from './nv.ts'

/** Where the TCG's EK credential profile puts the certificate of each template's key. */
export const EK_CERTIFICATE_INDICES = {
  ekRsa2048: 0x01c00002,
  ekEccP256: 0x01c0000a,
  ekRsa2048H: 0x01c00012,
  ekEccP256H: 0x01c00014,
  ekEccP384H: 0x01c00016,
  ekEccP521H: 0x01c00018,
  ekRsa3072H: 0x01c0001c,
} as const
export type EkCertificateName = keyof typeof EK_CERTIFICATE_INDICES

/** The first and last index for certificates of the authorities above. */
const CHAIN_FIRST = 0x01c00100
const CHAIN_LAST = 0x01c001ff
const NV_FIRST = 0x01000000

/** An endorsement key certificate, DER. Nothing about it is checked. */
export interface EkCertificate {
  readonly template: EkCertificateName
  readonly certificate: Uint8Array
}

/** The EK certificates that this TPM carries. */
export async function readEkCertificates(tpm: Executor): Promise<readonly EkCertificate[]> {
  const present = new Set(await getCapability(tpm, 'handles', NV_FIRST, 1024))
  const found: EkCertificate[] = []
  for (const template of Object.keys(EK_CERTIFICATE_INDICES) as EkCertificateName[]) {
    const index = EK_CERTIFICATE_INDICES[template]
    if (present.has(index)) found.push({ template, certificate: firstDer(await nvRead(tpm, index)) })
  }
  return found
}

/** Certificates of issuing authorities that the manufacturer put into NV, in the order of their bytes. */
export async function readEkCertificateChain(tpm: Executor): Promise<readonly Uint8Array[]> {
  const present = await getCapability(tpm, 'handles', CHAIN_FIRST, CHAIN_LAST - CHAIN_FIRST + 1)
  const parts: Uint8Array[] = []
  for (const index of present) if (index >= CHAIN_FIRST && index <= CHAIN_LAST) parts.push(await nvRead(tpm, index))
  let rest = new Uint8Array(Buffer.concat(parts))
  const certificates: Uint8Array[] = []
  while (rest[0] === SEQUENCE) {
    const certificate = firstDer(rest)
    certificates.push(certificate)
    rest = rest.subarray(certificate.length)
  }
  return certificates
}

const SEQUENCE = 0x30

/**
 * The DER SEQUENCE at the start of `bytes`, without what some manufacturers pad their index with.
 * @throws {TpmError} `input.malformed` when there is none, or it runs past the end.
 */
export function firstDer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const lengthOctet = bytes[1] ?? 0
  const more = lengthOctet & 0x7f
  const isLong = lengthOctet >= 0x80
  if (bytes[0] !== SEQUENCE || (isLong && (more === 0 || more > 3)))
    throw new TpmError('input.malformed', 'EK certificate: does not begin with a DER SEQUENCE')
  const header = isLong ? 2 + more : 2
  const length = isLong ? bytes.subarray(2, header).reduce((sum, octet) => sum * 256 + octet, 0) : lengthOctet
  if (header + length > bytes.length)
    throw new TpmError(
      'input.malformed',
      `EK certificate: wants ${header + length} bytes, the index has ${bytes.length}`,
    )
  return new Uint8Array(bytes.subarray(0, header + length))
}
