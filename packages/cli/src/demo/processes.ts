import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { VouchsafeError } from '@vouchsafe/core'

/** A process of ours that answers in lines of JSON on stdout and logs to stderr. */
export class JsonProcess {
  readonly name: string
  readonly #child: ChildProcess
  readonly #lines: unknown[] = []
  readonly #waiting = new Set<() => void>()
  readonly #exited: Promise<number>
  #exit: number | null = null
  #log = ''

  constructor(
    name: string,
    args: readonly string[],
    options: { readonly logFile: string; readonly codeCache: string },
  ) {
    this.name = name
    // the parent's environment is not a secret's place, and the child needs no more than this of it
    const env = {
      PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
      HOME: process.env['HOME'] ?? '/',
      TMPDIR: process.env['TMPDIR'] ?? '',
    }
    this.#child = spawn(process.execPath, [...args], { stdio: ['ignore', 'pipe', 'pipe'], env })
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      appendFileSync(options.logFile, chunk)
      this.#log = (this.#log + chunk.toString()).slice(-4000)
    })
    if (this.#child.stdout !== null)
      createInterface({ input: this.#child.stdout }).on('line', (line) => {
        appendFileSync(options.logFile, `${line}\n`)
        this.#lines.push(JSON.parse(line))
        this.#wake()
      })
    this.#exited = new Promise((resolve) => {
      // `close` comes after the last line was read, `exit` may come before
      this.#child.once('close', (code) => {
        this.#exit = code ?? 1
        this.#wake()
        resolve(this.#exit)
      })
      this.#child.once('error', () => resolve(1))
    })
  }

  get pid(): number {
    return this.#child.pid ?? -1
  }

  /** Every line so far. */
  get lines(): readonly unknown[] {
    return this.#lines
  }

  /** The first line that `wanted` likes, present or future. @throws {VouchsafeError} `peer.unreachable` when the process ends, or time runs out, before it came. */
  async line<T>(wanted: (line: unknown) => T | null, timeoutMs: number, from = 0): Promise<T> {
    const deadline = performance.now() + timeoutMs
    for (let next = from; ;) {
      for (; next < this.#lines.length; next++) {
        const found = wanted(this.#lines[next])
        if (found !== null) return found
      }
      if (this.#exit !== null)
        throw new VouchsafeError('peer.unreachable', `${this.name} ended with ${this.#exit}: ${this.#lastWords()}`)
      const left = deadline - performance.now()
      if (left <= 0)
        throw new VouchsafeError(
          'peer.unreachable',
          `${this.name} did not answer within ${timeoutMs} ms: ${this.#lastWords()}`,
        )
      await this.#change(left)
    }
  }

  /** Waits for the end. @returns The exit status; a signal counts as 1. */
  exited(): Promise<number> {
    return this.#exited
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#exit === null) this.#child.kill(signal)
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 5_000)
    await this.#exited
    clearTimeout(late)
  }

  /** The end of its log, for whoever has to find out why. */
  #lastWords(): string {
    return this.#log.trim().split('\n').slice(-12).join('\n')
  }

  #change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#waiting.delete(done)
        resolve()
      }
      const timer = setTimeout(done, timeoutMs)
      this.#waiting.add(done)
    })
  }

  #wake(): void {
    for (const done of this.#waiting) done()
  }
}

/** Everything that was started, to be ended in reverse order whatever happens. */
export class Cleanup {
  readonly #steps: (() => Promise<void> | void)[] = []
  #running: Promise<void> | undefined

  add(step: () => Promise<void> | void): void {
    this.#steps.push(step)
  }

  run(): Promise<void> {
    this.#running ??= this.#run()
    return this.#running
  }

  async #run(): Promise<void> {
    for (const step of this.#steps.toReversed()) {
      try {
        await step()
      } catch (error) {
        process.stderr.write(`cleaning up: ${error instanceof Error ? error.message : String(error)}\n`) // the rest must still be cleaned
      }
    }
  }
}
