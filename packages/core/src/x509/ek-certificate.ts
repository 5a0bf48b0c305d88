import { parseCertificate, type Certificate } from './certificate.ts'
import { attribute, type Name } from './name.ts'
import { OID } from './oids.ts'
import { VouchsafeError } from '../base/errors.ts'

/** A TPM endorsement key certificate, or an attestation key certificate of the same profile (Google's). */
export interface EkCertificate {
  readonly certificate: Certificate
  /** From the alternative name; undefined where the profile's attributes are absent (Google's newer hierarchy). */
  readonly tpm?: {
    /** `id:` and the TCG vendor id in eight upper-case hexadecimal digits. swtpm is `id:00001014`. */
    readonly manufacturer: string
    readonly model: string
    readonly version: string
  }
}

/** Critical extensions that the EK profile has and that `readEkCertificate` reads: pass as `handledCritical`. */
export const EK_HANDLED_CRITICAL: readonly string[] = [OID.subjectAltName]

/**
 * Reads the content of a TPM's certificate index. What follows the certificate there is cut off only when it is all
 * FF or all 00, as unwritten memory is; anything else is refused.
 *
 * @throws {VouchsafeError} `endorsement.malformed`
 * @source TCG EK Credential Profile for TPM Family 2.0, level 0, version 2.5, sections 3.2 and 3.1.2
 */
export function readEkCertificate(der: Uint8Array): EkCertificate {
  const certificate = parseCertificate(withoutPadding(der))
  const names = certificate.subjectAlternativeNames
  if (names === undefined) return { certificate }
  if (names.directoryNames.length > 1)
    throw new VouchsafeError('endorsement.malformed', 'EK certificate: subjectAltName: two directory names')
  const [name] = names.directoryNames
  const tpm = name && readTpm(name)
  return tpm === undefined ? { certificate } : { certificate, tpm }
}

function readTpm(name: Name): EkCertificate['tpm'] {
  const oids = [OID.tpmManufacturer, OID.tpmModel, OID.tpmVersion] as const
  if (!name.attributes.some((a) => oids.some((oid) => oid === a.oid))) return undefined
  const [manufacturer, model, version] = oids.map((oid) => attribute(name, oid))
  if (manufacturer === undefined || model === undefined || version === undefined)
    throw new VouchsafeError(
      'endorsement.malformed',
      'EK certificate: subjectAltName: manufacturer, model and version must each stand there once',
    )
  // some makers write the digits in lower case: one spelling, so that a rule can compare it
  if (!/^id:[0-9A-Fa-f]{8}$/.test(manufacturer))
    throw new VouchsafeError('endorsement.malformed', 'EK certificate: tpmManufacturer is not id:XXXXXXXX')
  return { manufacturer: `id:${manufacturer.slice(3).toUpperCase()}`, model, version }
}

function withoutPadding(der: Uint8Array): Uint8Array {
  const [tag, form, high = 0, low = 0] = der
  // certificates have 256 bytes to 64 KiB, so their length takes two octets; the rest is the parser's to refuse
  if (tag !== 0x30 || form !== 0x82) return der
  const end = 4 + high * 256 + low
  const filler = der[end]
  const isFiller = (filler === 0x00 || filler === 0xff) && der.subarray(end).every((byte) => byte === filler)
  return isFiller ? der.subarray(0, end) : der
}
