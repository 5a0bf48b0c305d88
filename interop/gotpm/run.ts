import { runPairs } from '../tpm2-tools/run-pairs.ts'
import { attestations } from './attestations.ts'
import { commandLine } from './command-line.ts'
import { GoPrograms } from './go-programs.ts'
import { hardwareReports } from './hardware-reports.ts'
import { inspection } from './inspection.ts'
import { sealing } from './sealing.ts'

/*
 * Peers: go-tpm-tools' gotpm as the Go module proxy serves it, and the current library of go-tpm-tools driven by peer/.
 * Both use the software TPM that we use.
 */
const go = new GoPrograms()
try {
  await runPairs([...inspection(go), ...sealing(go), ...attestations(go), ...hardwareReports(go), ...commandLine(go)])
} finally {
  go.remove()
}
