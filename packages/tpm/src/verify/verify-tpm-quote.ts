import { DIGEST_BYTES } from '../codec/algorithms.ts'
import { parseTpmQuote } from '../codec/attest.ts'
import type { TpmQuote } from '../codec/attest.ts'
import { TpmError } from '../codec/errors.ts'
import { PCR_COUNT } from '../codec/pcr-selection.ts'
import { assertExpectedExtraData, assertExtraData, verifiedStatement } from './attest-statement.ts'
import type { SignedStatement, VerifiedStatement } from './attest-statement.ts'
import { verifyAttestSignature } from './attest-signature.ts'
import type { TrustedHash } from './attest-signature.ts'
import type { HashName, VerifyCrypto } from './crypto.ts'
import { equalBytes } from './equal-bytes.ts'

/** Registers of one bank as the attester presents them. */
export interface PcrValues {
  readonly bank: HashName
  readonly values: ReadonlyMap<number, Uint8Array>
}

/** Every register of a PC Client TPM: 0 to 23. */
export const ALL_PCRS: readonly number[] = Array.from({ length: PCR_COUNT }, (_, i) => i)

export interface TpmQuoteToVerify extends SignedStatement {
  /** The values that the quote must be over: no register more, none less. */
  readonly pcrs: PcrValues
  /** Banks that count. An empty list accepts none; SHA-1 cannot be listed. */
  readonly allowedBanks: readonly TrustedHash[]
  /** Registers that must be quoted: all that the caller or its log reads. `ALL_PCRS` is the usual answer. */
  readonly requiredPcrs: readonly number[]
}

export interface VerifiedTpmQuote extends VerifiedStatement {
  /** As `verifyReplays` takes them. 16 and 23 can be reset at will, 17 to 22 by a dynamic launch. */
  readonly registers: {
    readonly space: 'pcr'
    readonly bank: TrustedHash
    readonly values: ReadonlyMap<number, Uint8Array>
  }
}

/**
 * Verifies a TPM quote: a restricted attestation key of some TPM says that its registers held these values when it was
 * given this nonce. Says nothing of which TPM that is (tie `akName` or `akSpki` to an enrolled endorsement key or a
 * certificate), nor of which values are good.
 *
 * @throws {TpmError} `input.malformed` for what is no quote (B01); `evidence.key` (B02); `evidence.algorithm` and
 *   `evidence.pcr-selection` for banks, hashes and selections that do not count (B05, B06, B07); `evidence.signature`;
 *   `evidence.stale` (A04); `evidence.mismatch` when the values are not those quoted.
 * @source TPM 2.0 Library, Part 3: TPM2_Quote
 */
export async function verifyTpmQuote(quote: TpmQuoteToVerify, crypto: VerifyCrypto): Promise<VerifiedTpmQuote> {
  assertExpectedExtraData(quote)
  const bank = allowedBank(quote)
  const attest = parseTpmQuote(quote.attest)
  const { key, hash } = await verifyAttestSignature(attest.raw, quote.signature, quote.akPublic, crypto)
  assertExtraData(attest, quote)
  const values = selectedValues(attest, quote, bank)
  // the digest is made with the hash of the signature scheme, not of the bank
  if (!equalBytes(crypto.digest(hash, joined(values)), attest.pcrDigest))
    throw new TpmError('evidence.mismatch', 'TPMS_ATTEST: pcrDigest is not the digest of the presented registers')
  return { ...verifiedStatement(attest, key), registers: { space: 'pcr', bank, values } }
}

function allowedBank({ pcrs, allowedBanks }: TpmQuoteToVerify): TrustedHash {
  const bank = allowedBanks.find((allowed) => allowed === pcrs.bank)
  // compared again, for callers whose list was not checked by a compiler
  if (bank === undefined || !['sha256', 'sha384', 'sha512'].includes(bank))
    throw new TpmError('evidence.algorithm', `PCR bank ${pcrs.bank}, allowed are ${allowedBanks.join(', ') || 'none'}`)
  return bank
}

/** Private copies of the presented values, ascending, when they are exactly those that the quote selects. */
function selectedValues(attest: TpmQuote, quote: TpmQuoteToVerify, bank: TrustedHash): ReadonlyMap<number, Uint8Array> {
  const [selection, ...more] = attest.selections
  if (selection === undefined || more.length > 0 || selection.hash !== bank)
    throw refused(`it selects ${attest.selections.map((s) => s.hash).join(', ') || 'no bank'}, wanted ${bank} alone`)
  if (selection.pcrs.length === 0) throw refused('it selects no register')
  const missing = quote.requiredPcrs.filter((pcr) => !selection.pcrs.includes(pcr))
  if (missing.length > 0) throw refused(`it does not select PCR ${missing.join(', ')}`)
  const surplus = [...quote.pcrs.values.keys()].filter((pcr) => !selection.pcrs.includes(pcr))
  if (surplus.length > 0) throw refused(`PCR ${surplus.join(', ')} was presented but not quoted`)
  return new Map(selection.pcrs.map((pcr) => [pcr, presented(quote, pcr, bank)]))
}

function presented(quote: TpmQuoteToVerify, pcr: number, bank: TrustedHash): Uint8Array {
  const value = quote.pcrs.values.get(pcr)
  if (value === undefined) throw refused(`PCR ${pcr} was quoted but not presented`)
  if (value.length !== DIGEST_BYTES[bank])
    throw refused(`PCR ${pcr} has ${value.length} bytes, wanted ${DIGEST_BYTES[bank]}`)
  return new Uint8Array(value)
}

/** One piece: hashing that is faster than hashing 24. */
function joined(values: ReadonlyMap<number, Uint8Array>): Uint8Array {
  const size = [...values.values()].reduce((sum, { length }) => sum + length, 0)
  const all = new Uint8Array(size)
  let at = 0
  for (const value of values.values()) {
    all.set(value, at)
    at += value.length
  }
  return all
}

function refused(why: string): TpmError {
  return new TpmError('evidence.pcr-selection', `quote: ${why}`)
}
