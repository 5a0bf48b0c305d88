import { type BrokerPin, fromBase64, wire } from '@vouchsafe/core'
import type { z } from 'zod'
import { call, callBytes } from './call.ts'
import { PinnedConnection } from './pinned-fetch.ts'

/** A broker as a guest sees it: everything a guest may ask, each one call. Knows nothing of TPMs or keys. */
export class GuestClient {
  readonly pin: BrokerPin
  readonly #connection: PinnedConnection
  readonly #base: string

  constructor(pin: BrokerPin, options: { readonly timeoutMs: number }) {
    this.pin = pin
    this.#connection = new PinnedConnection(pin.url, fromBase64(pin.identity, 'broker identity'), options)
    this.#base = `/v1/tenants/${pin.tenant}`
  }

  tenant() {
    return call(this.#connection, { method: 'GET', path: this.#base }, wire.tenantResponse)
  }

  /** @param session - 16 to 64 characters of base64url, fresh for each exchange. */
  async nonce(purpose: wire.NoncePurpose, session: string): Promise<string> {
    const { nonce } = await call(
      this.#connection,
      { method: 'POST', path: `${this.#base}/nonces`, body: { purpose, session } },
      wire.nonceResponse,
    )
    return nonce
  }

  beginEnrolment(body: z.input<typeof wire.enrolBeginRequest>) {
    return call(
      this.#connection,
      { method: 'POST', path: `${this.#base}/enrolments/begin`, body },
      wire.enrolBeginResponse,
    )
  }

  finishEnrolment(body: z.input<typeof wire.enrolFinishRequest>) {
    return call(
      this.#connection,
      { method: 'POST', path: `${this.#base}/enrolments/finish`, body },
      wire.enrolFinishResponse,
    )
  }

  attest(body: z.input<typeof wire.attestRequest>) {
    return call(this.#connection, { method: 'POST', path: `${this.#base}/attestations`, body }, wire.attestResponse)
  }

  /** Path of the release route, for the proof that must name it. */
  get releasePath(): string {
    return `${this.#base}/releases`
  }

  renewPath(lease: string): string {
    return `${this.#base}/leases/${encodeURIComponent(lease)}/renewals`
  }

  /** @param body - The exact bytes that the proof covers. */
  release(body: Uint8Array, token: string, proof: string) {
    return callBytes(
      this.#connection,
      { method: 'POST', path: this.releasePath, body, headers: presented(token, proof) },
      wire.releaseResponse,
    )
  }

  renew(lease: string, body: Uint8Array, token: string, proof: string) {
    return callBytes(
      this.#connection,
      { method: 'POST', path: this.renewPath(lease), body, headers: presented(token, proof) },
      wire.renewResponse,
    )
  }

  close(): void {
    this.#connection.close()
  }
}

function presented(token: string, proof: string): Readonly<Record<string, string>> {
  return { authorization: `Vouchsafe ${token}`, 'vouchsafe-proof': proof }
}
