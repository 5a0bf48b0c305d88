import { existsSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { ErrorCode } from '@vouchsafe/core'
import type { WhatIfJob } from './what-if-job.ts'
import type { WhatIfReport, WhatIfTotals } from './what-if-report.ts'

/** A thread takes about a second to start: below this much of records it does not pay. */
const BYTES_A_THREAD = 32 * 1024 * 1024
const MAX_THREADS = 8

/** What each thread is given: the job, and how many pieces of its files were taken by all of them. */
export interface SharedJob {
  readonly job: WhatIfJob
  readonly taken: Int32Array<SharedArrayBuffer>
}

/** What each answers, once. */
export type Answer = { readonly totals: WhatIfTotals } | { readonly code: ErrorCode; readonly message: string }

interface Thread {
  readonly worker: Worker
  readonly answer: Promise<Answer>
}

/**
 * Judges the records of files on several threads. Make it before anything else is read: to read the modules takes each
 * thread a second, and this one as well. Close it in any case.
 */
export class WhatIfPool implements AsyncDisposable {
  readonly #threads: readonly Thread[]

  /** @param threads - This one among them. As many as there are processors when there is very much to read. */
  constructor(files: readonly string[], threads = threadsFor(files)) {
    this.#threads = Array.from({ length: threads - 1 }, startThread)
  }

  /** @throws {VouchsafeError} what refuses a record, whichever thread comes upon it. */
  async judge(job: WhatIfJob): Promise<WhatIfReport> {
    const taken = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
    for (const { worker } of this.#threads) worker.postMessage({ job, taken } satisfies SharedJob)
    const [{ VouchsafeError }, { takingTurns }, { whatIfOfTaken }] = await Promise.all([
      import('@vouchsafe/core'),
      import('./record-files.ts'),
      import('./what-if-job.ts'),
    ])
    const [report, ...answers] = await Promise.all([
      whatIfOfTaken(job, takingTurns(taken)),
      ...this.#threads.map(({ answer }) => answer),
    ])
    for (const answer of answers) {
      if ('code' in answer) throw new VouchsafeError(answer.code, answer.message)
      report.merge(answer.totals)
    }
    return report
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()))
  }
}

/** Beside this module, or beside the one file that it was bundled into; a program that was copied alone has none. */
const WORKER = ['./what-if-worker.ts', './what-if-worker.mjs']
  .map((name) => new URL(name, import.meta.url))
  .find((url) => existsSync(url))

function threadsFor(files: readonly string[]): number {
  if (WORKER === undefined) return 1
  const bytes = files.reduce((sum, f) => sum + (statSync(f, { throwIfNoEntry: false })?.size ?? 0), 0)
  return Math.max(1, Math.min(availableParallelism(), MAX_THREADS, Math.ceil(bytes / BYTES_A_THREAD)))
}

function startThread(): Thread {
  if (WORKER === undefined) throw new Error('there is no program for a second thread')
  const worker = new Worker(WORKER)
  const answer = new Promise<Answer>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', (status) => reject(new Error(`a thread ended with ${status} and no answer`)))
  })
  answer.catch(() => undefined) // whoever waits for the answer hears of it
  return { worker, answer }
}
