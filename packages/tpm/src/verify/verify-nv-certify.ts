import { parseTpmAttest } from '../codec/attest.ts'
import { TpmError } from '../codec/errors.ts'
import { tpmNvName } from '../codec/name.ts'
import { parseTpmNvPublic } from '../codec/nv-public.ts'
import type { TpmNvPublic } from '../codec/nv-public.ts'
import { assertExpectedExtraData, assertExtraData, verifiedStatement } from './attest-statement.ts'
import type { SignedStatement, VerifiedStatement } from './attest-statement.ts'
import { verifyAttestSignature } from './attest-signature.ts'
import type { VerifyCrypto } from './crypto.ts'
import { equalBytes } from './equal-bytes.ts'

export interface NvCertifyToVerify extends SignedStatement {
  /** TPMS_NV_PUBLIC of the index. */
  readonly nvPublic: Uint8Array
  /** The index that must have been read. */
  readonly nvIndex: number
}

export interface VerifiedNvCertify extends VerifiedStatement {
  /** Who may write the index is for the caller to judge, by its attributes and policy. */
  readonly nvPublic: TpmNvPublic
  readonly offset: number
  readonly contents: Uint8Array
}

/**
 * Verifies that an attestation key's TPM holds these bytes in an NV index.
 *
 * @throws {TpmError} As `verifyTpmQuote`; `evidence.mismatch` when the statement is about another index, or the index was
 *   never written or is smaller than what was read from it.
 * @source TPM 2.0 Library, Part 3: TPM2_NV_Certify
 */
export async function verifyNvCertify(certify: NvCertifyToVerify, crypto: VerifyCrypto): Promise<VerifiedNvCertify> {
  assertExpectedExtraData(certify)
  const attest = parseTpmAttest(certify.attest)
  if (attest.kind !== 'nv')
    throw new TpmError('input.malformed', `TPMS_ATTEST: type at offset 4: is ${attest.kind}, not nv`)
  const { key } = await verifyAttestSignature(attest.raw, certify.signature, certify.akPublic, crypto)
  assertExtraData(attest, certify)
  const nvPublic = parseTpmNvPublic(certify.nvPublic)
  const { offset, contents } = attest
  if (nvPublic.nameAlg === 'sha1')
    throw new TpmError('evidence.algorithm', 'NV index: its name is made with sha1, wanted SHA-256 or better')
  if (
    nvPublic.nvIndex !== certify.nvIndex ||
    !equalBytes(
      tpmNvName(nvPublic, (hash, ...parts) => crypto.digest(hash, ...parts)),
      attest.indexName,
    )
  )
    throw new TpmError('evidence.mismatch', 'TPMS_ATTEST: the statement is about another NV index')
  if (!nvPublic.attributes.written || offset + contents.length > nvPublic.dataSize)
    throw new TpmError('evidence.mismatch', 'TPMS_ATTEST: the NV index cannot hold what the statement says')
  return { ...verifiedStatement(attest, key), nvPublic, offset, contents }
}
