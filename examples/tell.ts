import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Report } from './report.ts'

export interface Stage {
  readonly report: Report
  /** A folder for this run, with a short path, readable by us alone. */
  readonly directory: string
  /** What is to be ended when the story is: in reverse order, whatever happens, Ctrl-C included. */
  atEnd(step: () => unknown): void
}

/** Runs a story to its end and sets the exit status: 0 when all that it checked was so. `--json` tells it as one object. */
export async function tell(prefix: string, story: (stage: Stage) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(path.join(tmpdir(), prefix))
  const report = new Report(process.argv.includes('--json'))
  const steps: (() => unknown)[] = [() => rmSync(directory, { recursive: true, force: true })]
  const end = async () => {
    for (const step of steps.splice(0).toReversed()) await step()
  }
  process.once('SIGINT', () => void end().then(() => process.exit(130)))
  try {
    await story({ report, directory, atEnd: (step) => void steps.push(step) })
  } catch (error) {
    report.check('the example ran to its end', false, error instanceof Error ? (error.stack ?? '') : String(error))
  }
  await end()
  process.exitCode = report.finish()
}
