import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { bundleAgent } from '../../bin/bundle.ts'
import { bundledOnce } from './bundled-once.ts'

const AGENT = await bundledOnce('agent', bundleAgent)

export interface SeenEvent {
  readonly event: string
  readonly [member: string]: unknown
}

/** The agent as operators run it: a process. */
export interface AgentProcess {
  readonly pid: number
  readonly events: readonly SeenEvent[]
  /** Everything that it wrote, both streams. */
  said(): string
  /** The next event with that name, from now or before; fails when the agent ends without it. */
  until(name: string, timeoutMs?: number): Promise<SeenEvent>
  readonly exit: Promise<number | string>
  signal(signal: NodeJS.Signals): void
}

export function startAgent(
  args: readonly string[],
  options: { readonly uid?: number; readonly stdin?: string } = {},
): AgentProcess {
  const child = spawn(process.execPath, [AGENT, ...args], {
    stdio: 'pipe',
    env: {},
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
  })
  child.stdin.end(options.stdin ?? '')
  const events: SeenEvent[] = []
  const news = new EventEmitter()
  let all = ''
  let partial = ''
  let status: number | string | undefined
  child.stdout.on('data', (chunk: Buffer) => {
    all += chunk.toString('utf8')
    const lines = (partial + chunk.toString('utf8')).split('\n')
    partial = lines.pop() ?? ''
    for (const line of lines) events.push(JSON.parse(line) as SeenEvent)
    news.emit('more')
  })
  child.stderr.on('data', (chunk: Buffer) => (all += chunk.toString('utf8')))
  const exit = new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => {
      status = code ?? signal ?? 'gone'
      news.emit('more')
      resolve(status)
    })
  })
  return {
    pid: child.pid ?? 0,
    events,
    said: () => all,
    exit,
    signal: (signal) => void child.kill(signal),
    until: async (name, timeoutMs = 60_000) => {
      const signal = AbortSignal.timeout(timeoutMs)
      for (;;) {
        const found = events.find((e) => e.event === name)
        if (found !== undefined) return found
        if (status !== undefined) throw new Error(`the agent ended with ${status} without ${name}: ${all}`)
        await once(news, 'more', { signal })
      }
    },
  }
}
