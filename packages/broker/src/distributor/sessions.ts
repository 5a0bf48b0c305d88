import { type ClientTpmEvidence, type P256Jwk, toBase64Url } from '@vouchsafe/core'

const LIFETIME_MS = 5 * 60_000
const MAX_SESSIONS = 10_000

/** A nonce that was given out and waits for its answer. */
export interface OpenNonce {
  /** For our own clients the nonce; for others what the nonce was made of. */
  readonly value: string
  readonly expiresAt: Date
}

/** What one client has shown of its TPM so far. Nothing of it releases anything: the line judges it anew. */
export interface AttestationSession {
  /** TPMT_PUBLIC; null for a client that uses the key which its platform publishes. */
  readonly ekPublic: Uint8Array | null
  readonly ekCertificate: Uint8Array | null
  readonly intermediates: readonly Uint8Array[]
  readonly akPublic: Uint8Array
  /** Null for clients that know no seal key. */
  readonly sealKey: P256Jwk | null
  /** The credential to be proved, and the nonce of that proof. Gone once it was answered, rightly or wrongly. */
  challenge: { readonly credential: Uint8Array; readonly nonce: string; readonly expiresAt: Date } | null
  activation: ClientTpmEvidence['activation']
  quoteNonce: OpenNonce | null
  signingNonce: OpenNonce | null
  /** The newest quote, good for as long as its nonce is; used up by the next decision. */
  quote: (Pick<ClientTpmEvidence, 'quote' | 'registers' | 'bootLog'> & { readonly nonce: OpenNonce }) | null
}

/**
 * What clients have shown, by instance and certificate of their connection, kept in memory for minutes: a replica that a
 * client does not come back to forgets, and the client begins again.
 */
export class AttestationSessions {
  readonly #open = new Map<string, { session: AttestationSession; expires: number }>()

  begin(instance: string, certificate: string | null, session: AttestationSession, at: Date): void {
    this.#forget(at)
    const key = keyOf(instance, certificate)
    this.#open.delete(key)
    if (this.#open.size >= MAX_SESSIONS) {
      const [oldest] = this.#open.keys()
      if (oldest !== undefined) this.#open.delete(oldest)
    }
    this.#open.set(key, { session, expires: at.getTime() + LIFETIME_MS })
  }

  find(instance: string, certificate: string | null, at: Date): AttestationSession | null {
    const found = this.#open.get(keyOf(instance, certificate))
    return found === undefined || found.expires <= at.getTime() ? null : found.session
  }

  #forget(at: Date): void {
    for (const [key, { expires }] of this.#open) if (expires <= at.getTime()) this.#open.delete(key)
  }
}

/** The quote shown last with all that belongs to it, as the line reads it. */
export function shownEvidence(session: AttestationSession, at: Date): ClientTpmEvidence | null {
  if (session.quote === null) return null
  const { nonce, ...quote } = session.quote
  return {
    ...quote,
    nonceState: nonce.expiresAt <= at ? 'expired' : 'fresh',
    ekPublic: session.ekPublic === null ? null : toBase64Url(session.ekPublic),
    ekCertificate: session.ekCertificate === null ? null : toBase64Url(session.ekCertificate),
    intermediates: session.intermediates.map((c) => toBase64Url(c)),
    akPublic: toBase64Url(session.akPublic),
    activation: session.activation,
    binding:
      session.sealKey === null
        ? { kind: 'channel', random: nonce.value }
        : { kind: 'seal-key', nonce: nonce.value, sealKey: session.sealKey },
  }
}

function keyOf(instance: string, certificate: string | null): string {
  return `${instance} ${certificate ?? ''}`
}
