import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { createConnection, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** Debian's docker-registry on loopback, or another address of this machine, with its files in `directory`. */
export class DockerRegistry {
  readonly host: string
  readonly #config: string
  readonly #address: string
  readonly #port: number
  #process: ChildProcess | undefined

  private constructor(config: string, address: string, port: number) {
    this.#config = config
    this.#address = address
    this.#port = port
    this.host = `${address}:${port}`
  }

  static async start(
    directory: string,
    more: { readonly auth?: string; readonly tls?: string; readonly address?: string } = {},
  ): Promise<DockerRegistry> {
    mkdirSync(directory, { recursive: true })
    const { address = '127.0.0.1' } = more
    const port = await freePort()
    const config = path.join(directory, 'config.yml')
    const storage = `storage: {filesystem: {rootdirectory: ${directory}/data}, delete: {enabled: true}}`
    writeFileSync(
      config,
      `version: 0.1\nlog: {level: error}\n${storage}\nhttp: {addr: ${address}:${port}${more.tls ?? ''}}\n${more.auth ?? ''}\n`,
    )
    const registry = new DockerRegistry(config, address, port)
    await registry.run()
    return registry
  }

  async run(): Promise<void> {
    this.#process = spawn('docker-registry', ['serve', this.#config], { stdio: 'ignore' })
    for (let attempt = 0; attempt < 100; attempt++) {
      if (await canConnect(this.#port, this.#address)) return
      await delay(50)
    }
    throw new Error('docker-registry did not start')
  }

  async kill(): Promise<void> {
    const running = this.#process
    if (running === undefined || running.exitCode !== null) return
    const gone = new Promise((resolve) => running.once('exit', resolve))
    running.kill('SIGKILL')
    await gone
  }
}

/** A proxy in front of a registry that breaks connections after so many bytes, in either direction. */
export class FaultyProxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  host = ''
  /** Connections broken so far. */
  faults = 0

  /** @param budget - Called for each connection and direction: bytes to let through, or `undefined` for all. */
  constructor(target: string, budget: (direction: 'up' | 'down') => number | undefined) {
    const [hostname, port] = target.split(':')
    this.#server = createServer((near) => {
      const far = createConnection(Number(port), hostname)
      for (const socket of [near, far]) {
        this.#sockets.add(socket)
        socket.on('close', () => this.#sockets.delete(socket))
        socket.on('error', () => undefined)
      }
      const link = (from: Socket, to: Socket, direction: 'up' | 'down') => {
        let left = budget(direction) ?? Infinity
        let broken = false
        from.on('data', (chunk: Buffer) => {
          const part = chunk.subarray(0, Math.min(left, chunk.length))
          left -= part.length
          if (!to.write(part)) from.pause()
          if (left > 0 || broken) return
          broken = true
          this.faults++
          // what was let through arrives; then both ends see a reset
          setTimeout(() => {
            near.resetAndDestroy()
            far.destroy()
          }, 5)
        })
        to.on('drain', () => from.resume())
        from.on('close', () => to.end())
      }
      link(near, far, 'up')
      link(far, near, 'down')
    })
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    this.host = `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
    return this
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }
}

/** What stands in front of a registry and refuses a kind of request, in the registry's place. */
export class RefusingFront {
  readonly #server: http.Server
  host = ''
  /** Requests refused so far. */
  refused = 0

  constructor(target: string, refuses: (request: http.IncomingMessage) => number | undefined) {
    const [hostname, port] = target.split(':')
    this.#server = http.createServer((request, response) => {
      const status = refuses(request)
      if (status !== undefined) {
        this.refused++
        request.resume().on('end', () => response.writeHead(status).end())
        return
      }
      const { method, url: path, headers } = request
      const onward = http.request({ hostname, port, method, path, headers } as http.RequestOptions, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      })
      onward.on('error', () => response.destroy())
      request.pipe(onward)
    })
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    this.host = `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
    return this
  }

  stop(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }
}

/** A CA, a server certificate for an address and a client certificate, by openssl, as files. */
export function makeCertificates(directory: string, address = '127.0.0.1'): void {
  mkdirSync(directory, { recursive: true })
  const ssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  ssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=interop ca', '-days', '2')
  for (const [name, extension] of [
    ['server', `subjectAltName=IP:${address}`],
    ['client', 'extendedKeyUsage=clientAuth'],
  ] as const) {
    ssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`, '-addext', extension)
    ssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.crt',
      '-CAkey',
      'ca.key',
      '-out',
      `${name}.cert`,
      '-days',
      '2',
      '-copy_extensions',
      'copy',
    )
  }
  // skopeo takes every key in its directory for one that has a certificate
  mkdirSync(path.join(directory, 'for-skopeo'))
  for (const name of ['ca.crt', 'client.cert', 'client.key'])
    copyFileSync(path.join(directory, name), path.join(directory, 'for-skopeo', name))
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

export async function canConnect(port: number, address = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, address)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
