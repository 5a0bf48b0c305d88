import { ALGORITHMS, DIGEST_BYTES } from '../codec/algorithms.ts'
import type { TpmHash } from '../codec/algorithms.ts'
import type { HashName } from '../verify/crypto.ts'

/** A bank of registers, by the hash that extends it. Replay needs a hash of the crypto port; the others can be read. */
export type Bank = TpmHash

const byAlgorithm = new Map((Object.keys(DIGEST_BYTES) as Bank[]).map((bank) => [ALGORITHMS[bank] as number, bank]))

/** The bank of a TPM_ALG_ID, or undefined when that is no hash the TCG registry names. */
export function bankOfAlgorithm(algorithm: number): Bank | undefined {
  return byAlgorithm.get(algorithm)
}

const COMPUTABLE: readonly string[] = ['sha1', 'sha256', 'sha384', 'sha512'] satisfies readonly HashName[]

/** Whether the crypto port can compute the bank's hash. */
export function isComputable(bank: Bank): bank is HashName {
  return COMPUTABLE.includes(bank)
}
