import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const AGENT = fileURLToPath(new URL('../../bin/agent.ts', import.meta.url))

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
  const waiting = new Set<() => void>()
  let all = ''
  let partial = ''
  child.stdout.on('data', (chunk: Buffer) => {
    all += chunk.toString('utf8')
    const lines = (partial + chunk.toString('utf8')).split('\n')
    partial = lines.pop() ?? ''
    for (const line of lines) events.push(JSON.parse(line) as SeenEvent)
    for (const wake of waiting) wake()
  })
  child.stderr.on('data', (chunk: Buffer) => (all += chunk.toString('utf8')))
  const exit = new Promise<number | string>((resolve) =>
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'gone')),
  )
  return {
    pid: child.pid ?? 0,
    events,
    said: () => all,
    exit,
    signal: (signal) => void child.kill(signal),
    until: (name, timeoutMs = 20_000) =>
      new Promise((resolve, reject) => {
        const done = (settle: () => void) => {
          waiting.delete(look)
          clearTimeout(timer)
          settle()
        }
        const look = () => {
          const found = events.find((e) => e.event === name)
          if (found !== undefined) done(() => resolve(found))
        }
        const timer = setTimeout(
          () => done(() => reject(new Error(`no ${name} in ${timeoutMs} ms: ${all}`))),
          timeoutMs,
        )
        waiting.add(look)
        void exit.then((status) => {
          look()
          if (waiting.has(look)) done(() => reject(new Error(`the agent ended with ${status} without ${name}: ${all}`)))
        })
        look()
      }),
  }
}
