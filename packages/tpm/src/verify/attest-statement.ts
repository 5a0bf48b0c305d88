import type { TpmAttest } from '../codec/attest.ts'
import { TpmError } from '../codec/errors.ts'
import type { AttestationKey, AttestationKeySource } from './attestation-key.ts'
import { equalBytes } from './equal-bytes.ts'

/** What every signed statement of a TPM comes with. */
export interface SignedStatement {
  /** TPMS_ATTEST, exactly as signed, without an outer size. */
  readonly attest: Uint8Array
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array
  /** TPMT_PUBLIC of the attestation key, or a key that is endorsed as one. */
  readonly akPublic: AttestationKeySource
  /**
   * What `extraData` must be, byte for byte: the verifier's own nonce or transcript, up to 64 bytes. There is no way to
   * leave the comparison out.
   */
  readonly expectedExtraData: Uint8Array
  /** Accepts a statement without nonce when `expectedExtraData` is empty: it may have been made at any time. Default: false. */
  readonly dangerouslyAllowEmptyExtraData?: boolean
}

/** The parts that statements of every kind share, after verification. */
export interface VerifiedStatement {
  /** Name of the attestation key; absent when it came as a bare SubjectPublicKeyInfo. */
  readonly akName?: Uint8Array
  /** DER SubjectPublicKeyInfo of the attestation key. */
  readonly akSpki: Uint8Array
  /** Name of the attestation key together with all its ancestors: tells the hierarchy it lives in. */
  readonly qualifiedSigner: Uint8Array
  readonly extraData: Uint8Array
  /** Milliseconds that the TPM was powered since it was last cleared. */
  readonly clock: bigint
  readonly resetCount: number
  readonly restartCount: number
  /** False when `clock` may have been repeated, after a power loss. */
  readonly safe: boolean
  readonly firmwareVersion: bigint
}

/**
 * Refuses an expectation that could match by accident, before any work (A04).
 *
 * @throws {TpmError} `input.malformed`
 */
export function assertExpectedExtraData(statement: SignedStatement): void {
  const { expectedExtraData, dangerouslyAllowEmptyExtraData = false } = statement
  if (!(expectedExtraData instanceof Uint8Array)) throw new TpmError('input.malformed', 'expectedExtraData: not bytes')
  if (expectedExtraData.length === 0 && !dangerouslyAllowEmptyExtraData)
    throw new TpmError('input.malformed', 'expectedExtraData: empty, which any statement without nonce would match')
}

/**
 * Compares the nonce, all of it, in constant time.
 *
 * @throws {TpmError} `evidence.stale`
 */
export function assertExtraData(attest: TpmAttest, { expectedExtraData }: SignedStatement): void {
  if (!equalBytes(attest.extraData, expectedExtraData))
    throw new TpmError('evidence.stale', 'TPMS_ATTEST: extraData is not what was asked for')
}

export function verifiedStatement(attest: TpmAttest, key: AttestationKey): VerifiedStatement {
  const { qualifiedSigner, extraData, clock, resetCount, restartCount, safe, firmwareVersion } = attest
  return {
    ...(key.name !== undefined && { akName: new Uint8Array(key.name) }),
    akSpki: new Uint8Array(key.publicKey.spki),
    qualifiedSigner,
    extraData,
    clock,
    resetCount,
    restartCount,
    safe,
    firmwareVersion,
  }
}
