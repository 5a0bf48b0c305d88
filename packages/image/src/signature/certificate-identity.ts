import { createPublicKey, type KeyObject } from 'node:crypto'
import { VouchsafeError } from '@vouchsafe/core/base'
import * as x509 from '@vouchsafe/core/x509'
import { nodeCrypto } from '@vouchsafe/core/node'
import { ImageError } from '../errors.ts'
import { CODE_SIGNING, readSigner, SUBJECT_ALTERNATIVE_NAME } from './certified-signer.ts'
import { parseRekorEntry, verifyRekorEntry } from './rekor-entry.ts'
import { wellFormed } from './signed-json.ts'
import { ANNOTATION, type CosignSignature } from './stored-signature.ts'
import type { VerificationKey } from './verification-key.ts'

/** Signers who are known by a certificate. */
export type CertificateTrust = FulcioTrust | PkiTrust

/** Short-lived certificates of a Fulcio CA: a log's time says when they were used. */
export interface FulcioTrust {
  readonly kind: 'fulcio'
  readonly roots: readonly x509.Certificate[]
  /** The OIDC issuer that vouched for the subject, compared exactly. */
  readonly oidcIssuer: string
  /** Compared exactly with the certificate's e-mail addresses. */
  readonly subjectEmail: string
  readonly rekorKeys: readonly VerificationKey[]
}

/** Certificates of an own PKI, valid at the time of checking. */
export interface PkiTrust {
  readonly kind: 'pki'
  readonly roots: readonly x509.Certificate[]
  readonly intermediates: readonly x509.Certificate[]
  /** At least one of the two; both when both are given. */
  readonly subjectEmail?: string
  readonly subjectHostname?: string
  readonly at: Date
}

/**
 * Checks the certificate of a cosign signature up to a trusted root, and that its subject is the one wanted. That its
 * key made the signature is for the caller.
 *
 * @throws {ImageError} `signature.untrusted`, `signature.mismatch`, `signature.malformed`.
 * @source containers-policy.json(5), sigstoreSigned: fulcio and pki; Fulcio OID information
 */
export async function verifyCertificate(
  signature: CosignSignature,
  raw: Uint8Array,
  trust: CertificateTrust,
): Promise<{ readonly key: KeyObject; readonly subject: string; readonly loggedAt?: Date }> {
  const { place, annotations, payload } = signature
  const pem = annotations.get(ANNOTATION.certificate)
  if (pem === undefined) throw new ImageError('signature.untrusted', `${place}: no certificate, and one is asked for`)
  const leaves = parseCertificates(pem, `${place}: certificate`)
  const [leaf, ...more] = leaves
  if (leaf === undefined || more.length > 0)
    throw new ImageError('signature.malformed', `${place}: ${leaves.length} certificates where one signs`)
  const chain = annotations.get(ANNOTATION.chain)
  // its last one is the root that the signer believes in; we have our own
  const sent = chain === undefined ? [] : parseCertificates(chain, `${place}: chain`)
  const loggedAt =
    trust.kind === 'pki'
      ? undefined
      : verifyRekorEntry(
          parseRekorEntry(annotations.get(ANNOTATION.rekor), place),
          trust.rekorKeys,
          { certificate: leaf.der, signature: raw, payload },
          place,
        )
  await verifyPath(leaf, sent, trust, loggedAt, place)
  const subject = trust.kind === 'fulcio' ? fulcioSubject(leaf, trust, place) : pkiSubject(leaf, trust, place)
  const key = createPublicKey({ key: Buffer.from(leaf.spki), format: 'der', type: 'spki' })
  return { key, subject, ...(loggedAt === undefined ? {} : { loggedAt }) }
}

/** PEM certificates, one or more, nothing else. @throws {ImageError} `signature.malformed`. */
export function parseCertificates(pem: string, what: string): readonly x509.Certificate[] {
  return wellFormed(what, () => x509.parsePem(pem, 'CERTIFICATE').map(x509.parseCertificate))
}

const SIGNS_CODE: readonly string[] = [CODE_SIGNING, '2.5.29.37.0']

async function verifyPath(
  leaf: x509.Certificate,
  sent: readonly x509.Certificate[],
  trust: CertificateTrust,
  loggedAt: Date | undefined,
  place: string,
): Promise<void> {
  const own = trust.kind === 'pki' ? trust.intermediates : []
  // an own PKI may say nothing of what its certificates are for; where it does, a web server's key signs no image
  const saysPurpose = trust.kind === 'fulcio' || leaf.extendedKeyUsage !== undefined
  try {
    const { path } = await x509.verifyChain({
      leaf,
      intermediates: [...own, ...sent],
      // the class is for evidence, and nobody reads it here: the one that proves least
      anchors: trust.roots.map((certificate) => ({ certificate, class: 'simulated', name: certificate.label })),
      at: trust.kind === 'pki' ? trust.at : (loggedAt ?? new Date(Number.NaN)),
      crypto: nodeCrypto,
      leafKeyUsage: 'digitalSignature',
      extendedKeyUsage: saysPurpose ? CODE_SIGNING : 'any',
      revocation: 'not-checked',
      handledCritical: [SUBJECT_ALTERNATIVE_NAME],
    })
    for (const { label, extendedKeyUsage = SIGNS_CODE } of path.slice(1))
      if (!SIGNS_CODE.some((purpose) => extendedKeyUsage.includes(purpose)))
        throw new ImageError('signature.untrusted', `${place}: certificate ${label}: may not certify ${CODE_SIGNING}`)
  } catch (cause) {
    if (!(cause instanceof VouchsafeError)) throw cause
    throw new ImageError('signature.untrusted', `${place}: ${cause.message}`, { cause })
  }
}

function fulcioSubject(leaf: x509.Certificate, trust: FulcioTrust, place: string): string {
  const { issuer, emails } = readSigner(leaf, place)
  if (issuer === undefined) throw new ImageError('signature.untrusted', `${place}: the certificate names no issuer`)
  if (issuer !== trust.oidcIssuer)
    throw new ImageError('signature.mismatch', `${place}: issuer ${shown(issuer)}, wanted ${shown(trust.oidcIssuer)}`)
  if (!emails.includes(trust.subjectEmail))
    throw new ImageError(
      'signature.mismatch',
      `${place}: signed by ${shown(emails.join())}, wanted ${shown(trust.subjectEmail)}`,
    )
  return trust.subjectEmail
}

function pkiSubject(leaf: x509.Certificate, trust: PkiTrust, place: string): string {
  const { emails, hosts } = readSigner(leaf, place)
  const { subjectEmail, subjectHostname } = trust
  if (subjectEmail !== undefined && !emails.includes(subjectEmail))
    throw new ImageError(
      'signature.mismatch',
      `${place}: signed by ${shown(emails.join())}, wanted ${shown(subjectEmail)}`,
    )
  if (subjectHostname !== undefined && !hosts.includes(subjectHostname))
    throw new ImageError(
      'signature.mismatch',
      `${place}: signed by ${shown(hosts.join())}, wanted ${shown(subjectHostname)}`,
    )
  const subject = subjectEmail ?? subjectHostname
  if (subject === undefined) throw new ImageError('signature.untrusted', `${place}: no subject is asked for`)
  return subject
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 200))
}
