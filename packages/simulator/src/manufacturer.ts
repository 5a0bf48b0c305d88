import { createHash, generateKeyPairSync } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import {
  AuthorityKeyIdentifier,
  BasicConstraints,
  ExtendedKeyUsage,
  GeneralName,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
} from '@peculiar/asn1-x509'
import { distinguishedName, extension, issueCertificate } from './issue-certificate.ts'

/**
 * Marks every certificate of a simulator, roots and endorsement keys alike (decision 9). A production store refuses what
 * carries it. The arc is a UUID of our own (ITU-T X.667), so nobody else's certificate can.
 */
export const SIMULATOR_OID = '2.25.330664900464277845244769800134942258244'

/** What swtpm says of itself, and so does the certificate: nobody is to take it for a TPM that somebody made. */
const SOFTWARE_TPM = { manufacturer: 'id:00001014', model: 'swtpm', version: 'id:20191023' } as const

const OID = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  tcgEkCertificate: '2.23.133.8.1',
  tpmManufacturer: '2.23.133.2.1',
  tpmModel: '2.23.133.2.2',
  tpmVersion: '2.23.133.2.3',
} as const

const NULL = Uint8Array.of(0x05, 0x00)
const SUBJECT = distinguishedName([OID.organization, 'vouchsafe'], [OID.commonName, 'SIMULATED TPM manufacturer'])

/**
 * A manufacturer of simulated TPMs. Its key lives in this process only and signs for one run: swtpm_setup's own
 * authority is shared by everybody on a machine, so it says nothing.
 */
export class SimulatorManufacturer {
  /** The root, DER: what a simulated store takes as its anchor, of class `simulated`. */
  readonly certificate: Uint8Array<ArrayBuffer>
  readonly #key: KeyObject
  readonly #keyId: Uint8Array<ArrayBuffer>

  private constructor(certificate: Uint8Array<ArrayBuffer>, key: KeyObject, keyId: Uint8Array<ArrayBuffer>) {
    this.certificate = certificate
    this.#key = key
    this.#keyId = keyId
  }

  static create(): SimulatorManufacturer {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const keyId = keyIdentifier(publicKey)
    const certificate = issueCertificate({
      subject: SUBJECT,
      issuer: SUBJECT,
      publicKey,
      signingKey: privateKey,
      extensions: [
        extension(OID.basicConstraints, true, new BasicConstraints({ cA: true, pathLenConstraint: 0 })),
        extension(OID.keyUsage, true, new KeyUsage(KeyUsageFlags.keyCertSign)),
        extension(OID.subjectKeyIdentifier, false, new SubjectKeyIdentifier(keyId)),
        extension(SIMULATOR_OID, false, NULL),
      ],
    })
    return new SimulatorManufacturer(certificate, privateKey, keyId)
  }

  /**
   * Issues the certificate of an endorsement key.
   *
   * @returns DER.
   * @source TCG EK Credential Profile for TPM Family 2.0, version 2.5, section 3.2
   */
  endorse(endorsementKey: KeyObject): Uint8Array<ArrayBuffer> {
    const isRsa = endorsementKey.asymmetricKeyType === 'rsa'
    const maker = distinguishedName(
      [OID.tpmManufacturer, SOFTWARE_TPM.manufacturer],
      [OID.tpmModel, SOFTWARE_TPM.model],
      [OID.tpmVersion, SOFTWARE_TPM.version],
    )
    return issueCertificate({
      subject: distinguishedName(), // empty, so the alternative name must be critical
      issuer: SUBJECT,
      publicKey: endorsementKey,
      signingKey: this.#key,
      extensions: [
        extension(OID.basicConstraints, true, new BasicConstraints({ cA: false })),
        extension(OID.keyUsage, true, new KeyUsage(isRsa ? KeyUsageFlags.keyEncipherment : KeyUsageFlags.keyAgreement)),
        extension(OID.extendedKeyUsage, false, new ExtendedKeyUsage([OID.tcgEkCertificate])),
        extension(OID.subjectAltName, true, new SubjectAlternativeName([new GeneralName({ directoryName: maker })])),
        extension(
          OID.authorityKeyIdentifier,
          false,
          new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(this.#keyId) }),
        ),
        extension(SIMULATOR_OID, false, NULL),
      ],
    })
  }
}

/** RFC 7093, method 1: the first 160 bits of SHA-256 over the public key. */
function keyIdentifier(key: KeyObject): Uint8Array<ArrayBuffer> {
  const { x = '', y = '' } = key.export({ format: 'jwk' })
  const point = Buffer.concat([Uint8Array.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')])
  return new Uint8Array(createHash('sha256').update(point).digest().subarray(0, 20))
}
