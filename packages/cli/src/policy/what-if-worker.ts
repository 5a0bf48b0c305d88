import { parentPort, workerData } from 'node:worker_threads'
import { VouchsafeError } from '@vouchsafe/core'
import type { Share } from './records.ts'
import { type WhatIfJob, whatIfOfShare } from './what-if-job.ts'

/** One share of a job on a thread of its own. Answers once: with totals, or with the refusal that ended it. */
const { job, share } = workerData as { readonly job: WhatIfJob; readonly share: Share }
try {
  const report = await whatIfOfShare(job, share)
  parentPort?.postMessage({ totals: report.totals() })
} catch (error) {
  if (!(error instanceof VouchsafeError)) throw error
  parentPort?.postMessage({ code: error.code, message: error.message })
}
