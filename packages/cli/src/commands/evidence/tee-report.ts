import { evidence, fromHex, toHex } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { TeeReport } from '@vouchsafe/tpm/gotpm'
import { UsageError } from '../../output.ts'
import { timeOf } from './anchor.ts'
import type { VerifyOptions } from './format.ts'

/** What is said of a hardware report that came along. */
export interface HardwareAnswer {
  readonly kind: TeeReport['kind']
  readonly verified: boolean
  readonly measurement?: string
  readonly text: string
}

const REPORT_DATA = 64

/** 64 bytes: what the report must carry. */
export function parseTeeNonce(text: string): Uint8Array {
  const nonce = fromHex(text, '--tee-nonce')
  if (nonce.length !== REPORT_DATA)
    throw new UsageError(
      `--tee-nonce has ${nonce.length} bytes`,
      `reports carry ${REPORT_DATA}: make them with openssl rand -hex 64`,
    )
  if (nonce.every((byte) => byte === 0))
    throw new UsageError('--tee-nonce is all zero, which proves no freshness', 'make it with openssl rand -hex 64')
  return nonce
}

/**
 * Verifies the report of a TEE under its vendor's own roots. Only the nonces tie it to the TPM that it came with, as in
 * gotpm: two machines of one owner could each have given a part.
 */
export async function verifyTeeReport(
  tee: TeeReport | undefined,
  options: VerifyOptions,
): Promise<HardwareAnswer | undefined> {
  if (tee === undefined) {
    if (options.teeNonce !== undefined)
      throw new UsageError('the attestation holds no hardware report', 'leave --tee-nonce out')
    return undefined
  }
  if (options.teeNonce === undefined)
    return { kind: tee.kind, verified: false, text: `a ${tee.kind} report came along, not looked at: give --tee-nonce` }
  const reportData = parseTeeNonce(options.teeNonce)
  const at = timeOf(options.at)
  const measurement =
    tee.kind === 'tdx' ? await verifyTdx(tee.quote, reportData, at) : await verifySnp(tee, reportData, at)
  const unchecked = tee.kind === 'tdx' ? 'collateral was not checked' : 'revocation was not checked'
  return {
    kind: tee.kind,
    verified: true,
    measurement,
    text: `a genuine ${tee.kind} report, measurement ${measurement}; ${unchecked}; tied to this TPM by the nonces alone`,
  }
}

async function verifySnp(tee: Extract<TeeReport, { kind: 'sev-snp' }>, reportData: Uint8Array, at: Date) {
  if (tee.vek === undefined)
    throw new UsageError('the SNP report came without its chip’s certificate', 'collect it with --tee-certificate FILE')
  const trust = { roots: evidence.amdSnpRoots(), revocation: 'not-checked', at } as const
  const { report } = await evidence.verifySnpReport(
    { report: tee.report, vek: tee.vek },
    { ...trust, reportData },
    nodeCrypto,
  )
  return toHex(report.measurement)
}

async function verifyTdx(quote: Uint8Array, reportData: Uint8Array, at: Date) {
  const trust = { anchors: [evidence.intelSgxRoot()], collateral: 'not-checked', at } as const
  const { report } = await evidence.verifyTdxQuote({ quote }, { ...trust, reportData }, nodeCrypto)
  return toHex(report.mrTd)
}
