import assert from 'node:assert/strict'
import { gotpmAttestation, readGotpm, teeReport } from '@vouchsafe/tpm/gotpm'
import type { TeeReport } from '@vouchsafe/tpm/gotpm'
import { missingVectors, readVector } from '@vouchsafe/testkit'
import type { Pair } from '../tpm2-tools/workbench.ts'
import type { GoPrograms } from './go-programs.ts'

const SNP = ['milan_v2', 'milan_v3a', 'genoa_v5', 'turin_v5'].map((name) => `gce/snp/${name}_report.bin`)
const TDX = ['quote_v4_cos113_zero_reportdata', 'quote_v4_oak_oc'].map((name) => `gce/tdx/${name}.bin`)

/** Recorded reports, taken apart by go-sev-guest and go-tdx-guest and by us. */
export const hardwareReports = (go: GoPrograms): readonly Pair[] =>
  missingVectors()
    ? []
    : [...SNP, ...TDX].map((file) => ({
        name: `${file} in go’s form = in ours, and back to its bytes`,
        async run(bench) {
          const raw = readVector(file).slice()
          const tee: TeeReport = file.includes('/snp/') ? { kind: 'sev-snp', report: raw } : { kind: 'tdx', quote: raw }
          const theirs = readGotpm('attestation', go.peer(bench, [tee.kind], raw), 'binarypb')
          const none = { akPublic: new Uint8Array(), quotes: [], eventLog: new Uint8Array() }
          assert.deepEqual(gotpmAttestation({ ...none, tee }).teeAttestation, theirs.teeAttestation)
          assert.deepEqual(teeReport(theirs), tee)
          await Promise.resolve()
        },
      }))
