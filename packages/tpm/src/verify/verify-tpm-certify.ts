import { parseTpmCertify } from '../codec/attest.ts'
import { TpmError } from '../codec/errors.ts'
import { tpmName } from '../codec/name.ts'
import { parseTpmPublic } from '../codec/public-area.ts'
import type { ObjectAttribute, TpmPublic } from '../codec/public-area.ts'
import { assertExpectedExtraData, assertExtraData, verifiedStatement } from './attest-statement.ts'
import type { SignedStatement, VerifiedStatement } from './attest-statement.ts'
import { verifyAttestSignature } from './attest-signature.ts'
import type { VerifyCrypto } from './crypto.ts'
import { equalBytes } from './equal-bytes.ts'
import { spkiOfTpmPublic } from './spki.ts'

export interface TpmCertifyToVerify extends SignedStatement {
  /** TPMT_PUBLIC of the key that is vouched for. */
  readonly certifiedPublic: Uint8Array
  /** What the certified key is for: it must be able to do this and not the other. */
  readonly usage: 'sign' | 'decrypt'
  /**
   * The policy that must guard every use of the key, for example a PolicyPCR digest. `any` accepts a key that its
   * machine may use in whatever state it is.
   */
  readonly authPolicy: Uint8Array | 'any'
}

export interface VerifiedTpmCertify extends VerifiedStatement {
  readonly certified: TpmPublic
  /** DER SubjectPublicKeyInfo of the certified key. */
  readonly certifiedSpki: Uint8Array
  readonly name: Uint8Array
  readonly qualifiedName: Uint8Array
}

const WANTED = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin'] as const satisfies readonly ObjectAttribute[]

/**
 * Verifies that an attestation key's TPM holds another key: one made there, that never leaves, with the stated use and
 * policy.
 *
 * @throws {TpmError} As `verifyTpmQuote`; `evidence.mismatch` when the statement is about another key; `evidence.key` when
 *   the certified key has other attributes or another policy than wanted.
 * @source TPM 2.0 Library, Part 3: TPM2_Certify
 */
export async function verifyTpmCertify(certify: TpmCertifyToVerify, crypto: VerifyCrypto): Promise<VerifiedTpmCertify> {
  assertExpectedExtraData(certify)
  const attest = parseTpmCertify(certify.attest)
  const { key } = await verifyAttestSignature(attest.raw, certify.signature, certify.akPublic, crypto)
  assertExtraData(attest, certify)
  const certified = parseTpmPublic(certify.certifiedPublic)
  const name = certifiedName(certified, attest.name, crypto)
  if (equalBytes(attest.qualifiedName, attest.name))
    throw new TpmError(
      'evidence.mismatch',
      'TPMS_ATTEST: the qualified name is the name, so the key is in no hierarchy',
    )
  assertAttributes(certified, certify.usage)
  if (certify.authPolicy !== 'any') assertPolicy(certified, certify.authPolicy)
  const { qualifiedName } = attest
  const certifiedSpki = spkiOfTpmPublic(certified)
  return { ...verifiedStatement(attest, key), certified, certifiedSpki, name, qualifiedName }
}

function certifiedName(area: TpmPublic, attested: Uint8Array, crypto: VerifyCrypto): Uint8Array {
  if (area.nameAlg === 'null' || area.nameAlg === 'sha1')
    throw new TpmError(
      'evidence.algorithm',
      `certified key: its name is made with ${area.nameAlg}, wanted SHA-256 or better`,
    )
  const name = tpmName(area, (hash, ...parts) => crypto.digest(hash, ...parts))
  if (!equalBytes(name, attested)) throw new TpmError('evidence.mismatch', 'TPMS_ATTEST: the name is of another key')
  return name
}

function assertAttributes({ attributes }: TpmPublic, usage: 'sign' | 'decrypt'): void {
  for (const attribute of [...WANTED, usage])
    if (!attributes[attribute]) throw new TpmError('evidence.key', `certified key: ${attribute} is not set`)
  const other = usage === 'sign' ? 'decrypt' : 'sign'
  if (attributes[other]) throw new TpmError('evidence.key', `certified key: ${other} is set`)
}

/** A policy binds nothing while a password does as well. */
function assertPolicy({ attributes, authPolicy }: TpmPublic, wanted: Uint8Array): void {
  if (wanted.length === 0 || !equalBytes(authPolicy, wanted))
    throw new TpmError('evidence.key', 'certified key: its policy is not the one wanted')
  if (attributes.userWithAuth || !attributes.adminWithPolicy)
    throw new TpmError('evidence.key', 'certified key: it can be used without its policy')
}
