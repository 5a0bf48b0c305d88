import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { connect } from 'node:net'
import path from 'node:path'
import { SimulatorError } from './errors.ts'

const START_TIMEOUT_MS = 10_000
const STOP_TIMEOUT_MS = 3_000
/** sun_path has 108 bytes with its NUL; the control socket has the longer name. */
const MAX_SOCKET_PATH = 107
const SETPRIV = '/usr/bin/setpriv'

/** A running swtpm with a state directory and two sockets of its own. */
export interface SwtpmProcess {
  /** Where TPM commands go. */
  readonly dataSocket: string
  /** Where power and reset are switched. Its name is what tpm2-tools expect beside `dataSocket`. */
  readonly controlSocket: string
  readonly pid: number
  /** Ends the process. The state stays in the directory. */
  stop(): Promise<void>
}

/**
 * Starts swtpm in the foreground as a child that the kernel kills when this process ends, however it ends. A new
 * directory gets a new TPM, with seeds that nobody else has.
 *
 * @throws {SimulatorError} `swtpm.missing`, `swtpm.start`, `directory.too-long`
 */
export async function startSwtpm(directory: string): Promise<SwtpmProcess> {
  const base = path.resolve(directory)
  const dataSocket = path.join(base, 'tpm')
  const controlSocket = `${dataSocket}.ctrl`
  if (Buffer.byteLength(controlSocket) > MAX_SOCKET_PATH)
    throw new SimulatorError('directory.too-long', `${base}: too long for a socket's path, which ends at 107 bytes`)
  const state = path.join(base, 'state')
  await mkdir(state, { recursive: true, mode: 0o700 })
  const args = ['--tpm2', '--tpmstate', `dir=${state},mode=0600`, '--flags', 'not-need-init']
  const data = ['--server', `type=unixio,path=${dataSocket},mode=0600`]
  const control = ['--ctrl', `type=unixio,path=${controlSocket},mode=0600`]
  const child = spawnTied('swtpm', ['socket', ...args, ...data, ...control])
  const ended = endOf(child)
  try {
    await waitForSockets(child, ended, [dataSocket, controlSocket])
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
  return { dataSocket, controlSocket, pid: child.pid ?? 0, stop: () => stop(child, ended) }
}

/** Without setpriv, a parent that is killed leaves its swtpm behind; with it, the kernel sees to that. */
function spawnTied(command: string, args: readonly string[]): ChildProcess {
  const stdio = ['ignore', 'ignore', 'pipe'] as const
  return existsSync(SETPRIV)
    ? spawn(SETPRIV, ['--pdeathsig', 'KILL', command, ...args], { stdio: [...stdio] })
    : spawn(command, args, { stdio: [...stdio] })
}

interface End {
  readonly said: string
  readonly why: string
  readonly isMissing: boolean
}

/** Resolves when the process is gone, with what it said last. */
function endOf(child: ChildProcess): Promise<End> {
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => (said = (said + chunk.toString('utf8')).slice(-2000)))
  return new Promise((resolve) => {
    child.once('error', (cause) => resolve({ said, why: cause.message, isMissing: true }))
    child.once('close', (code, signal) =>
      resolve({ said, why: signal === null ? `exit status ${code}` : `signal ${signal}`, isMissing: code === 127 }),
    )
  })
}

async function waitForSockets(child: ChildProcess, ended: Promise<End>, sockets: readonly string[]): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  let end: End | undefined
  void ended.then((e) => (end = e))
  for (;;) {
    const ready = await Promise.all(sockets.map(isListening))
    if (end !== undefined)
      throw end.isMissing
        ? new SimulatorError('swtpm.missing', 'swtpm cannot be started; on Debian: apt-get install swtpm swtpm-tools')
        : new SimulatorError('swtpm.start', `swtpm ended with ${end.why}: ${end.said.trim()}`)
    if (ready.every(Boolean)) return
    if (performance.now() > deadline)
      throw new SimulatorError('swtpm.start', `swtpm (pid ${child.pid}) opened no socket in ${START_TIMEOUT_MS} ms`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** A socket's file is there a moment before anybody listens on it. */
function isListening(file: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(file)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

async function stop(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
  await ended
  clearTimeout(timer)
}
