import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, vi } from 'vitest'
import { main } from '../../main.ts'
import { startSwtpm } from '../../../../tpm/src/testing/swtpm.ts'
import type { RunningSwtpm, SwtpmOptions } from '../../../../tpm/src/testing/swtpm.ts'

export const repository = fileURLToPath(new URL('../../../../..', import.meta.url))
export const vouchsafe = path.join(repository, 'packages/cli/bin/vouchsafe.ts')

/** An error with `--json`. */
export interface Refusal {
  readonly status: number | null
  readonly code: string
  readonly message: string
  readonly hint?: string
}

/** What a command line ended with. */
export interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
  /** Standard output as JSON. */
  readonly json: <T>() => T
}

/** A folder, and the command line run in it. */
export class CommandLine {
  readonly directory: string
  readonly #environment: Readonly<Record<string, string>>

  constructor(environment: Readonly<Record<string, string>> = {}) {
    this.directory = mkdtempSync(path.join(tmpdir(), 'vs-cli-'))
    this.#environment = environment
  }

  /** Runs in this process: a tenth of what a process of its own takes. One at a time. */
  async run(...args: readonly string[]): Promise<Ran> {
    const before = { cwd: process.cwd(), env: { ...process.env } }
    const [stdout, stderr] = [capture(process.stdout), capture(process.stderr)]
    process.chdir(this.directory)
    Object.assign(process.env, this.#environment, { NO_COLOR: '1' })
    try {
      const status = await main(args)
      return ran(status, stdout.text(), stderr.text())
    } finally {
      process.chdir(before.cwd)
      for (const name of Object.keys(this.#environment)) restore(name, before.env[name])
      stdout.end()
      stderr.end()
    }
  }

  /** As its users run it. @param input - Standard input. */
  runProcess(args: readonly string[], input: Uint8Array | string = ''): Ran {
    const { status, stdout, stderr } = spawnSync(process.execPath, [vouchsafe, ...args], {
      cwd: this.directory,
      input,
      encoding: 'utf8',
      timeout: 60_000,
      env: { ...process.env, NO_COLOR: '1', ...this.#environment },
    })
    return ran(status, stdout, stderr)
  }

  /** Runs what must answer yes, with `--json`, and gives its answer. */
  async answer<T>(...args: readonly string[]): Promise<T> {
    const { status, stdout, stderr, json } = await this.run(...args, '--json')
    if (status !== 0) throw new Error(`vouchsafe ${args.join(' ')}: ${status}: ${stdout}${stderr}`)
    return json<T>()
  }

  /** Runs what must answer otherwise, with `--json`: its status, and what it says. */
  async refusal(...args: readonly string[]): Promise<Refusal> {
    const { status, stdout, json } = await this.run(...args, '--json')
    if (status === 0) throw new Error(`vouchsafe ${args.join(' ')} must fail and answers ${stdout}`)
    return { status, ...json<{ error: Omit<Refusal, 'status'> }>().error }
  }

  file(name: string): string {
    return path.join(this.directory, name)
  }

  write(name: string, bytes: Uint8Array | string): string {
    writeFileSync(this.file(name), bytes)
    return name
  }

  read(name: string): Uint8Array {
    return new Uint8Array(readFileSync(this.file(name)))
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** A command line with a software TPM of its own, for the tests of one file. */
export function useCommandLine(options: SwtpmOptions = {}): () => CommandLine & { readonly tpm: RunningSwtpm } {
  let line: CommandLine & { readonly tpm: RunningSwtpm }
  beforeAll(async () => {
    const tpm = await startSwtpm(options)
    line = Object.assign(new CommandLine({ VOUCHSAFE_TPM: tpm.address }), { tpm })
  })
  afterAll(async () => {
    line.remove()
    await line.tpm.stop()
  })
  return () => line
}

function ran(status: number | null, stdout: string, stderr: string): Ran {
  return { status, stdout, stderr, json: <T>() => JSON.parse(stdout) as T }
}

function restore(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name]
  else process.env[name] = value
}

function capture(stream: NodeJS.WriteStream) {
  const chunks: Buffer[] = []
  const spy = vi.spyOn(stream, 'write').mockImplementation((chunk) => {
    chunks.push(Buffer.from(chunk))
    return true
  })
  return { text: () => Buffer.concat(chunks).toString(), end: () => spy.mockRestore() }
}
