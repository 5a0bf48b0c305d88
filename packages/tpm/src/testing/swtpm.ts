import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type NetConnectOpts, connect, createServer } from 'node:net'
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

export interface SwtpmOptions {
  /** Listen on a TCP port of the loopback interface instead of a unix socket. */
  readonly tcp?: boolean
  /** Have swtpm_setup manufacture the TPM: EK certificates in NV, by an authority made for this TPM alone. */
  readonly manufactured?: boolean
}

export async function startSwtpm(options: SwtpmOptions = {}): Promise<RunningSwtpm> {
  const directory = mkdtempSync(path.join(tmpdir(), 'swtpm-'))
  if (options.manufactured === true) manufacture(directory)
  const socket = path.join(directory, 's')
  const flags = ['--tpm2', '--tpmstate', `dir=${directory}`, '--flags', 'not-need-init,startup-clear']
  const port = options.tcp === true ? await freePort() : undefined
  const server = port === undefined ? `type=unixio,path=${socket}` : `type=tcp,port=${port}`
  const sockets = ['--server', server, '--ctrl', `type=unixio,path=${socket}.ctrl`]
  const child = spawn('swtpm', ['socket', ...flags, ...sockets], { stdio: 'ignore' })
  // both, and by connecting: a socket's file is there a moment before anybody listens on it
  await untilListening(child, { path: `${socket}.ctrl` })
  await untilListening(child, port === undefined ? { path: socket } : { host: '127.0.0.1', port })
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

/** swtpm_setup's own authority is shared by all of a machine; each test gets one for itself. */
function manufacture(directory: string): void {
  const authority = path.join(directory, 'ca')
  mkdirSync(authority)
  const localCa = path.join(authority, 'localca.conf')
  const files = { signingkey: 'key.pem', issuercert: 'cert.pem', certserial: 'serial' }
  const lines = Object.entries(files).map(([name, file]) => `${name} = ${path.join(authority, file)}`)
  writeFileSync(localCa, [`statedir = ${authority}`, ...lines, ''].join('\n'))
  const setup = path.join(authority, 'setup.conf')
  const optionsFile = path.join(authority, 'options')
  writeFileSync(optionsFile, '--platform-manufacturer Test\n--platform-version 1\n--platform-model Test\n')
  const tools = { create_certs_tool: 'swtpm_localca', create_certs_tool_config: localCa }
  const all = { ...tools, create_certs_tool_options: optionsFile }
  writeFileSync(
    setup,
    Object.entries(all)
      .map(([name, value]) => `${name} = ${value}\n`)
      .join(''),
  )
  const flags = ['--tpm2', '--tpmstate', directory, '--create-ek-cert', '--create-platform-cert', '--lock-nvram']
  const banks = ['--pcr-banks', 'sha1,sha256,sha384,sha512']
  execFileSync('swtpm_setup', [...flags, ...banks, '--config', setup], { stdio: 'pipe' })
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

async function untilListening(child: ChildProcess, socket: NetConnectOpts): Promise<void> {
  let failure: Error | undefined
  child.once('error', (error) => {
    failure = new Error(`swtpm does not start (Debian package swtpm): ${error.message}`)
  })
  for (let waited = 0; waited < 30_000; waited += 10) {
    if (failure !== undefined) throw failure
    if (child.exitCode !== null) throw new Error(`swtpm ended with ${child.exitCode}`)
    if (await isListening(socket)) return
    await setTimeout(10)
  }
  throw new Error('swtpm does not listen')
}

function isListening(socket: NetConnectOpts): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socket)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => resolve(false))
  })
}
