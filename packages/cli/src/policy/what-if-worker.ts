import { parentPort, workerData } from 'node:worker_threads'
import { VouchsafeError } from '@vouchsafe/core'
import { takingTurns } from './records.ts'
import { type WhatIfJob, whatIfOfTaken } from './what-if-job.ts'

/** Its part of a job, on a thread of its own. Answers once: with totals, or with the refusal that ended it. */
const { job, taken } = workerData as { readonly job: WhatIfJob; readonly taken: Int32Array<SharedArrayBuffer> }
try {
  const report = await whatIfOfTaken(job, takingTurns(taken))
  parentPort?.postMessage({ totals: report.totals() })
} catch (error) {
  if (!(error instanceof VouchsafeError)) throw error
  parentPort?.postMessage({ code: error.code, message: error.message })
}
