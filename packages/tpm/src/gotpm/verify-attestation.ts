import { TpmError } from '../codec/errors.ts'
import type { BootReport } from '../eventlog/boot/boot-report.ts'
import { readBootReportIn } from '../eventlog/boot/boot-report.ts'
import type { EfiBootOptions } from '../eventlog/boot/efi-boot.ts'
import { proofIn } from '../eventlog/boot/measured-part.ts'
import type { ProofContext } from '../eventlog/boot/measured-part.ts'
import { CEL_CONTENT } from '../eventlog/cel-record.ts'
import type { CelLog } from '../eventlog/cel-record.ts'
import { readConfidentialSpaceLaunch } from '../eventlog/confidential-space.ts'
import type { ConfidentialSpaceLaunch } from '../eventlog/confidential-space.ts'
import { readLaunch } from '../eventlog/launch.ts'
import type { Launch } from '../eventlog/launch.ts'
import { parseCel } from '../eventlog/parse-cel.ts'
import { parseTcgLog } from '../eventlog/parse-tcg-log.ts'
import { replayCel } from '../eventlog/replay-cel.ts'
import { replayTcgLog } from '../eventlog/replay.ts'
import type { TcgLog } from '../eventlog/tcg-log.ts'
import { verifyReplays } from '../eventlog/verify-replays.ts'
import type { Coverage } from '../eventlog/verify-replays.ts'
import type { TrustedHash } from '../verify/attest-signature.ts'
import type { VerifyCrypto } from '../verify/crypto.ts'
import { equalBytes } from '../verify/equal-bytes.ts'
import { ALL_PCRS, verifyTpmQuote } from '../verify/verify-tpm-quote.ts'
import type { VerifiedTpmQuote } from '../verify/verify-tpm-quote.ts'
import { pcrValues } from './attestation.ts'
import type { Attestation } from './gen/attest_pb.js'

/**
 * Why the attestation key is believed. Nothing in the attestation itself can be a reason (DEF-44): whoever makes one up
 * brings a key along.
 */
export type GotpmAnchor =
  /** It is not. The result then says `keyTrusted: false`: the attestation agrees with itself, that is all. */
  | { readonly kind: 'none' }
  /** One of these keys, known from before. DER SubjectPublicKeyInfo. */
  | { readonly kind: 'trusted-keys'; readonly spkis: readonly Uint8Array[] }
  /** The key of a certificate whose chain the caller has verified to a root of its own: the DER of that certificate, and its key. */
  | { readonly kind: 'certificate'; readonly certificate: Uint8Array; readonly spki: Uint8Array }

export interface GotpmVerification extends EfiBootOptions {
  readonly anchor: GotpmAnchor
  /** The verifier's nonce. */
  readonly nonce: Uint8Array
  /** See `verifyTpmQuote`. Default: false. */
  readonly dangerouslyAllowEmptyNonce?: boolean
  /** Banks that count, best first; the first that both quotes and log have is used, and no other. */
  readonly banks: readonly TrustedHash[]
  /** See `verifyReplays`: registers beyond the boot log, such as 10 for IMA. */
  readonly mayBeUnexplained: readonly number[]
  /** Accepts an attestation without boot log, as virtual machines without measured boot make them. */
  readonly logMayBeMissing: boolean
}

export interface VerifiedBoot {
  readonly log: TcgLog
  readonly coverage: Coverage
  readonly report: BootReport
  /** For `describeEvent`. */
  readonly proof: ProofContext
}

export interface VerifiedGotpmAttestation {
  /** Only true when an anchor was given and the key is that anchor's. Without it nothing below may be relied upon. */
  readonly keyTrusted: boolean
  readonly quote: VerifiedTpmQuote
  /** Absent when the attestation has no boot log. */
  readonly boot?: VerifiedBoot
  /** What was launched, when the attestation has a launch log of a kind that is known here. */
  readonly launch?:
    | { readonly kind: 'launch'; readonly launch: Launch }
    | { readonly kind: 'confidential-space'; readonly launch: ConfidentialSpaceLaunch }
  /** A hardware report came along. It is not looked at here, and nothing but the nonce ties it to the key. */
  readonly unverifiedReport?: 'sev-snp' | 'tdx'
}

/**
 * Verifies what `gotpm attest` wrote, more strictly than `gotpm verify debug`: all 24 registers, an attestation key that is
 * restricted, logs that explain every register but those the caller names, and no word of trust without an anchor.
 *
 * @throws {TpmError} As `verifyTpmQuote`, `verifyReplays` and the readers of logs; `evidence.key` when the key is not that
 *   of the anchor; `evidence.algorithm` when there is no quote of a bank that counts.
 */
