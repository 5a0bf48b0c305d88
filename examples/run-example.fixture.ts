import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What a run of an example says with `--json`. */
export interface Ran {
  readonly passed: number
  readonly failed: number
  readonly steps: readonly {
    readonly title: string
    readonly checks: readonly { readonly name: string; readonly ok: boolean }[]
    readonly answers: readonly {
      readonly rules?: readonly { readonly rule: string; readonly holds: boolean }[]
      readonly approved?: string
      readonly found?: boolean
      readonly sender?: string
    }[]
  }[]
}

/**
 * Runs an example as its one command does.
 *
 * @param variables - Beside those of this process.
 */
export async function runExample(
  name: string,
  variables: Readonly<Record<string, string>> = {},
): Promise<{ readonly ran: Ran; readonly status: number; readonly output: string; readonly lastLine: string }> {
  const run = fileURLToPath(new URL(`${name}/run.ts`, import.meta.url))
  const { status, stdout, stderr } = await new Promise<{ status: number; stdout: string; stderr: string }>(
    (resolve) => {
      const env = { ...process.env, ...variables }
      const child = execFile(process.execPath, [run, '--json'], { env }, (_error, out, err) =>
        resolve({ status: child.exitCode ?? 1, stdout: out, stderr: err }),
      )
    },
  )
  return {
    ran: JSON.parse(stdout) as Ran,
    status,
    output: stdout + stderr,
    lastLine: stderr.trim().split('\n').at(-1) ?? '',
  }
}
