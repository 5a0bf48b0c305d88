import type { CryptoPort } from '../../base/crypto.ts'
import { fromBase64 } from '../../base/encoding.ts'
import { parseCertificate } from '../../x509/index.ts'
import { type GceInstance, readGceInstance } from '../gce-vtpm/instance.ts'
import type { InstanceFacts } from './instance-facts.ts'

/** What the endorsement certificate that a platform publishes says, where it publishes one. */
export interface PublishedEndorsement {
  /** Whether it certifies the endorsement key that is published beside it. */
  readonly isOfPublishedKey: boolean
  /** The instance that it was issued for; undefined where it names none. */
  readonly instance: GceInstance | undefined
}

/**
 * Reads the endorsement certificate of a platform's record. Its chain is not verified: it is as good as the record.
 *
 * @returns null where the platform publishes none
 * @throws {VouchsafeError} `endorsement.malformed`
 */
export function readPublishedEndorsement(tpm: InstanceFacts['tpm'], crypto: CryptoPort): PublishedEndorsement | null {
  if (tpm.endorsementCertificate === null) return null
  const certificate = parseCertificate(fromBase64(tpm.endorsementCertificate, 'endorsement certificate'))
  const key = tpm.endorsementKey === null ? null : fromBase64(tpm.endorsementKey, 'endorsement key')
  return {
    isOfPublishedKey: key !== null && crypto.equal(certificate.spki, key),
    instance: readGceInstance(certificate),
  }
}
