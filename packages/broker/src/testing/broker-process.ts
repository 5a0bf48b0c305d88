import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { bundleProgram } from '../../../agent/bin/bundle.ts'
import { bundledOnce } from '../../../agent/src/testing/bundled-once.ts'

const SOURCE = fileURLToPath(new URL('../../bin/broker.ts', import.meta.url))
const BROKER = await bundledOnce('broker', (outfile) => bundleProgram(SOURCE, outfile))

/** A broker as a process of its own, so that it can be killed, or raced against another. */
export interface BrokerProcess {
  readonly url: string
  readonly child: ChildProcess
  /** Sends a signal and waits for the end; at once when it has ended already. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
  ended(): Promise<void>
}

export async function startBroker(config: string, ...flags: readonly string[]): Promise<BrokerProcess> {
  const child = spawn(process.execPath, [BROKER, 'serve', config, ...flags], { stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  child.stderr.on('data', (data: Buffer) => (log = (log + data.toString()).slice(-4096)))
  const ended = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  for await (const line of createInterface({ input: child.stdout })) {
    const { url } = JSON.parse(line) as { url: string }
    return {
      url,
      child,
      ended,
      async end(signal) {
        child.kill(signal)
        await ended()
      },
    }
  }
  throw new Error(`the broker ended before it was ready: ${log}`)
}
