import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import {
  type BrokerPin,
  type Digest,
  VouchsafeError,
  distributorWire,
  formatOwnerKey,
  fromBase64,
  fromBase64Url,
  signRequest,
  toBase64Url,
  utf8,
  wire,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { z } from 'zod'
import { call, callBytes } from './call.ts'
import { PinnedConnection } from './pinned-fetch.ts'

/** An Ed25519 key of an owner, operator or auditor. It prints as `[secret]`. */
export class PrincipalKey {
  /** `ed25519:…`, as registries and agreements write it. */
  readonly key: string
  readonly #private: KeyObject

  private constructor(privateKey: KeyObject) {
    this.#private = privateKey
    const jwk = createPublicKey(privateKey).export({ format: 'jwk' })
    if (privateKey.asymmetricKeyType !== 'ed25519' || jwk.x === undefined)
      throw new VouchsafeError('input.malformed', `key type ${privateKey.asymmetricKeyType}, wanted ed25519`)
    this.key = formatOwnerKey(fromBase64Url(jwk.x))
  }

  static generate(): PrincipalKey {
    return new PrincipalKey(generateKeyPairSync('ed25519').privateKey)
  }

  /** @param pem - PKCS#8, unencrypted: keep the file readable by its owner alone. */
  static fromPem(pem: string): PrincipalKey {
    try {
      return new PrincipalKey(createPrivateKey(pem))
    } catch (cause) {
      if (cause instanceof VouchsafeError) throw cause
      throw new VouchsafeError('input.malformed', 'key file: not a PEM private key', { cause })
    }
  }

  toPem(): string {
    return this.#private.export({ format: 'pem', type: 'pkcs8' }).toString()
  }

  sign(bytes: Uint8Array): Uint8Array {
    return new Uint8Array(sign(null, bytes, this.#private))
  }

  signRequest(subject: Parameters<typeof signRequest>[0], nonce: string, session: string): Promise<string> {
    return signRequest(subject, { key: this.key, privateKey: this.#private, nonce, session }, nodeCrypto)
  }

  toJSON(): string {
    return '[secret]'
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[secret]'
  }
}

const nothing = z.strictObject({})

/** A broker as owners, operators and auditors see it. Every call is signed over method, path, body, broker and a nonce. */
export class OwnerClient {
  readonly pin: BrokerPin
  readonly #connection: PinnedConnection
  readonly #base: string
  readonly #key: PrincipalKey

  constructor(pin: BrokerPin, key: PrincipalKey, options: { readonly timeoutMs: number }) {
    this.pin = pin
    this.#connection = new PinnedConnection(pin.url, fromBase64(pin.identity, 'broker identity'), options)
    this.#base = `/v1/tenants/${pin.tenant}`
    this.#key = key
  }

  putResource(path: string, value: Uint8Array, previousVersion: number) {
    const body = { value: Buffer.from(value).toString('base64'), previousVersion }
    return this.#signed('PUT', `/resources/${path}`, body, wire.putResourceResponse)
  }

  listResources() {
    return this.#signed('GET', '/resources', undefined, wire.listResourcesResponse)
  }

  resourceHistory(path: string) {
    return this.#signed('GET', `/resources/${path}?history=true`, undefined, wire.listResourcesResponse)
  }

  removeResource(path: string) {
    return this.#signed('DELETE', `/resources/${path}`, undefined, wire.putResourceResponse)
  }

  proposeAgreement(bytes: Uint8Array) {
    return this.#signed(
      'POST',
      '/agreements',
      { agreement: Buffer.from(bytes).toString('base64') },
      wire.proposeAgreementResponse,
    )
  }

  listAgreements() {
    return this.#signed('GET', '/agreements', undefined, wire.listAgreementsResponse)
  }

  /** Approvals and withdrawals carry their own signature; anyone may bring them (decision 2). */
  bringStatement(statement: z.input<typeof wire.statementRequest>['statement']) {
    return call(
      this.#connection,
      { method: 'POST', path: `${this.#base}/statements`, body: { statement } },
      wire.statementResponse,
    )
  }

  /** Has a signature of an image entered into the ledger: a record, and no approval. The same twice is there once. */
  recordSignature(record: Uint8Array) {
    const body = { record: Buffer.from(record).toString('base64') }
    return this.#signed('POST', '/signatures', body, wire.recordSignatureResponse)
  }

  listSignatures(image: Digest) {
    return this.#signed('GET', `/signatures/${image}`, undefined, wire.listSignaturesResponse)
  }

  /** @param machine - An enrolled machine that may enrol again, after a restart that its owner knows of. */
  issueTicket(name: string, lifetimeSeconds: number, machine?: string) {
    const body = { name, lifetimeSeconds, ...(machine !== undefined && { machine }) }
    return this.#signed('POST', '/tickets', body, wire.ticketResponse)
  }

  listMachines() {
    return this.#signed('GET', '/machines', undefined, wire.listMachinesResponse)
  }

  retireMachine(machine: string) {
    return this.#signed('DELETE', `/machines/${machine}`, undefined, wire.retireMachineResponse)
  }

  distrust(rule: z.input<typeof wire.distrustRequest>['rule'], options: { readonly dryRun: boolean }) {
    return this.#signed('POST', '/distrust', { rule, dryRun: options.dryRun }, wire.distrustResponse)
  }

  /** Sets of reference values, and which values hold. */
  listReferences() {
    return this.#signed('GET', '/references', undefined, wire.listReferencesResponse)
  }

  referenceHistory(set: string) {
    return this.#signed('GET', `/references/${set}`, undefined, wire.referenceHistoryResponse)
  }

  fileReference(set: string, body: z.input<typeof wire.fileReferenceRequest>) {
    return this.#signed('PUT', `/references/${set}`, body, wire.referenceResponse)
  }

  endReference(set: string, body: z.input<typeof wire.endReferenceRequest>) {
    return this.#signed('POST', `/references/${set}`, body, wire.referenceResponse)
  }

  addPrincipal(body: z.input<typeof wire.principalRequest>) {
    return this.#signed('POST', '/principals', body, nothing)
  }

  decision(id: string) {
    return this.#signed('GET', `/decisions/${encodeURIComponent(id)}`, undefined, wire.decisionResponse)
  }

  listDecisions() {
    return this.#signed('GET', '/decisions', undefined, wire.listDecisionsResponse)
  }

  /** What the platform says of an instance now, and the terms in force for it. */
  reviewInstance(at: { project: string; zone: string; name: string; instance: string }) {
    const path = [at.project, at.zone, at.name, at.instance].join('/')
    return this.#signed('GET', `/distributor/instances/${path}`, undefined, distributorWire.instanceResponse)
  }

  provisionClient(body: z.input<typeof distributorWire.provisionRequest>) {
    return this.#signed('POST', '/distributor/clients', body, distributorWire.provisionResponse)
  }

  listClients() {
    return this.#signed('GET', '/distributor/clients', undefined, distributorWire.listClientsResponse)
  }

  listLeases() {
    return this.#signed('GET', '/leases', undefined, wire.listLeasesResponse)
  }

  /** The log from its first entry, as JSON lines that `checkLedger` reads offline. */
  async exportLedger(): Promise<string> {
    const lines: string[] = []
    for (;;) {
      const page = await this.#signed('GET', `/ledger?from=${lines.length}`, undefined, wire.ledgerPage)
      lines.push(...page.lines)
      if (lines.length >= page.size) return lines.map((l) => `${l}\n`).join('')
      if (page.lines.length === 0)
        throw new VouchsafeError('ledger.broken', `the broker gave ${lines.length} of ${page.size} entries and no more`)
    }
  }

  close(): void {
    this.#connection.close()
  }

  async #signed<T extends z.ZodType>(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    body: unknown,
    response: T,
  ): Promise<z.output<T>> {
    const session = toBase64Url(randomBytes(16))
    const { nonce } = await call(
      this.#connection,
      { method: 'POST', path: `${this.#base}/nonces`, body: { purpose: 'request', session } },
      wire.nonceResponse,
    )
    const bytes = body === undefined ? undefined : utf8(JSON.stringify(body))
    const full = `${this.#base}${path}`
    const signature = await this.#key.signRequest(
      { method, path: full, body: bytes ?? new Uint8Array(), brokerId: this.pin.id },
      nonce,
      session,
    )
    const headers = { authorization: `Vouchsafe-Signature ${signature}` }
    return callBytes(
      this.#connection,
      { method, path: full, headers, ...(bytes === undefined ? {} : { body: bytes }) },
      response,
    )
  }
}
