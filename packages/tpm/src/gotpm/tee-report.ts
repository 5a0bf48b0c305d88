import { create } from '@bufbuild/protobuf'
import { TpmError } from '../codec/errors.ts'
import type { Attestation } from './gen/attest_pb.js'
import { AttestationSchema as SnpAttestationSchema } from './gen/sevsnp_pb.js'
import { snpReportBytes, snpReportMessage } from './snp-report.ts'
import { tdxQuoteBytes, tdxQuoteMessage } from './tdx-quote.ts'

/** What the CPU says of the machine, as it came from the CPU. Nothing of it is judged here. */
export type TeeReport =
  | {
      readonly kind: 'sev-snp'
      readonly report: Uint8Array
      /** DER of the VCEK or VLEK certificate, where the host gave it. */
      readonly vek?: Uint8Array
      readonly vekKind?: 'vcek' | 'vlek'
    }
  | { readonly kind: 'tdx'; readonly quote: Uint8Array }

/**
 * A report in the form that an attestation holds it.
 *
 * @throws {TpmError} As `snpReportMessage` and `tdxQuoteMessage`.
 */
export function teeAttestation(tee: TeeReport): Attestation['teeAttestation'] {
  if (tee.kind === 'tdx') return { case: 'tdxAttestation', value: tdxQuoteMessage(tee.quote) }
  const { vek } = tee
  const certificateChain =
    vek === undefined ? {} : { certificateChain: tee.vekKind === 'vlek' ? { vlekCert: vek } : { vcekCert: vek } }
  const value = create(SnpAttestationSchema, { report: snpReportMessage(tee.report), ...certificateChain })
  return { case: 'sevSnpAttestation', value }
}

/** The report that came with an attestation, in the bytes that were signed; undefined without one. */
export function teeReport({ teeAttestation: tee }: Attestation): TeeReport | undefined {
  if (tee.case === undefined) return undefined
  if (tee.case === 'tdxAttestation') return { kind: 'tdx', quote: tdxQuoteBytes(tee.value) }
  const { report, certificateChain } = tee.value
  if (report === undefined) throw new TpmError('input.malformed', 'SNP attestation: there is no report')
  const { vcekCert = new Uint8Array(), vlekCert = new Uint8Array() } = certificateChain ?? {}
  if (vcekCert.length > 0 && vlekCert.length > 0)
    throw new TpmError('input.malformed', 'SNP attestation: two endorsement keys')
  const vek =
    vlekCert.length > 0
      ? { vek: vlekCert, vekKind: 'vlek' as const }
      : vcekCert.length > 0
        ? { vek: vcekCert, vekKind: 'vcek' as const }
        : {}
  return { kind: 'sev-snp', report: snpReportBytes(report), ...vek }
}
