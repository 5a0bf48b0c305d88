import { evidence, VouchsafeError } from '@vouchsafe/core'
import { withHint } from '../../output.ts'
import { decisionRecord } from './decision-record.ts'
import type { EvidenceFile, EvidenceFormat } from './format.ts'
import { gotpmAttestation } from './gotpm-attestation.ts'
import { hardwareEvidence } from './hardware-evidence.ts'
import { tpmStatement } from './tpm-statement.ts'

/** Every kind of evidence that the command line reads, the more telling first. */
const FORMATS: readonly EvidenceFormat[] = [decisionRecord, tpmStatement, gotpmAttestation, hardwareEvidence]

/**
 * The kind of a file, by its content.
 * @throws {VouchsafeError} `evidence.unsupported` for kinds that vouchsafe knows and this command does not read;
 *   `input.malformed`
 */
export function formatOf({ name, bytes }: EvidenceFile): EvidenceFormat {
  const found = FORMATS.find((format) => format.recognises(bytes))
  if (found !== undefined) return found
  const { format } = evidence.detectEvidence(bytes)
  throw withHint(
    new VouchsafeError('evidence.unsupported', `${name}: evidence of kind ${format}, which this command does not read`),
    `it reads ${FORMATS.map((f) => f.name).join(', ')}`,
  )
}
