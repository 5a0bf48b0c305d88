import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'

export type Line = Readonly<Record<string, unknown>>

/** A process of ours that answers in lines of JSON on stdout. It is given the environment that is named here, and no other. */
export class JsonProcess {
  /** Everything that it wrote, to either stream. */
  readonly output: string[] = []
  readonly #args: readonly string[]
  readonly #child: ChildProcess
  readonly #lines: Line[] = []
  readonly #ended: Promise<number>
  #isOver = false
  #wake: () => void = () => undefined

  /** @param args - Of Node: a script first. */
  constructor(
    args: readonly string[],
    options: { readonly env: Readonly<Record<string, string>>; readonly cwd?: string },
  ) {
    this.#args = args
    const child = spawn(process.execPath, [...args], { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    child.stderr.on('data', (chunk: Buffer) => this.output.push(chunk.toString()))
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.output.push(line)
      if (line.startsWith('{')) this.#lines.push(JSON.parse(line) as Line)
      this.#wake()
    })
    this.#ended = new Promise((resolve) => {
      child.once('close', (status) => {
        this.#isOver = true
        this.#wake()
        resolve(status ?? 1)
      })
    })
  }

  get lines(): readonly Line[] {
    return this.#lines
  }

  /** The first line that has all these members, present or future. */
  async line(wanted: Line, timeoutMs = 60_000): Promise<Line> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const found = this.#lines.find((line) => Object.entries(wanted).every(([name, value]) => line[name] === value))
      if (found !== undefined) return found
      if (this.#isOver || performance.now() > deadline)
        throw new Error(`${this.#args.join(' ')}: no ${JSON.stringify(wanted)}\n${this.output.slice(-10).join('\n')}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        setTimeout(resolve, 500)
      })
    }
  }

  /** Waits for its end. @returns The exit status. */
  ended(): Promise<number> {
    return this.#ended
  }

  async stop(): Promise<void> {
    if (!this.#isOver) this.#child.kill('SIGTERM')
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 5_000)
    await this.#ended
    clearTimeout(late)
  }
}
