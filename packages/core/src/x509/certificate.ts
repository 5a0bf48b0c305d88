import { toHex } from '../base/encoding.ts'
import { VouchsafeError } from '../base/errors.ts'
import { readSignatureAlgorithm, type SignatureAlgorithm } from './algorithm.ts'
import { contextTag, DerReader, TAG } from './der.ts'
import { readExtensions, readStandardExtensions, type Extension, type StandardExtensions } from './extensions.ts'
import { readName, type Name } from './name.ts'
import { OID } from './oids.ts'
import { sameBytes } from './same-bytes.ts'

/** An X.509 v3 certificate as parsed. Nothing in it is authenticated: see `verifyChain`. */
export interface Certificate extends StandardExtensions {
  /** Names the certificate in errors: its subject, or its serial number where the subject is empty. */
  readonly label: string
  /** All of it, as received. */
  readonly der: Uint8Array
  /** The signed part, as received. */
  readonly tbs: Uint8Array
  /** Lower-case hexadecimal of the content octets: `0` of AMD is `00`. */
  readonly serial: string
  readonly issuer: Name
  readonly notBefore: Date
  readonly notAfter: Date
  readonly subject: Name
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array
  readonly extensions: ReadonlyMap<string, Extension>
  /** Extensions that somebody must understand: the critical ones, but for those that every chain is judged by. */
  readonly demanding: readonly string[]
  readonly signatureAlgorithm: SignatureAlgorithm
  readonly signature: Uint8Array
}

const MAX_BYTES = 64 * 1024

/**
 * Reads one certificate, strictly: DER only, version 3, no bytes left over, no extension twice, and the two places that
 * name the signature algorithm must agree.
 *
 * @param der - Copied, so that later writes to it change nothing.
 * @throws {VouchsafeError} `endorsement.malformed`, naming the field and its offset.
 * @source RFC 5280 section 4.1
 */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.length > MAX_BYTES) throw new VouchsafeError('input.too-large', `certificate: over ${MAX_BYTES} bytes`)
  const bytes = new Uint8Array(der)
  const outer = new DerReader('certificate', bytes)
  const r = outer.sequence('Certificate')
  outer.end()
  const { tbs, tbsAlgorithm, fields } = readTbs(r)
  const algorithmBytes = r.take('signatureAlgorithm', TAG.sequence).raw
  if (!sameBytes(algorithmBytes, tbsAlgorithm))
    throw r.malformed('signatureAlgorithm', 'differs from the one inside the signed part')
  const signatureAlgorithm = readSignatureAlgorithm(new DerReader('certificate', algorithmBytes), 'signatureAlgorithm')
  const signature = r.bitStringOctets('signatureValue')
  r.end()
  const label = fields.subject.text === '' ? `certificate ${fields.serial}` : fields.subject.text
  const { serial, issuer, notBefore, notAfter, subject, spki, extensions, demanding, standard } = fields
  return {
    label,
    der: bytes,
    tbs,
    serial,
    issuer,
    notBefore,
    notAfter,
    subject,
    spki,
    extensions,
    demanding,
    signatureAlgorithm,
    signature,
    ...standard, // last: what stands after a spread is added to the object one by one
  }
}

function readTbs(r: DerReader) {
  const element = r.take('tbsCertificate', TAG.sequence)
  const t = new DerReader('certificate', element.content, element.raw.length - element.content.length)
  const version = t.inside('version', contextTag(0, 'constructed'))
  if (version.smallInteger('version') !== 2) throw version.malformed('version', 'not version 3')
  version.end()
  const serial = t.integer('serialNumber')
  if (serial.length > 21 || (serial[0] ?? 0) >= 0x80) throw t.malformed('serialNumber', 'negative, or over 20 octets')
  const tbsAlgorithm = t.take('signature', TAG.sequence).raw
  const issuer = readName(t, 'issuer')
  const validity = t.sequence('validity')
  const notBefore = validity.time('notBefore')
  const notAfter = validity.time('notAfter')
  validity.end()
  const subject = readName(t, 'subject')
  const spki = t.take('subjectPublicKeyInfo', TAG.sequence).raw
  const explicit = t.optionalInside('extensions', contextTag(3, 'constructed'))
  const extensions: ReadonlyMap<string, Extension> = explicit ? readExtensions(explicit) : new Map()
  explicit?.end()
  t.end() // the unique identifiers of 1993 stand before extensions: nobody may use them, so they end here as well
  const fields = {
    serial: toHex(serial),
    issuer,
    notBefore,
    notAfter,
    subject,
    spki,
    extensions,
    demanding: demandingOf(extensions),
    standard: readStandardExtensions('certificate', extensions),
  }
  return { tbs: element.raw, tbsAlgorithm, fields }
}

const UNDERSTOOD: readonly string[] = [OID.basicConstraints, OID.keyUsage, OID.extendedKeyUsage]

function demandingOf(extensions: ReadonlyMap<string, Extension>): readonly string[] {
  const demanding: string[] = []
  for (const { oid, critical } of extensions.values())
    // a CA that constrains names must be obeyed whether or not it says so critically
    if (oid === OID.nameConstraints || (critical && !UNDERSTOOD.includes(oid))) demanding.push(oid)
  return demanding
}
