import { type Envelope, type Supposition, whatIf } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { type Take, readEnvelopes } from './record-files.ts'
import { attestationOf, openRecord } from './records.ts'
import { WhatIfReport } from './what-if-report.ts'

/** Recorded attestations in files, and what is supposed of them. */
export interface WhatIfJob {
  readonly files: readonly string[]
  /** The broker's decision key; null believes whoever gave the files. */
  readonly key: string | null
  readonly supposition: Supposition
  /** How much of the files a thread takes at once: a MiB unless told. */
  readonly pieceBytes?: number
}

/** Judges those of a job's records that are for this thread. */
export async function whatIfOfTaken(job: WhatIfJob, take?: Take): Promise<WhatIfReport> {
  const { files, key, supposition, pieceBytes } = job
  const report = new WhatIfReport()
  const add = judgeInto(report, supposition)
  for (const envelope of readEnvelopes(files, take, pieceBytes)) await add(envelope, key)
  return report
}

/** Judges one record after another into a report. */
export function judgeInto(report: WhatIfReport, supposition: Supposition) {
  const judge = whatIf(supposition, nodeCrypto)
  return async (envelope: Envelope, key: string | null): Promise<void> => {
    const record = await openRecord(envelope, key)
    // a release rests on an attestation that has a record of its own: counted once
    const recorded = record.operation === 'attest' ? attestationOf(record) : null
    if (recorded !== null) report.add(recorded.at, await judge(recorded))
  }
}
