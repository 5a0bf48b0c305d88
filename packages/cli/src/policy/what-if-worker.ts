import { parentPort } from 'node:worker_threads'
import { VouchsafeError } from '@vouchsafe/core'
import { takingTurns } from './record-files.ts'
import { whatIfOfTaken } from './what-if-job.ts'
import type { Answer, SharedJob } from './what-if-pool.ts'

/** Its part of a job, on a thread of its own. Answers once: with totals, or with the refusal that ended it. */
parentPort?.once('message', ({ job, taken }: SharedJob) => {
  void whatIfOfTaken(job, takingTurns(taken))
    .then((report): Answer => ({ totals: report.totals() }))
    .catch((error: unknown): Answer => {
      if (error instanceof VouchsafeError) return { code: error.code, message: error.message }
      throw error
    })
    .then((answer) => parentPort?.postMessage(answer))
})
