import { createHash, randomBytes } from 'node:crypto'
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'

export interface Seen {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: http.IncomingHttpHeaders
}

/** Answers one request in place of the registry; `undefined` lets the registry answer. */
export type Lie = (seen: Seen, response: http.ServerResponse, request: http.IncomingMessage) => boolean | undefined

export interface FakeRegistryOptions {
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string; readonly requestCert?: boolean }
  /** Answers the referrers API. */
  readonly referrersApi?: boolean
  /** Keeps signatures itself, and says so (`X-Registry-Supports-Signatures`). */
  readonly signingService?: boolean
}

const sha256 = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

/** A small registry that keeps everything in memory, remembers every request, and can be told to lie (rig R6). */
export class FakeRegistry {
  readonly blobs = new Map<string, Buffer>()
  readonly manifests = new Map<string, { bytes: Buffer; type: string }>()
  readonly uploads = new Map<string, Buffer>()
  /** What the signing service keeps, by `repository@digest`. */
  readonly signatures = new Map<string, object[]>()
  readonly seen: Seen[] = []
  lie: Lie = () => undefined
  host = ''
  #server: http.Server | undefined
  readonly #options: FakeRegistryOptions

  constructor(options: FakeRegistryOptions = {}) {
    this.#options = options
  }

  async start(): Promise<this> {
    const handle = (request: http.IncomingMessage, response: http.ServerResponse) => {
      this.#handle(request, response).catch((error: unknown) => response.destroy(error as Error))
    }
    const { tls } = this.#options
    this.#server =
      tls === undefined
        ? http.createServer(handle)
        : https.createServer({ ...tls, rejectUnauthorized: tls.requestCert === true }, handle)
    await new Promise<void>((resolve) => this.#server?.listen(0, '127.0.0.1', resolve))
    this.host = `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
    return this
  }

  close(): void {
    this.#server?.closeAllConnections()
    this.#server?.close()
  }

  /** Stores a manifest under its digest and a tag. */
  put(repository: string, tag: string, bytes: Buffer, type: string): string {
    const digest = sha256(bytes)
    for (const name of [tag, digest]) this.manifests.set(`${repository}:${name}`, { bytes, type })
    return digest
  }

  async #handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', `http://${this.host}`)
    const seen = { method: request.method ?? '', path: url.pathname, query: url.searchParams, headers: request.headers }
    this.seen.push(seen)
    if (this.lie(seen, response, request) !== undefined) return
    const body: Buffer[] = []
    for await (const chunk of request) body.push(chunk as Buffer)
    this.#answer(seen, Buffer.concat(body), response)
  }

  #answer({ method, path, query, headers }: Seen, body: Buffer, response: http.ServerResponse): void {
    const send = (status: number, more: Record<string, string | number> = {}, content: Buffer = Buffer.alloc(0)) => {
      response.writeHead(status, { 'content-length': content.length, ...more })
      response.end(method === 'HEAD' ? undefined : content)
    }
    const service = /^\/extensions\/v2\/(.+)\/signatures\/(.+)$/.exec(path)
    if (path === '/v2/' || service !== null) return this.#service(service, method, body, send)
    const blob = /^\/v2\/(.+)\/blobs\/(sha\d+:[0-9a-f]+)$/.exec(path)
    if (blob !== null) {
      const content = this.blobs.get(blob[2]!)
      const start = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0)
      if (content === undefined) return send(404)
      if (start === 0) return send(200, {}, content)
      return send(
        206,
        { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` },
        content.subarray(start),
      )
    }
    const upload = /^\/v2\/(.+)\/blobs\/uploads\/([0-9a-f]*)$/.exec(path)
    if (upload !== null) return this.#upload(upload[1]!, upload[2]!, method, query, headers, body, send)
    const manifest = /^\/v2\/(.+)\/manifests\/(.+)$/.exec(path)
    if (manifest !== null) {
      const key = `${manifest[1]}:${manifest[2]}`
      if (method === 'PUT') {
        const digest = this.put(manifest[1]!, manifest[2]!, body, headers['content-type'] ?? '')
        const subject = (JSON.parse(body.toString()) as { subject?: { digest: string } }).subject?.digest
        return send(201, {
          'docker-content-digest': digest,
          ...(subject !== undefined && this.#options.referrersApi === true ? { 'oci-subject': subject } : {}),
        })
      }
      const found = this.manifests.get(key)
      return found === undefined
        ? send(404)
        : send(200, { 'content-type': found.type, 'docker-content-digest': sha256(found.bytes) }, found.bytes)
    }
    const referrers = /^\/v2\/(.+)\/referrers\/(.+)$/.exec(path)
    if (referrers !== null && this.#options.referrersApi === true) {
      const entries = [...this.manifests]
        .filter(([key]) => key.startsWith(`${referrers[1]}:sha256:`))
        .map(([key, value]) => ({ key, ...value, json: JSON.parse(value.bytes.toString()) as Record<string, any> }))
      const manifests = entries
        .filter(({ json }) => json['subject']?.digest === referrers[2])
        .map(({ key, bytes, type, json }) => ({
          mediaType: type,
          digest: key.split(':').slice(1).join(':'),
          size: bytes.length,
          artifactType: json['artifactType'] ?? json['config']?.mediaType,
        }))
      return send(
        200,
        { 'content-type': 'application/vnd.oci.image.index.v1+json' },
        Buffer.from(JSON.stringify({ schemaVersion: 2, manifests })),
      )
    }
    send(404)
  }

  #service(
    at: RegExpExecArray | null,
    method: string,
    body: Buffer,
    send: (status: number, more?: Record<string, string | number>, content?: Buffer) => void,
  ): void {
    const offered = this.#options.signingService === true
    if (at === null) return send(200, offered ? { 'x-registry-supports-signatures': '1' } : {}, Buffer.from('{}'))
    if (!offered) return send(404)
    const key = `${at[1]}@${at[2]}`
    const signatures = this.signatures.get(key) ?? []
    if (method !== 'PUT') return send(200, {}, Buffer.from(JSON.stringify({ signatures })))
    this.signatures.set(key, [...signatures, JSON.parse(body.toString()) as object])
    send(201)
  }

  #upload(
    repository: string,
    id: string,
    method: string,
    query: URLSearchParams,
    headers: http.IncomingHttpHeaders,
    body: Buffer,
    send: (status: number, more?: Record<string, string | number>) => void,
  ): void {
    const mount = query.get('mount')
    if (method === 'POST' && mount !== null && this.blobs.has(mount))
      return send(201, { location: `/v2/${repository}/blobs/${mount}` })
    if (method === 'POST') {
      const fresh = randomBytes(8).toString('hex')
      this.uploads.set(fresh, Buffer.alloc(0))
      return send(202, { location: `/v2/${repository}/blobs/uploads/${fresh}?_state=a%2Fb`, range: '0-0' })
    }
    const held = this.uploads.get(id)
    if (held === undefined) return send(404)
    const location = `/v2/${repository}/blobs/uploads/${id}?_state=${held.length}`
    if (method === 'GET') return send(204, { location, range: `0-${Math.max(0, held.length - 1)}` })
    const grown = Buffer.concat([held, body])
    if (method === 'PATCH') {
      if (!(headers['content-range'] ?? '').startsWith(`${held.length}-`))
        return send(416, { location, range: `0-${Math.max(0, held.length - 1)}` })
      this.uploads.set(id, grown)
      return send(202, { location, range: `0-${grown.length - 1}` })
    }
    const digest = query.get('digest') ?? ''
    if (sha256(grown) !== digest) return send(400)
    this.blobs.set(digest, grown)
    this.uploads.delete(id)
    send(201, { location: `/v2/${repository}/blobs/${digest}`, 'docker-content-digest': digest })
  }
}
