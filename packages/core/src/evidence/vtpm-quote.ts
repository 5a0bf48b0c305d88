import { type Coverage, parseTcgLog, replayTcgLog, type TcgLog, verifyReplays } from '@vouchsafe/tpm/eventlog'
import { ALL_PCRS, type VerifiedTpmQuote, verifyTpmQuote } from '@vouchsafe/tpm/verify'
import type { CryptoPort } from '../base/crypto.ts'
import { VouchsafeError } from '../base/errors.ts'
import { translated } from './tpm/translate.ts'

/** What a guest shows of a vTPM whose attestation key somebody else endorses. */
export interface VtpmEvidence {
  /** TPMS_ATTEST and TPMT_SIGNATURE of a quote over all 24 registers of the SHA-256 bank. */
  readonly attest: Uint8Array
  readonly signature: Uint8Array
  /** The 24 values, in order. */
  readonly registers: readonly Uint8Array[]
  /** TCG boot log, where the guest shows one. */
  readonly bootLog?: Uint8Array
}

export interface VtpmExpectation {
  /** What `extraData` must be, byte for byte. */
  readonly nonce: Uint8Array
  /** Registers that may hold a value which the boot log does not explain. Left out: none. Unused without a log. */
  readonly unexplainedRegisters?: readonly number[]
}

export interface VerifiedVtpm {
  readonly quote: VerifiedTpmQuote
  readonly bootLog: { readonly log: TcgLog; readonly coverage: Coverage } | 'none'
}

/**
 * Verifies a quote by a key that verified evidence or a verified certificate endorses, and replays the boot log to it.
 *
 * @throws {VouchsafeError} `evidence.signature`, `evidence.binding`, `evidence.pcr-selection`, `evidence.mismatch`,
 *   `evidence.algorithm`, `evidence.log`, `input.malformed`
 */
export async function verifyVtpmQuote(
  evidence: VtpmEvidence,
  akSpki: Uint8Array,
  expected: VtpmExpectation,
  crypto: CryptoPort,
): Promise<VerifiedVtpm> {
  if (evidence.registers.length !== ALL_PCRS.length)
    throw new VouchsafeError('input.malformed', `vTPM: ${evidence.registers.length} registers, wanted all 24`)
  return translated(async () => {
    const quote = await verifyTpmQuote(
      {
        attest: evidence.attest,
        signature: evidence.signature,
        akPublic: { endorsedSpki: akSpki },
        pcrs: { bank: 'sha256', values: new Map(evidence.registers.entries()) },
        allowedBanks: ['sha256'],
        requiredPcrs: ALL_PCRS,
        expectedExtraData: expected.nonce,
      },
      crypto,
    )
    if (evidence.bootLog === undefined) return { quote, bootLog: 'none' }
    const log = parseTcgLog(evidence.bootLog)
    const mayBeUnexplained = expected.unexplainedRegisters ?? []
    const coverage = verifyReplays([replayTcgLog(log, 'sha256', crypto)], quote.registers, { mayBeUnexplained })
    return { quote, bootLog: { log, coverage } }
  })
}
