import { randomBytes } from 'node:crypto'
import type { GuestClient } from '@vouchsafe/client'
import {
  type Agreement,
  type AttestInputs,
  type Owner,
  Secret,
  VouchsafeError,
  evidenceBinding,
  open,
  parseLogKey,
  parseReceipt,
  parseEntry,
  signProof,
  toBase64Url,
  utf8,
  verifyReceipt,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { Checkpoints } from './checkpoints.ts'
import { type BackOff, untilAnswered } from './retry.ts'
import { type SessionKeys, newSessionKeys } from './session-keys.ts'

/** How long one answer that was lost is asked for again. */
const LOST_ANSWER_MS = 30_000
const LOST_ANSWER_PAUSES: BackOff = { firstMs: 200, longestMs: 2_000 }

/** An accepted attestation: a token and the keys that the evidence committed to. In memory only. */
export interface Attested {
  /** The recorded attestation. */
  readonly decision: string
  readonly token: string
  readonly session: string
  readonly keys: SessionKeys
}

export interface Lease {
  readonly id: string
  readonly expires: Date
}

export interface Released {
  readonly decision: string
  readonly lease: Lease
  /** By resource path. */
  readonly secrets: ReadonlyMap<string, Secret>
}

export interface BrokerSessionOptions {
  readonly owner: Owner
  /** To this owner's broker, as the agreement pins it. */
  readonly client: GuestClient
  readonly agreement: Agreement
  /** The id under which this broker knows the machine. */
  readonly machine: string
  /** Evidence over a binding: see `Attester.collect`, `HardwareAttester.collect` and `PlatformAttester.collect`. */
  readonly collect: (binding: Uint8Array) => Promise<AttestInputs['evidence']>
  readonly checkpoints: Checkpoints
  readonly signal: AbortSignal
}

/**
 * One owner's broker, as this agent deals with it under one agreement. Address, authority, sealing key and log key come
 * from the measured agreement and from nowhere else (G01, G13).
 */
export class BrokerSession {
  readonly owner: Owner
  readonly #options: BrokerSessionOptions
  readonly #client: GuestClient

  constructor(options: BrokerSessionOptions) {
    this.owner = options.owner
    this.#options = options
    this.#client = options.client
  }

  /**
   * Shows fresh evidence with fresh keys.
   *
   * @throws {BrokerRefusal} with the first finding that stood against the evidence
   * @throws {VouchsafeError} `ledger.*` when the broker's log does not continue the kept one
   */
  async attest(): Promise<Attested> {
    const { agreement, machine, checkpoints } = this.#options
    const pin = this.owner.broker
    const session = newId()
    const keys = await newSessionKeys()
    const nonce = await this.#client.nonce('attest', session)
    const binding = evidenceBinding(
      {
        role: 'attester',
        brokerId: pin.id,
        tenant: pin.tenant,
        session,
        nonce,
        agreement: agreement.digest,
        sealKey: keys.seal.thumbprint,
        proofKey: keys.proof.thumbprint,
      },
      nodeCrypto,
    )
    const shown = await this.#options.collect(binding)
    const answer = await this.#client.attest({
      session,
      nonce,
      machine: shown.format === 'tpm' ? machine : null,
      agreement: agreement.digest,
      sealKey: keys.seal.jwk,
      proofKey: keys.proof.jwk,
      evidence: shown,
      kept: checkpoints.kept(pin),
      carried: checkpoints.carriedTo(
        pin,
        agreement.body.owners.map((o) => o.broker),
      ),
    })
    await checkpoints.advance(pin, answer.log)
    await this.#assertRecorded(answer.receipt, answer.id)
    return { decision: answer.id, token: answer.token, session, keys }
  }

  /**
   * Asks for resources; all come or none. An answer that was lost is asked for again under the same request id, which
   * fetches the same decision and releases nothing twice (decision 14).
   *
   * @throws {BrokerRefusal} `agreement.waiting` when owners are missing; otherwise the first reason against it
   * @throws {VouchsafeError} `release.sealed-payload`, `ledger.*`
   */
  async release(attested: Attested, resources: readonly string[]): Promise<Released> {
    const body = utf8(JSON.stringify({ resources, requestId: newId() }))
    const answer = await this.#ask(async () =>
      this.#client.release(body, attested.token, await this.#prove(attested, this.#client.releasePath, body)),
    )
    await this.#assertRecorded(answer.receipt, answer.decision)
    const secrets = new Map<string, Secret>()
    for (const { resource, jwe } of answer.sealed)
      secrets.set(resource, await this.#open(attested, resource, jwe, answer.decision))
    const missing = resources.filter((path) => !secrets.has(path))
    if (missing.length > 0 || answer.sealed.length !== resources.length)
      throw new VouchsafeError(
        'release.sealed-payload',
        `asked for ${resources.join(', ')}, got ${[...secrets.keys()].join(', ')}`,
      )
    return { decision: answer.decision, lease: leaseOf(answer.lease), secrets }
  }

  /**
   * Renews a lease by fresh evidence.
   *
   * @throws {BrokerRefusal} when the lease has ended or the evidence no longer appraises
   */
  async renew(lease: string): Promise<{ readonly decision: string; readonly lease: Lease }> {
    const attested = await this.#ask(() => this.attest())
    const body = utf8(JSON.stringify({ requestId: newId() }))
    const path = this.#client.renewPath(lease)
    const answer = await this.#ask(async () =>
      this.#client.renew(lease, body, attested.token, await this.#prove(attested, path, body)),
    )
    await this.#assertRecorded(answer.receipt, answer.decision)
    return { decision: answer.decision, lease: leaseOf(answer.lease) }
  }

  close(): void {
    this.#client.close()
  }

  /** A proof speaks for one request, once: every attempt takes a nonce of its own. */
  async #prove({ token, session, keys }: Attested, path: string, body: Uint8Array): Promise<string> {
    const nonce = await this.#client.nonce('release', session)
    return signProof({ method: 'POST', path, body, token, nonce }, keys.proof.jwk, keys.proof.privateKey, nodeCrypto)
  }

  async #open({ keys }: Attested, resource: string, jwe: string, decision: string): Promise<Secret> {
    const pin = this.owner.broker
    const expected = {
      issuer: pin.id,
      tenant: pin.tenant,
      resource,
      agreement: this.#options.agreement.digest,
      sealKey: keys.seal.thumbprint,
    }
    const { secret, context } = await open(jwe, expected, keys.seal, pin.sealing, nodeCrypto)
    if (context.decision !== decision)
      throw new VouchsafeError(
        'release.sealed-payload',
        `${resource} was sealed for decision ${context.decision}, wanted ${decision}`,
      )
    const kept = new Secret(secret)
    secret.fill(0)
    return kept
  }

  /** What a broker answers must be in its log already (ground rule 6): the receipt is checked, not only kept. */
  async #assertRecorded(receipt: string, decision: string): Promise<void> {
    const parsed = parseReceipt(receipt)
    // the record itself is the owner's to see, so its digest is not known here: the entry's own stands for it
    const { kind, digest } = parseEntry(parsed.entry)
    if (kind !== 'decision' && kind !== 'lease.renewed')
      throw new VouchsafeError('ledger.receipt', `the receipt is for an entry of kind ${kind}, wanted a decision`)
    await verifyReceipt(
      parsed,
      { kind, subject: decision, digest },
      parseLogKey(this.owner.broker.log, nodeCrypto),
      nodeCrypto,
    )
  }

  #ask<T>(ask: () => Promise<T>): Promise<T> {
    return untilAnswered(ask, {
      until: performance.now() + LOST_ANSWER_MS,
      backOff: LOST_ANSWER_PAUSES,
      signal: this.#options.signal,
    })
  }
}

function leaseOf({ id, expires }: { readonly id: string; readonly expires: string }): Lease {
  return { id, expires: new Date(expires) }
}

/** 22 characters of base64url: sessions and request ids. */
function newId(): string {
  return toBase64Url(randomBytes(16))
}
