import { Workbench } from './workbench.ts'
import type { Pair } from './workbench.ts'

/** Runs the pairs on one fresh software TPM, prints a line for each, and sets the exit status. */
export async function runPairs(pairs: readonly Pair[]): Promise<void> {
  const bench = await Workbench.start()
  let passed = 0
  let failed = 0
  try {
    for (const { name, run } of pairs) {
      const started = performance.now()
      try {
        await run(bench)
        passed += 1
        console.log(`ok      ${name} (${Math.round(performance.now() - started)} ms)`)
      } catch (error) {
        failed += 1
        console.log(`FAILED  ${name}\n${indented(error)}`)
      }
      await bench.flush()
    }
  } finally {
    await bench.stop()
  }
  console.log(`${passed} passed, ${failed} failed`)
  process.exitCode = failed === 0 ? 0 : 1
}

function indented(error: unknown): string {
  const { message, stderr } = error as Error & { readonly stderr?: string | Buffer }
  const lines = `${message}\n${stderr?.toString() ?? ''}`.trim().split('\n')
  return lines.map((line) => `        ${line}`).join('\n')
}
