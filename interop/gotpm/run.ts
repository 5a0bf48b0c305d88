import { runPairs } from '../tpm2-tools/run-pairs.ts'
import { attestations } from './attestations.ts'
import { GoPrograms } from './go-programs.ts'
import { inspection } from './inspection.ts'
import { sealing } from './sealing.ts'

/*
 * Peers: go-tpm-tools' gotpm as the Go module proxy serves it, and the current library of go-tpm-tools driven by peer/.
 * Both use the software TPM that we use.
 */
const go = new GoPrograms()
try {
  await runPairs([...inspection(go), ...sealing(go), ...attestations(go)])
} finally {
  go.remove()
}
