import { existsSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type ErrorCode, VouchsafeError } from '@vouchsafe/core'
import { takingTurns } from './records.ts'
import { type WhatIfJob, whatIfOfTaken } from './what-if-job.ts'
import type { WhatIfReport, WhatIfTotals } from './what-if-report.ts'

/** A thread takes about a second to start: below this much of records it does not pay. */
const BYTES_A_THREAD = 32 * 1024 * 1024
const MAX_THREADS = 8

type Answer = { readonly totals: WhatIfTotals } | { readonly code: ErrorCode; readonly message: string }

/** Judges all records of a job, on as many threads as there are processors when there are very many. */
export async function whatIfOfFiles(job: WhatIfJob, threads = threadsFor(job.files)): Promise<WhatIfReport> {
  if (threads <= 1) return whatIfOfTaken(job)
  const taken = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  const others = Array.from({ length: threads - 1 }, () => startOn({ job, taken }))
  try {
    // this thread takes its part as well: all modules are there already
    const mine = whatIfOfTaken(job, takingTurns(taken))
    const [report, ...totals] = await Promise.all([mine, ...others.map((w) => answerOf(w))])
    for (const t of totals) report.merge(t)
    return report
  } finally {
    for (const worker of others) await worker.terminate()
  }
}

/** Beside this module, or beside the one file that it was bundled into; a program that was copied alone has none. */
const WORKER = ['./what-if-worker.ts', './what-if-worker.mjs']
  .map((name) => new URL(name, import.meta.url))
  .find((url) => existsSync(url))

function threadsFor(files: readonly string[]): number {
  if (WORKER === undefined) return 1
  const bytes = files.reduce((sum, f) => sum + statSync(f).size, 0)
  return Math.min(availableParallelism(), MAX_THREADS, Math.ceil(bytes / BYTES_A_THREAD))
}

function startOn(workerData: { readonly job: WhatIfJob; readonly taken: Int32Array<SharedArrayBuffer> }): Worker {
  if (WORKER === undefined) throw new VouchsafeError('internal', 'there is no program for a second thread')
  return new Worker(WORKER, { workerData })
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
