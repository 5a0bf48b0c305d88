import http from 'node:http'
import https from 'node:https'
import { connect, type AddressInfo, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/** Answers one CONNECT in place of the proxy; `undefined` lets the proxy answer. */
export type ProxyLie = (socket: Duplex, request: http.IncomingMessage) => true | undefined

/**
 * A proxy on loopback to which every name is 127.0.0.1: a name service of its own, as proxies have. Remembers what it
 * was asked and, of tunnels, every byte that it saw.
 */
export class TestProxy {
  readonly seen: { readonly method: string; readonly target: string; readonly headers: http.IncomingHttpHeaders }[] = []
  readonly tunnelled: Buffer[] = []
  lie: ProxyLie = () => undefined
  /** Where plain requests are answered in place of the origin. */
  answer: http.RequestListener | undefined
  host = ''
  readonly #server: http.Server
  readonly #sockets = new Set<Duplex>()
  readonly #tls: boolean

  constructor(tls?: https.ServerOptions) {
    this.#tls = tls !== undefined
    this.#server = tls === undefined ? http.createServer() : https.createServer(tls)
    this.#server.on('connection', (socket: Socket) => this.#keep(socket))
    this.#server.on('request', (request, response) => this.#forward(request, response))
    this.#server.on('connect', (request, socket) => this.#tunnel(request, socket))
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    this.host = `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
    return this
  }

  /** As a setting, with a user where one is told. */
  url(user = ''): string {
    return `${this.#tls ? 'https' : 'http'}://${user === '' ? '' : `${user}@`}${this.host}`
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }

  #keep(socket: Duplex): void {
    this.#sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => this.#sockets.delete(socket))
  }

  #note(request: http.IncomingMessage): void {
    this.seen.push({ method: request.method ?? '', target: request.url ?? '', headers: request.headers })
  }

  #tunnel(request: http.IncomingMessage, near: Duplex): void {
    this.#note(request)
    this.#keep(near)
    if (this.lie(near, request) !== undefined) return
    const far = connect(Number(/:([0-9]+)$/.exec(request.url ?? '')?.[1]), '127.0.0.1')
    this.#keep(far)
    far.on('connect', () => near.write('HTTP/1.1 200 Connection established\r\n\r\n'))
    near.on('data', (bytes: Buffer) => this.tunnelled.push(bytes))
    near.pipe(far).pipe(near)
    far.on('close', () => near.destroy())
    near.on('close', () => far.destroy())
  }

  #forward(request: http.IncomingMessage, response: http.ServerResponse): void {
    this.#note(request)
    if (this.answer !== undefined) return this.answer(request, response)
    const url = new URL(request.url ?? '')
    const { 'proxy-authorization': _, ...headers } = request.headers
    const onward = http.request(
      { host: '127.0.0.1', port: url.port, path: url.pathname + url.search, method: request.method ?? '', headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      },
    )
    onward.on('error', () => response.destroy())
    request.pipe(onward)
  }
}