export async function verifyGotpmAttestation(
  attestation: Attestation,
  options: GotpmVerification,
  crypto: VerifyCrypto,
): Promise<VerifiedGotpmAttestation> {
  const log = attestation.eventLog.length > 0 ? parseTcgLog(attestation.eventLog) : undefined
  const launchLog = parseCel(attestation.canonicalEventLog)
  const quote = await verifyTpmQuote({ ...quoteToVerify(attestation, log, options), ...nonceOf(options) }, crypto)
  const keyTrusted = isAnchored(attestation, quote.akSpki, options.anchor)
  const { bank } = quote.registers
  const replays = [
    ...(log === undefined ? [] : [replayTcgLog(log, bank, crypto)]),
    ...(launchLog.length === 0 ? [] : [replayCel(launchLog, bank, crypto)]),
  ]
  if (log === undefined && !options.logMayBeMissing)
    throw new TpmError('evidence.log', 'attestation: there is no boot log')
  const coverage = replays.length === 0 ? undefined : verifyReplays(replays, quote.registers, options)
  const launch = launchLog.length === 0 ? undefined : launchOf(launchLog, bank, crypto)
  const report = attestation.teeAttestation.case
  return {
    keyTrusted,
    quote,
    ...(log !== undefined && coverage !== undefined && { boot: bootOf(log, coverage, bank, options, crypto) }),
    ...(launch !== undefined && { launch }),
    ...(report !== undefined && { unverifiedReport: report === 'sevSnpAttestation' ? 'sev-snp' : 'tdx' }),
  }
}

function bootOf(
  log: TcgLog,
  coverage: Coverage,
  bank: TrustedHash,
  options: EfiBootOptions,
  crypto: VerifyCrypto,
): VerifiedBoot {
  const proof = proofIn(bank, crypto)
  return { log, coverage, report: readBootReportIn(log, proof, options), proof }
}

function quoteToVerify(attestation: Attestation, log: TcgLog | undefined, { banks }: GotpmVerification) {
  const quotes = attestation.quotes.map(({ quote, rawSig, pcrs }) => ({
    attest: quote,
    signature: rawSig,
    pcrs: pcrValues(pcrs),
  }))
  const bank = banks.find(
    (b) => quotes.some(({ pcrs }) => pcrs.bank === b) && (log === undefined || log.banks.includes(b)),
  )
  const quote = quotes.find(({ pcrs }) => pcrs.bank === bank)
  if (bank === undefined || quote === undefined) {
    const quoted = quotes.map(({ pcrs }) => pcrs.bank).join(', ') || 'none'
    const logged = log === undefined ? '' : `, logged ${log.banks.join(', ')}`
    throw new TpmError(
      'evidence.algorithm',
      `attestation: banks that count are ${banks.join(', ') || 'none'}; quoted ${quoted}${logged}`,
    )
  }
  if (quotes.filter(({ pcrs }) => pcrs.bank === bank).length > 1)
    throw new TpmError('evidence.mismatch', `attestation: two quotes of the ${bank} bank`)
  return { ...quote, akPublic: attestation.akPub, allowedBanks: [bank], requiredPcrs: ALL_PCRS }
}

function nonceOf({ nonce, dangerouslyAllowEmptyNonce = false }: GotpmVerification) {
  return { expectedExtraData: nonce, dangerouslyAllowEmptyExtraData: dangerouslyAllowEmptyNonce }
}

/** gotpm ignores `ak_pub` beside a certificate; here the two must be one key, for only the former says what it may sign. */
function isAnchored(attestation: Attestation, akSpki: Uint8Array, anchor: GotpmAnchor): boolean {
  switch (anchor.kind) {
    case 'none':
      return false
    case 'trusted-keys':
      if (anchor.spkis.some((spki) => equalBytes(spki, akSpki))) return true
      throw new TpmError('evidence.key', 'attestation: its key is none of the trusted ones')
    case 'certificate':
      if (!equalBytes(attestation.akCert, anchor.certificate))
        throw new TpmError('evidence.key', 'attestation: its certificate is not the one that was verified')
      if (equalBytes(anchor.spki, akSpki)) return true
      throw new TpmError('evidence.key', 'attestation: its key is not that of its certificate')
  }
}

function launchOf(log: CelLog, bank: TrustedHash, crypto: VerifyCrypto): VerifiedGotpmAttestation['launch'] {
  switch (log[0]?.content.type) {
    case CEL_CONTENT.launch:
      return { kind: 'launch', launch: readLaunch(log, bank, crypto) }
    case CEL_CONTENT.confidentialSpace:
      return { kind: 'confidential-space', launch: readConfidentialSpaceLaunch(log, bank, crypto) }
    default:
      throw new TpmError('evidence.log', `launch log: content of type ${log[0]?.content.type} is not known`)
  }
}
