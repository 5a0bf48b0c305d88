import { x509 } from '@vouchsafe/core'
import { TEMPLATES, TpmError, encodeTpmPublic, spkiOfTpmPublic } from '@vouchsafe/tpm'
import type { Tpm, TpmObject } from '@vouchsafe/tpm'
import { AgentError } from '../errors.ts'

/**
 * Where makers leave endorsement certificates, and the template of the key that each is for. Curves come first: making an
 * RSA key can take a TPM many seconds.
 *
 * @source TCG EK Credential Profile for TPM Family 2.0, version 2.5, section 2.2.1.4
 */
const PLACES = [
  { nvIndex: 0x01c0000a, template: TEMPLATES.ekEccP256 },
  { nvIndex: 0x01c00014, template: TEMPLATES.ekEccP256H },
  { nvIndex: 0x01c00016, template: TEMPLATES.ekEccP384H },
  { nvIndex: 0x01c00018, template: TEMPLATES.ekEccP521H },
  { nvIndex: 0x01c00002, template: TEMPLATES.ekRsa2048 },
  { nvIndex: 0x01c00012, template: TEMPLATES.ekRsa2048H },
  { nvIndex: 0x01c0001c, template: TEMPLATES.ekRsa3072H },
] as const

/** An endorsement key's certificate as its maker left it, and how to make that key again. */
export interface Endorsement {
  /** DER, without the padding of its index. */
  readonly certificate: Uint8Array
  /** DER SubjectPublicKeyInfo that the certificate certifies. */
  readonly spki: Uint8Array
  readonly template: (typeof PLACES)[number]['template']
}

/** Endorsements this TPM has certificates for. Which of them is genuine is the broker's question. */
async function findEndorsements(tpm: Tpm): Promise<readonly Endorsement[]> {
  const found: Endorsement[] = []
  for (const { nvIndex, template } of PLACES) {
    const content = await readIndex(tpm, nvIndex)
    if (content === null) continue
    const { certificate } = x509.readEkCertificate(content)
    found.push({ certificate: certificate.der, spki: certificate.spki, template })
  }
  return found
}

/**
 * The first endorsement whose key this TPM really makes from its template, with that key loaded: flush it when done.
 *
 * @throws {AgentError} `tpm.no-endorsement`
 */
export async function loadEndorsementKey(
  tpm: Tpm,
): Promise<{ endorsement: Endorsement; key: TpmObject; ekPublic: Uint8Array }> {
  for (const endorsement of await findEndorsements(tpm)) {
    const key = await tpm.createPrimary({ template: endorsement.template, hierarchy: 'endorsement' })
    if (Buffer.compare(spkiOfTpmPublic(key.public), endorsement.spki) === 0)
      return { endorsement, key, ekPublic: encodeTpmPublic(key.public) }
    await key.flush()
  }
  throw new AgentError(
    'tpm.no-endorsement',
    `${tpm.address} holds no endorsement certificate that fits a key made from the TCG's templates`,
  )
}

/** Null when there is no such index, or nothing was written to it. A malformed certificate is an error, not an absence. */
export async function readIndex(tpm: Tpm, nvIndex: number): Promise<Uint8Array | null> {
  try {
    return await tpm.nvRead(nvIndex)
  } catch (error) {
    if (error instanceof TpmError && error.code === 'tpm.response') return null
    throw error
  }
}
