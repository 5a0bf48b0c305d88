import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'

/** A software TPM of its own for one test file: fresh state, unix sockets, gone afterwards. */
export interface RunningSwtpm {
  /** For `Tpm.open`, and for tpm2-tools as TPM2TOOLS_TCTI. */
  readonly address: string
  readonly controlPath: string
  readonly directory: string
  stop(): Promise<void>
}

export async function startSwtpm(options: { readonly tcp?: boolean } = {}): Promise<RunningSwtpm> {
  const directory = mkdtempSync(path.join(tmpdir(), 'swtpm-'))
  const socket = path.join(directory, 's')
  const flags = ['--tpm2', '--tpmstate', `dir=${directory}`, '--flags', 'not-need-init,startup-clear']
  const port = options.tcp === true ? await freePort() : undefined
  const server = port === undefined ? `type=unixio,path=${socket}` : `type=tcp,port=${port}`
  const sockets = ['--server', server, '--ctrl', `type=unixio,path=${socket}.ctrl`]
  const child = spawn('swtpm', ['socket', ...flags, ...sockets], { stdio: 'ignore' })
  await untilListening(child, `${socket}.ctrl`)
  return {
    address: port === undefined ? `swtpm:path=${socket}` : `swtpm:host=127.0.0.1,port=${port}`,
    controlPath: `${socket}.ctrl`,
    directory,
    async stop() {
      const exited = new Promise((resolve) => child.once('exit', resolve))
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM')
        await exited
      }
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

async function untilListening(child: ChildProcess, socket: string): Promise<void> {
  let failure: Error | undefined
  child.once('error', (error) => {
    failure = new Error(`swtpm does not start (Debian package swtpm): ${error.message}`)
  })
  for (let waited = 0; waited < 5000; waited += 10) {
    if (failure !== undefined) throw failure
    if (child.exitCode !== null) throw new Error(`swtpm ended with ${child.exitCode}`)
    if (existsSync(socket)) return
    await setTimeout(10)
  }
  throw new Error('swtpm does not listen')
}
