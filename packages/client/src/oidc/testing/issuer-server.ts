import https from 'node:https'
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AUTHORITY, derWriter, makeCertificate, makeKey } from '@vouchsafe/testkit'
import type { KeyKind, TestCertificate, TestKey } from '@vouchsafe/testkit'
import { type JWTPayload, SignJWT } from 'jose'

const SAN = '2.5.29.17'
const DNS_NAME = 0x82
let nextAuthority = 1

/** A certificate authority, and a server certificate for `localhost` under it. */
export function makeServerCertificate(name = 'localhost') {
  const authority = makeCertificate({ subject: `authority ${nextAuthority++}`, extensions: AUTHORITY })
  const value = derWriter.sequence(derWriter.der(DNS_NAME, new TextEncoder().encode(name)))
  const server = makeCertificate({ subject: name, issuer: authority, extensions: [{ oid: SAN, value }] })
  return { authority: pem(authority), server }
}

export function pem({ der }: TestCertificate): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

export interface SigningKey {
  readonly kid: string
  readonly alg: string
  readonly key: TestKey
}

const KINDS: Readonly<Record<string, KeyKind>> = {
  RS256: 'RSA-2048',
  PS256: 'RSA-2048',
  ES256: 'P-256',
  ES384: 'P-384',
  EdDSA: 'Ed25519',
}

export function makeSigningKey(kid: string, alg = 'RS256'): SigningKey {
  return { kid, alg, key: makeKey(KINDS[alg] ?? 'P-256') }
}

export function publicJwk({ kid, alg, key }: SigningKey): Record<string, unknown> {
  return { ...key.publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' }
}

type Answer = (response: ServerResponse) => void

/** An issuer of tokens with TLS and keys of its own, whose documents a test can replace. */
export class IssuerServer {
  readonly #server: https.Server
  /** What each path answers. */
  readonly answers = new Map<string, Answer>()
  /** Paths in the order they were asked for. */
  readonly asked: string[] = []
  readonly authority: string
  readonly serverKey: Uint8Array
  keys: readonly SigningKey[] = [makeSigningKey('first', 'ES256')]

  private constructor(server: https.Server, authority: string, serverKey: Uint8Array) {
    this.#server = server
    this.authority = authority
    this.serverKey = serverKey
  }

  static async start(name = 'localhost'): Promise<IssuerServer> {
    const { authority, server: certificate } = makeServerCertificate(name)
    const key = certificate.key.privateKey.export({ type: 'pkcs8', format: 'pem' })
    const server = https.createServer({ key, cert: pem(certificate) })
    const issuer = new IssuerServer(server, authority, certificate.key.spki)
    server.on('request', (request, response) => issuer.#answer(request.url ?? '', response))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    issuer.publish()
    return issuer
  }

  get host(): string {
    return `localhost:${(this.#server.address() as AddressInfo).port}`
  }

  get url(): string {
    return `https://${this.host}`
  }

  /** Publishes `keys`, as an honest issuer does. */
  publish(keys: readonly SigningKey[] = this.keys, headers: Readonly<Record<string, string>> = {}): void {
    this.keys = keys
    this.documents({ issuer: this.url, jwks_uri: `${this.url}/keys` }, { keys: keys.map(publicJwk) }, headers)
  }

  /** Publishes what it is told. */
  documents(discovery: unknown, keys: unknown, headers: Readonly<Record<string, string>> = {}): void {
    this.answers.set('/.well-known/openid-configuration', json(discovery))
    this.answers.set('/keys', json(keys, headers))
  }

  /** A token with these claims beside the usual ones; `undefined` removes one. */
  token(
    claims: Readonly<Record<string, unknown>>,
    {
      signer = this.keys[0],
      header = {},
    }: { signer?: SigningKey | undefined; header?: Readonly<Record<string, unknown>> } = {},
  ): Promise<string> {
    if (signer === undefined) throw new Error('no key to sign with')
    return new SignJWT({ iss: this.url, ...claims } as JWTPayload)
      .setProtectedHeader({ alg: signer.alg, kid: signer.kid, typ: 'JWT', ...header })
      .sign(signer.key.privateKey)
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #answer(path: string, response: ServerResponse): void {
    this.asked.push(path)
    const answer = this.answers.get(path)
    if (answer === undefined) response.writeHead(404).end()
    else answer(response)
  }
}

export function json(document: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  const body = typeof document === 'string' ? document : JSON.stringify(document)
  return (response) => response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(body)
}

export function redirect(location: string): Answer {
  return (response) => response.writeHead(302, { location }).end()
}
