import { rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SimulatorError } from './errors.ts'
import type { SimulatedTokenAuthority, SimulatedWorkload, TokenRequest } from './token-authority.ts'

/** Where attestation services say where their root is. */
export const ROOT_PATH = '/.well-known/attestation-pki-root'
const MAX_BODY_BYTES = 16 * 1024

export interface Served {
  /** `http://127.0.0.1:PORT`, or the socket's path. */
  readonly address: string
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * The socket on which a workload asks for tokens about itself: `POST /v1/token` with `audience`, `nonces` and
 * `token_type` (`PKI`), answered by the token itself. Only the socket's owner may connect; which workload asks is known
 * by the socket, never by what it says.
 */
export async function startTokenSocket(
  authority: SimulatedTokenAuthority,
  workload: SimulatedWorkload,
  socketPath: string,
): Promise<Served> {
  const server = createServer((request, response) => {
    void answer(response, async () => {
      if (request.method !== 'POST' || request.url !== '/v1/token')
        throw new SimulatorError('token.request', `${request.method} ${request.url}: only POST /v1/token is here`)
      return authority.mint(workload, parseRequest(await readBody(request)))
    })
  })
  const before = process.umask(0o177) // the socket is born without access for others
  try {
    await listen(server, () => server.listen(socketPath))
  } finally {
    process.umask(before)
  }
  return served(server, socketPath, () => rm(socketPath, { force: true }))
}

/**
 * The page from which relying parties download the authority's root, once: `ROOT_PATH` names the file. Plain HTTP, since
 * only a fingerprint that came another way makes a root trusted.
 */
export async function startRootPage(authority: SimulatedTokenAuthority): Promise<Served> {
  const pem = `-----BEGIN CERTIFICATE-----\n${Buffer.from(authority.root).toString('base64').replaceAll(/.{64}/g, '$&\n').trimEnd()}\n-----END CERTIFICATE-----\n`
  const server = createServer((request, response) => {
    void answer(response, () => {
      if (request.method !== 'GET') throw new SimulatorError('token.request', 'only GET')
      if (request.url === ROOT_PATH) return JSON.stringify({ root_ca_uri: `${addressOf(server)}/root.pem` })
      if (request.url === '/root.pem') return pem
      throw new SimulatorError('token.request', `only ${ROOT_PATH} and what it names`)
    })
  })
  await listen(server, () => server.listen(0, '127.0.0.1'))
  return served(server, addressOf(server))
}

async function answer(response: ServerResponse, make: () => string | Promise<string>): Promise<void> {
  try {
    response.end(await make())
  } catch (error) {
    const known = error instanceof SimulatorError
    response.statusCode = known ? 400 : 500
    response.end(known ? error.message : 'internal')
  }
}

function parseRequest(body: string): TokenRequest {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch (cause) {
    throw new SimulatorError('token.request', 'the body is not JSON', { cause })
  }
  if (typeof value !== 'object' || value === null) throw new SimulatorError('token.request', 'the body is no object')
  const { audience, nonces, token_type: type, ...others } = value as Record<string, unknown>
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) throw new SimulatorError('token.request', `${unknown} is not known here`)
  if (type !== 'PKI') throw new SimulatorError('token.request', 'token_type is required, and PKI is the only one')
  if (typeof audience !== 'string') throw new SimulatorError('token.request', 'audience is required')
  if (!Array.isArray(nonces) || !nonces.every((nonce) => typeof nonce === 'string'))
    throw new SimulatorError('token.request', 'nonces is required, a list of strings')
  return { audience, nonces }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) throw new SimulatorError('token.request', `the body is over ${MAX_BODY_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function listen(server: Server, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.once('listening', resolve)
    start()
  })
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function served(server: Server, address: string, after: () => Promise<void> = async () => undefined): Served {
  const close = async () => {
    server.closeAllConnections()
    await new Promise<void>((resolve) => server.close(() => resolve()))
    await after()
  }
  return { address, close, [Symbol.asyncDispose]: close }
}
