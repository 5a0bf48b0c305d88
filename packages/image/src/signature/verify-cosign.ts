import { ImageError } from '../errors.ts'
import { type CertificateTrust, verifyCertificate } from './certificate-identity.ts'
import { parsePayload, type Payload } from './payload.ts'
import { parseRekorEntry, verifyRekorEntry } from './rekor-entry.ts'
import { readBase64 } from './signed-json.ts'
import { ANNOTATION, type CosignSignature } from './stored-signature.ts'
import { isSignedBy, type SignatureAlgorithm, type VerificationKey, verificationKey } from './verification-key.ts'

/** Who may have signed. */
export type SignerTrust =
  | {
      readonly kind: 'keys'
      /** Any of these. An empty list trusts nobody. */
      readonly keys: readonly VerificationKey[]
      /** Keys of transparency logs, one of which must have recorded the signature. Left out: no log is asked for. */
      readonly rekorKeys?: readonly VerificationKey[]
    }
  | CertificateTrust

/** Who signed, after all checks. */
export interface Signer {
  readonly keyId: string
  readonly algorithm: SignatureAlgorithm
  /** What the certificate says, where one was used. */
  readonly subject?: string
  /** When a transparency log recorded the signature, where one was asked for. */
  readonly loggedAt?: Date
}

/**
 * Checks one cosign signature: the key or certificate, the log's promise where asked for, the signature over the exact
 * payload, and only then what the payload says.
 *
 * What it says about digest and name is for the caller to compare: see `accepted` in the policy (H03).
 *
 * @throws {ImageError} `signature.unverified`, `signature.untrusted`, `signature.malformed`, `signature.mismatch`.
 * @source cosign signature specification; containers-policy.json(5), sigstoreSigned
 */
export async function verifyCosignSignature(
  signature: CosignSignature,
  trust: SignerTrust,
): Promise<{ readonly payload: Payload; readonly signer: Signer }> {
  const { annotations, payload, place } = signature
  // a Map: annotations come from a stranger
  const raw = readBase64(annotations.get(ANNOTATION.signature), `${place}: ${ANNOTATION.signature}`, { lenient: true })
  if (trust.kind === 'keys') {
    const key = trust.keys.find((candidate) => isSignedBy(candidate, payload, raw))
    if (key === undefined)
      throw new ImageError('signature.unverified', `${place}: by none of the ${trust.keys.length} trusted keys`)
    const signer = { keyId: key.id, algorithm: key.algorithm }
    if (trust.rekorKeys === undefined) return { payload: parsePayload(payload, 'cosign'), signer }
    const entry = parseRekorEntry(annotations.get(ANNOTATION.rekor), place)
    const loggedAt = verifyRekorEntry(entry, trust.rekorKeys, { spki: key.spki, signature: raw, payload }, place)
    return { payload: parsePayload(payload, 'cosign'), signer: { ...signer, loggedAt } }
  }
  const { key: leaf, subject, loggedAt } = await verifyCertificate(signature, raw, trust)
  const key = verificationKey(leaf, `${place}: certificate`)
  if (!isSignedBy(key, payload, raw))
    throw new ImageError('signature.unverified', `${place}: not by the key of its own certificate`)
  const signer = {
    keyId: key.id,
    algorithm: key.algorithm,
    subject,
    ...(loggedAt === undefined ? {} : { loggedAt }),
  }
  return { payload: parsePayload(payload, 'cosign'), signer }
}
