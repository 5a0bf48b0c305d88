import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { type Digest, ImageLayout, unpackImage } from '@vouchsafe/image'
import { type SimulatedTokenAuthority, type SimulatedWorkload, startTokenSocket } from '@vouchsafe/simulator'

export interface MachineOptions {
  /** For the unpacked image and the token socket; made here, with a short path. */
  readonly directory: string
  readonly layout: string
  readonly digest: Digest
  readonly authority: SimulatedTokenAuthority
  /** Where and as whom it runs. What runs is read from the image. */
  readonly instance: SimulatedWorkload['instance']
  readonly accounts: readonly string[]
  readonly debug?: boolean
}

/** One line of the workload’s log, which the machine’s operator reads. */
export type LogLine = { readonly event: string } & Readonly<Record<string, unknown>>

/**
 * A simulated machine of USleep’s operator: it unpacks an image, which verifies it against the digest, starts its
 * entrypoint as a process, and vouches for that digest on a socket that only this process is told of. On real hardware
 * the launcher measures the image and the attestation service believes the measurement; here the simulator’s authority
 * believes this function, which is why everything under its root is class `simulated`.
 */
export async function startMachine(options: MachineOptions): Promise<Machine> {
  const { directory, layout, digest, authority, instance, accounts } = options
  mkdirSync(directory, { mode: 0o700 })
  const root = path.join(directory, 'root')
  const { image } = await unpackImage(await ImageLayout.open(layout), digest, root)
  const { entrypoint, args } = image.config.execution
  const workload: SimulatedWorkload = {
    instance,
    accounts,
    image: { reference: `usleep@${digest}`, digest },
    args: [...entrypoint, ...args],
    env: {},
    overrides: { args: [], env: {} },
    debug: options.debug ?? false,
  }
  const tokens = await startTokenSocket(authority, workload, path.join(directory, 'token.sock'))
  const child = spawn(
    process.execPath,
    [...entrypoint, ...args].map((name) => path.join(root, name)),
    {
      cwd: root,
      env: { TOKEN_SOCKET: tokens.address },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  return new Machine(child, () => tokens.close())
}

export class Machine {
  /** Everything that the workload wrote, as the operator has it. */
  readonly output: string[] = []
  readonly #child: ChildProcess
  readonly #lines: LogLine[] = []
  readonly #exited: Promise<void>
  readonly #stopped: () => Promise<void>
  #wake: () => void = () => undefined

  /** @internal Use `startMachine`. */
  constructor(child: ChildProcess, stopped: () => Promise<void>) {
    this.#child = child
    this.#stopped = stopped
    child.stderr?.on('data', (chunk: Buffer) => this.output.push(chunk.toString()))
    if (child.stdout !== null)
      createInterface({ input: child.stdout }).on('line', (line) => {
        this.output.push(line)
        if (line.startsWith('{')) this.#lines.push(JSON.parse(line) as LogLine)
        this.#wake()
      })
    this.#exited = new Promise((resolve) => void child.once('close', () => resolve()))
  }

  get log(): readonly LogLine[] {
    return this.#lines
  }

  /** The first line of this event, present or future. */
  async event(name: string, timeoutMs = 10_000): Promise<LogLine> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const found = this.#lines.find((line) => line.event === name)
      if (found !== undefined) return found
      const left = deadline - performance.now()
      if (left <= 0 || this.#child.exitCode !== null)
        throw new Error(`the workload logged no ${name}:\n${this.output.slice(-10).join('\n')}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        setTimeout(resolve, Math.min(left, 250))
      })
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null) this.#child.kill('SIGTERM')
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 3_000)
    await this.#exited
    clearTimeout(late)
    await this.#stopped()
  }
}
