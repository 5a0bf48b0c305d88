import * as x509 from '@vouchsafe/core/x509'
import { ImageError } from '../errors.ts'
import { wellFormed } from './signed-json.ts'

/** The one use that signers' certificates are issued for. */
export const CODE_SIGNING = '1.3.6.1.5.5.7.3.3'
export const SUBJECT_ALTERNATIVE_NAME = '2.5.29.17'
const FULCIO_ISSUER = '1.3.6.1.4.1.57264.1.1'
const FULCIO_ISSUER_V2 = '1.3.6.1.4.1.57264.1.8'

/** Whom a certificate names. Believe it only of one whose path to a trusted root was checked. */
export interface CertifiedSigner {
  /** The OIDC issuer that vouched for the subject, as Fulcio writes it. */
  readonly issuer?: string
  readonly emails: readonly string[]
  readonly uris: readonly string[]
  readonly hosts: readonly string[]
}

/** @throws {ImageError} `signature.malformed` */
export function readCertificate(der: Uint8Array, place: string): x509.Certificate {
  return wellFormed(place, () => x509.parseCertificate(der))
}

/** @throws {ImageError} `signature.malformed`, `signature.mismatch` for a certificate that names two issuers. */
export function readSigner(leaf: x509.Certificate, place: string): CertifiedSigner {
  const issuer = fulcioIssuer(leaf, place)
  const { uris = [], dns: hosts = [] } = leaf.subjectAlternativeNames ?? {}
  const emails = wellFormed(`${place}: certificate: subjectAltName`, () => emailsOf(leaf))
  return { ...(issuer === undefined ? {} : { issuer }), emails, uris, hosts }
}

/**
 * What a path of signatures and dates does not say: that the certificate was issued for signing code, and demands
 * nothing that nobody here reads.
 *
 * @throws {ImageError} `signature.untrusted`
 */
export function assertSignsCode(leaf: x509.Certificate, place: string): void {
  const refuse = (why: string) => new ImageError('signature.untrusted', `${place}: certificate ${leaf.label}: ${why}`)
  if (leaf.keyUsage?.has('digitalSignature') === false) throw refuse('keyUsage: lacks digitalSignature')
  if (leaf.extendedKeyUsage?.includes(CODE_SIGNING) !== true) throw refuse(`extKeyUsage: lacks ${CODE_SIGNING}`)
  const odd = leaf.demanding.find((oid) => oid !== SUBJECT_ALTERNATIVE_NAME)
  if (odd !== undefined) throw refuse(`critical extension ${odd} is not handled`)
}

/** The first extension holds the text itself, the later one DER; who carries both must mean one issuer. */
function fulcioIssuer(leaf: x509.Certificate, place: string): string | undefined {
  const [old, current] = wellFormed(`${place}: certificate: issuer`, () => {
    const first = leaf.extensions.get(FULCIO_ISSUER)
    const second = leaf.extensions.get(FULCIO_ISSUER_V2)
    return [first && utf8(first.value), second && derText(second.value)] as const
  })
  if (old !== undefined && current !== undefined && old !== current)
    throw new ImageError('signature.mismatch', `${place}: the certificate names two issuers`)
  return current ?? old
}

function derText(der: Uint8Array): string {
  const r = new x509.DerReader('issuer extension', der)
  const { tag, content } = r.any('UTF8String')
  if (tag !== UTF8_STRING) throw r.malformed('UTF8String', 'another type')
  r.end()
  return utf8(content)
}

const UTF8_STRING = 0x0c

function emailsOf(leaf: x509.Certificate): readonly string[] {
  const extension = leaf.extensions.get(SUBJECT_ALTERNATIVE_NAME)
  if (extension === undefined) return []
  const emails: string[] = []
  const r = new x509.DerReader('subjectAltName', extension.value).sequence('GeneralNames')
  while (!r.done) {
    const { tag, content } = r.any('GeneralName')
    if (tag === x509.contextTag(1)) emails.push(Buffer.from(content).toString('latin1'))
  }
  return emails
}

function utf8(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
}
