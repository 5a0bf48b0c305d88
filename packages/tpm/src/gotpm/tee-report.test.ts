import { missingVectors, readVector } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { gotpmAttestation } from './attestation.ts'
import { readGotpm, writeGotpm } from './messages.ts'
import { teeReport } from './tee-report.ts'
import type { TeeReport } from './tee-report.ts'

const collected = (tee: TeeReport) =>
  gotpmAttestation({ akPublic: new Uint8Array(), quotes: [], eventLog: new Uint8Array(), tee })
const through = (tee: TeeReport) => {
  const file = writeGotpm('attestation', collected(tee), 'textproto')
  return teeReport(readGotpm('attestation', file, 'textproto'))
}

describe.skipIf(missingVectors())('VT-07 a hardware report inside an attestation', () => {
  test.each(['milan_v2', 'milan_v3a', 'milan_v3b', 'milan_v3c', 'genoa_v5', 'turin_v5'])(
    'of SEV-SNP, %s, comes back to the byte, with its certificate',
    (name) => {
      const tee = {
        kind: 'sev-snp',
        report: readVector(`gce/snp/${name}_report.bin`).slice(),
        vek: readVector(`gce/snp/${name}_vcek.der`).slice(),
        vekKind: 'vcek',
      } as const
      expect(through(tee)).toEqual(tee)
      const { vek, ...bare } = tee
      expect(through({ ...tee, vekKind: 'vlek' })).toEqual({ ...bare, vek, vekKind: 'vlek' })
      expect(through({ kind: 'sev-snp', report: tee.report })).toEqual({ kind: 'sev-snp', report: tee.report })
    },
  )

  test.each(['quote_v4_cos113_zero_reportdata', 'quote_v4_oak_oc', 'quote_v4_spr_e4'])(
    'of TDX, %s, comes back to the byte, with what follows it',
    (name) => {
      const tee = { kind: 'tdx', quote: readVector(`gce/tdx/${name}.bin`).slice() } as const
      expect(through(tee)).toEqual(tee)
    },
  )

  test('is refused where the form has no place for what it says', () => {
    const report = readVector('gce/snp/milan_v3a_report.bin').slice()
    expect(() => collected({ kind: 'sev-snp', report: report.with(0x4c, 1) })).toThrow(
      expect.objectContaining({ code: 'input.malformed', message: expect.stringContaining('reserved') }),
    )
    expect(() => collected({ kind: 'sev-snp', report: report.slice(0, -1) })).toThrow(
      expect.objectContaining({ code: 'input.malformed' }),
    )
    const quote = readVector('gce/tdx/quote_v5_sample.bin').slice()
    expect(() => collected({ kind: 'tdx', quote })).toThrow(
      expect.objectContaining({ code: 'evidence.unsupported', message: expect.stringContaining('version 5') }),
    )
  })

  test('is refused where a part of it is missing or has another size', () => {
    const attestation = collected({ kind: 'tdx', quote: readVector('gce/tdx/quote_v4_oak_oc.bin').slice() })
    const { teeAttestation } = attestation
    if (teeAttestation.case !== 'tdxAttestation') throw new Error('of TDX')
    teeAttestation.value.tdQuoteBody?.rtmrs.pop()
    expect(() => teeReport(attestation)).toThrow(
      expect.objectContaining({ code: 'input.malformed', message: expect.stringContaining('RTMR') }),
    )
    delete teeAttestation.value.header
    expect(() => teeReport(attestation)).toThrow(
      expect.objectContaining({ code: 'input.malformed', message: expect.stringContaining('missing') }),
    )
    const two = collected({ kind: 'sev-snp', report: readVector('gce/snp/milan_v2_report.bin').slice() })
    if (two.teeAttestation.case !== 'sevSnpAttestation') throw new Error('of SNP')
    const { report } = two.teeAttestation.value
    if (report !== undefined) report.measurement = new Uint8Array(47)
    expect(() => teeReport(two)).toThrow(expect.objectContaining({ message: expect.stringContaining('measurement') }))
  })
})
