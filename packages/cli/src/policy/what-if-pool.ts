import { statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type ErrorCode, VouchsafeError } from '@vouchsafe/core'
import type { Share } from './records.ts'
import { type WhatIfJob, whatIfOfShare } from './what-if-job.ts'
import type { WhatIfReport, WhatIfTotals } from './what-if-report.ts'

/** A thread takes about a second to start: below this much of records it does not pay. */
const BYTES_A_THREAD = 32 * 1024 * 1024
const MAX_THREADS = 8

type Answer = { readonly totals: WhatIfTotals } | { readonly code: ErrorCode; readonly message: string }

/** Judges all records of a job, on as many threads as there are processors when there are very many. */
export async function whatIfOfFiles(job: WhatIfJob, threads = threadsFor(job.files)): Promise<WhatIfReport> {
  const share = (index: number): Share => ({ index, of: threads })
  const others = Array.from({ length: threads - 1 }, (_, n) => startOn(job, share(n + 1)))
  try {
    // this thread takes a share as well: all modules are there already
    const [report, ...totals] = await Promise.all([whatIfOfShare(job, share(0)), ...others.map((w) => answerOf(w))])
    for (const t of totals) report.merge(t)
    return report
  } finally {
    for (const worker of others) await worker.terminate()
  }
}

function threadsFor(files: readonly string[]): number {
  const bytes = files.reduce((sum, f) => sum + statSync(f).size, 0)
  return Math.max(1, Math.min(availableParallelism(), MAX_THREADS, Math.ceil(bytes / BYTES_A_THREAD)))
}

function startOn(job: WhatIfJob, share: Share): Worker {
  return new Worker(new URL('./what-if-worker.ts', import.meta.url), { workerData: { job, share } })
}

async function answerOf(worker: Worker): Promise<WhatIfTotals> {
  const answer = await new Promise<Answer>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', (status) => reject(new Error(`a thread ended with ${status} and no answer`)))
  })
  if ('code' in answer) throw new VouchsafeError(answer.code, answer.message)
  return answer.totals
}
