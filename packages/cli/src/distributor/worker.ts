import { spawn } from 'node:child_process'
import type { Writable } from 'node:stream'
import type { FetchedSecrets } from '@vouchsafe/client/distributor'
import { VouchsafeError, toBase64 } from '@vouchsafe/core'

/** What a worker reads: one JSON object. */
export function secretsJson({ decision, class: assurance, secrets }: FetchedSecrets): string {
  return JSON.stringify({
    decision,
    class: assurance,
    secrets: secrets.map(({ name, type, value }) => ({ name, type, data: toBase64(value) })),
  })
}

/**
 * Starts a worker and hands it the secrets through a pipe: its standard input, or another descriptor. They are in no
 * argument, no variable and no file, so no list of processes and no crash report shows them.
 *
 * @returns the worker's exit status
 */
export function runWorker(
  command: readonly [string, ...string[]],
  fetched: FetchedSecrets,
  fd: number,
): Promise<number> {
  const [program, ...args] = command
  const stdio = Array.from({ length: Math.max(3, fd + 1) }, (_, n) =>
    n === fd ? 'pipe' : n < 3 ? 'inherit' : 'ignore',
  )
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: stdio as ('pipe' | 'inherit' | 'ignore')[] })
    const pipe = child.stdio[fd] as Writable
    // a worker that does not read is its own matter; it ends with a status of its own
    pipe.on('error', () => undefined)
    pipe.end(`${secretsJson(fetched)}\n`)
    for (const { value } of fetched.secrets) value.fill(0)
    child.once('error', (cause) =>
      reject(new VouchsafeError('input.malformed', `worker ${program}: ${cause.message}`, { cause })),
    )
    child.once('close', (code) => resolve(code ?? 1))
  })
}
