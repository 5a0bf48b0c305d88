import type { CryptoPort } from '../../base/crypto.ts'
import { toHex } from '../../base/encoding.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { transcript } from '../../base/transcript.ts'
import {
  type Anchor,
  type Certificate,
  parseCertificate,
  type Revocation,
  type VerifiedChain,
  verifyChain,
} from '../../x509/index.ts'
import { markVerified, type Verified } from '../verified.ts'
import { type GpuReport, parseGpuReport } from './parse-gpu-report.ts'

/** What one GPU shows. */
export interface GpuEvidence {
  readonly report: Uint8Array
  /** DER, the signing key's certificate first. Convinces by its signatures alone. */
  readonly chain: readonly Uint8Array[]
}

export interface GpuExpectation {
  /** 32 bytes, best from `gpuNonce`; `not-checked` as for SNP. */
  readonly nonce: Uint8Array | 'not-checked'
  /** NVIDIA's root for device identities. */
  readonly anchors: readonly Anchor[]
  readonly revocation: Revocation
  readonly at: Date
}

/** Everything that is now known to be so. What the measurements should be is NVIDIA's to publish and the owner's to pin. */
export interface GpuFacts {
  readonly format: 'nvidia-gpu'
  readonly report: GpuReport
  readonly chain: VerifiedChain
  /** Names this GPU: the serial number of its certificate. */
  readonly device: string
  readonly nonce: 'as-expected' | 'not-checked'
}

export type VerifiedGpuEvidence = Verified<GpuFacts>

/**
 * Verifies all GPUs of a machine (D18): each genuine, each with our nonce, none shown twice, and exactly as many as
 * there must be.
 *
 * @throws {VouchsafeError} `evidence.mismatch` for another number or one shown twice; else as `verifyGpu`
 */
export async function verifyGpus(
  devices: readonly GpuEvidence[],
  expected: GpuExpectation & { readonly count: number },
  crypto: CryptoPort,
): Promise<readonly VerifiedGpuEvidence[]> {
  if (devices.length !== expected.count || expected.count < 1)
    throw new VouchsafeError('evidence.mismatch', `GPUs: ${devices.length} are shown, wanted ${expected.count}`)
  const verified = await Promise.all(devices.map((device) => verifyGpu(device, expected, crypto)))
  if (new Set(verified.map((v) => v.device)).size !== verified.length)
    throw new VouchsafeError('evidence.mismatch', 'GPUs: one is shown twice')
  return verified
}

/**
 * @throws {VouchsafeError} `input.malformed`, `evidence.unsupported`; `endorsement.*` for the chain;
 *   `endorsement.mismatch` when the certificate is for other firmware; `evidence.signature`; `evidence.binding`
 */
export async function verifyGpu(
  evidence: GpuEvidence,
  expected: GpuExpectation,
  crypto: CryptoPort,
): Promise<VerifiedGpuEvidence> {
  const report = parseGpuReport(evidence.report)
  const [leaf, ...intermediates] = evidence.chain.map((der) => parseCertificate(der))
  if (leaf === undefined) throw new VouchsafeError('endorsement.malformed', 'GPU: no certificate chain')
  const { anchors, revocation, at } = expected
  const chain = await verifyChain({
    leaf,
    intermediates,
    anchors,
    at,
    crypto,
    leafKeyUsage: 'digitalSignature',
    extendedKeyUsage: 'any',
    revocation,
  })
  const fwid = readFwid(leaf)
  if (fwid !== report.fwid)
    throw new VouchsafeError(
      'endorsement.mismatch',
      `GPU report: FWID is ${report.fwid}, the certificate is for ${fwid}`,
    )
  const key = await crypto.importPublicKey(leaf.spki)
  const scheme = { kind: 'ecdsa', hash: 'sha384', encoding: 'raw' } as const
  if (!(await crypto.verify(key, scheme, report.signed, report.signature)))
    throw new VouchsafeError('evidence.signature', `GPU report: signature does not verify under ${leaf.label}`)
  const nonce = checkNonce(report.nonce, expected.nonce, crypto)
  return markVerified({ format: 'nvidia-gpu', report, chain, device: leaf.serial, nonce } as const)
}

/** The nonce for a machine's GPUs: follows from what its CPU report commits to, so neither can be of another machine (A18). */
export function gpuNonce(cpuReportData: Uint8Array, crypto: CryptoPort): Uint8Array {
  return transcript('vouchsafe/gpu-link/v1', [cpuReportData], crypto)
}

/** TCG DICE firmware id: the structure ends in an OCTET STRING of 48 bytes. */
function readFwid(leaf: Certificate): string {
  const value = leaf.extensions.get('2.23.133.5.4.1')?.value
  if (value === undefined || value.length < 50 || value[value.length - 50] !== 0x04 || value[value.length - 49] !== 48)
    throw new VouchsafeError('endorsement.malformed', `certificate ${leaf.label}: has no FWID`)
  return toHex(value.subarray(-48))
}

function checkNonce(found: Uint8Array, expected: GpuExpectation['nonce'], crypto: CryptoPort): GpuFacts['nonce'] {
  if (expected === 'not-checked') return expected
  if (expected.length !== 32)
    throw new VouchsafeError('internal', `GPU: a nonce of ${expected.length} bytes expected, wanted 32`)
  if (!crypto.equal(found, expected))
    throw new VouchsafeError('evidence.binding', 'GPU report: nonce is not what was asked for')
  return 'as-expected'
}
