import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Launch } from '@vouchsafe/tpm/eventlog'
import { AgentError } from '../errors.ts'
import type { Tools } from './tools.ts'

const run = promisify(execFile)
const START_TIMEOUT_MS = 30_000

export interface ContainerOptions {
  readonly tools: Tools
  readonly id: string
  /** Holds `config.json` and `rootfs`. */
  readonly bundle: string
  /** runc's own state. */
  readonly stateRoot: string
  readonly launch: Pick<Launch, 'isolation' | 'output' | 'debug'>
  /** Descriptors for the workload, from number 3 on. */
  readonly fds: readonly number[]
}

/**
 * A running workload. It lives in a process namespace whose first process the kernel kills with this one: also when the
 * agent itself is killed, nothing goes on with secrets whose lease nobody keeps.
 */
export class Container {
  readonly id: string
  /** Exit status of the workload, or 128 and the signal. */
  readonly ended: Promise<number>
  readonly #child: ChildProcess
  readonly #options: ContainerOptions

  private constructor(options: ContainerOptions, child: ChildProcess) {
    this.id = options.id
    this.#options = options
    this.#child = child
    this.ended = new Promise((resolve, reject) => {
      child.once('error', (cause) =>
        reject(new AgentError('workload.failed', `${options.tools.setpriv}: ${cause.message}`, { cause })),
      )
      child.once('close', (code, signal) => resolve(code ?? 128 + (signal === 'SIGKILL' ? 9 : 15)))
    })
    this.ended.catch(() => undefined) // whoever waits for it gets it; until then nobody listens
  }

  /** @throws {AgentError} `workload.failed` with what runc said when the workload did not start */
  static async start(options: ContainerOptions): Promise<Container> {
    const { tools, id, bundle, stateRoot, launch, fds } = options
    const pidFile = path.join(bundle, 'pid')
    const logFile = path.join(bundle, 'runc.log')
    const talk = launch.output === 'log' || launch.debug ? 2 : 'ignore'
    const namespaces = [...(launch.isolation === 'runc' ? [] : ['--user', '--map-root-user']), '--pid', '--mount-proc']
    const tie = ['--pdeathsig', 'KILL', tools.unshare, ...namespaces, '--fork', '--kill-child=KILL', tools.runc]
    const logging = ['--root', stateRoot, '--log', logFile, '--log-format', 'json']
    const what = ['run', '--bundle', bundle, '--pid-file', pidFile, '--preserve-fds', String(fds.length), id]
    const child = spawn(tools.setpriv, [...tie, ...logging, ...what], {
      stdio: ['ignore', talk, talk, ...fds], // standard streams, then the manifest at descriptor 3
      env: {},
      cwd: bundle,
    })
    const container = new Container(options, child)
    await container.#untilStarted(pidFile, logFile)
    return container
  }

  /** Ends the workload at once. When this resolves, everything that it started is gone. */
  async kill(): Promise<void> {
    const outer = this.#child.pid
    if (outer !== undefined && this.#child.exitCode === null && this.#child.signalCode === null) {
      // the namespace's first process: unshare waits for it, and it ends only after all others in there have
      const inner = childrenOf(outer)[0]
      process.kill(inner ?? outer, 'SIGKILL')
    }
    await this.ended
  }

  /** Removes what runc keeps of it: its state and its control groups. */
  async remove(): Promise<void> {
    await removeContainer(this.#options.tools, this.#options.stateRoot, this.id)
  }

  async #untilStarted(pidFile: string, logFile: string): Promise<void> {
    let end: number | undefined
    const ended = this.ended.then((status) => (end = status))
    const deadline = performance.now() + START_TIMEOUT_MS
    while (!existsSync(pidFile)) {
      if (end !== undefined)
        throw new AgentError('workload.failed', `the workload did not start: ${await lastWords(logFile, end)}`)
      if (performance.now() > deadline) {
        await this.kill()
        throw new AgentError('workload.failed', `the workload did not start within ${START_TIMEOUT_MS / 1000} s`)
      }
      await Promise.race([sleep(5), ended])
    }
  }
}

/** Also for containers that are not there: then it does nothing. */
export async function removeContainer(tools: Tools, stateRoot: string, id: string): Promise<void> {
  await run(tools.runc, ['--root', stateRoot, 'delete', '--force', id], { env: {} })
}

/** Ids of all containers that runc knows under a root. */
export async function listContainers(tools: Tools, stateRoot: string): Promise<readonly string[]> {
  const { stdout } = await run(tools.runc, ['--root', stateRoot, 'list', '--quiet'], { env: {} })
  return stdout.split('\n').filter((id) => id !== '')
}

/** Direct children of a process; none when it is gone. */
function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
      .split(' ')
      .filter((word) => word !== '')
      .map(Number)
  } catch {
    return []
  }
}

/** runc's log says why; the workload cannot write to it. */
async function lastWords(logFile: string, status: number): Promise<string> {
  const log = await readFile(logFile, 'utf8').catch(() => '')
  const said = log.split('\n').flatMap((line) => /"msg":"((?:[^"\\]|\\.)*)"/.exec(line)?.[1] ?? [])
  return said.at(-1) ?? `exit status ${status}`
}
