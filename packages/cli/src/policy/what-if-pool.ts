import { statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type ErrorCode, VouchsafeError } from '@vouchsafe/core'
import type { Share } from './records.ts'
import { type WhatIfJob, whatIfOfShare } from './what-if-job.ts'
import { WhatIfReport, type WhatIfTotals } from './what-if-report.ts'

/** A thread takes about a second to start: below this much of records it does not pay. */
const BYTES_A_THREAD = 32 * 1024 * 1024
const MAX_THREADS = 8

type Answer = { readonly totals: WhatIfTotals } | { readonly code: ErrorCode; readonly message: string }

/** Judges all records of a job, on as many threads as there are processors when there are very many. */
export async function whatIfOfFiles(job: WhatIfJob, threads = threadsFor(job.files)): Promise<WhatIfReport> {
  if (threads <= 1) return whatIfOfShare(job, { index: 0, of: 1 })
  const shares = Array.from({ length: threads }, (_, index) => onThread(job, { index, of: threads }))
  const report = new WhatIfReport()
  for (const totals of await Promise.all(shares)) report.merge(totals)
  return report
}

function threadsFor(files: readonly string[]): number {
  const bytes = files.reduce((sum, f) => sum + statSync(f).size, 0)
  return Math.min(availableParallelism(), MAX_THREADS, Math.ceil(bytes / BYTES_A_THREAD))
}

async function onThread(job: WhatIfJob, share: Share): Promise<WhatIfTotals> {
  const worker = new Worker(new URL('./what-if-worker.ts', import.meta.url), { workerData: { job, share } })
  try {
    const answer = await new Promise<Answer>((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
      worker.once('exit', (status) => reject(new Error(`a thread ended with ${status} and no answer`)))
    })
    if ('code' in answer) throw new VouchsafeError(answer.code, answer.message)
    return answer.totals
  } finally {
    await worker.terminate()
  }
}
