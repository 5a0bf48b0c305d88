import { spawn } from 'node:child_process'
import { ImageError } from '../../errors.ts'
import { MAX_PACKET_BYTES } from '../read-json.ts'

export interface ProviderCommand {
  /** Absolute, or found on the path. */
  readonly path: string
  readonly args: readonly string[]
}

const TIMEOUT_MS = 30_000

/**
 * Asks a key provider that is a program: the request on its standard input, the answer on its standard output.
 *
 * @throws {ImageError} `encryption.provider`, with what it wrote to standard error.
 */
export function askCommand({ path, args }: ProviderCommand, request: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown) =>
      reject(new ImageError('encryption.provider', `key provider ${path}: ${why}`, { cause }))
    const child = spawn(path, [...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
    })
    const out: Buffer[] = []
    let size = 0
    let said = ''
    child.stdout.on('data', (chunk: Buffer) => {
      out.push(chunk)
      size += chunk.length
      if (size <= MAX_PACKET_BYTES) return
      // not when it ends: a program that it started may hold the pipe open
      fail(`answers more than ${MAX_PACKET_BYTES} bytes`)
      child.kill('SIGKILL')
      child.stdout.destroy()
    })
    child.stderr.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-2000)))
    child.on('error', (cause) => fail(cause.message, cause))
    child.stdin.on('error', () => undefined) // it ended without reading: its status tells
    child.on('close', (status, signal) => {
      if (status !== 0) fail(`ended with ${status ?? signal}: ${said.trim()}`)
      else resolve(new Uint8Array(Buffer.concat(out)))
    })
    child.stdin.end(request)
  })
}
