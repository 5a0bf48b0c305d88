import type { CryptoPort } from '../../base/crypto.ts'
import { toBase64Url } from '../../base/encoding.ts'
import { transcript } from '../../base/transcript.ts'

/** Where an exchange takes place: the same for all that one instance shows to one broker. */
export interface ClientExchange {
  readonly brokerId: string
  readonly tenant: string
  readonly instance: string
}

/** What a quote of our own client commits to: 32 bytes. */
export function clientQuoteBinding(
  exchange: ClientExchange,
  parts: {
    readonly nonce: string
    /** RFC 7638 thumbprint. */
    readonly sealKey: string
    /** SHA-256 of the certificate that the client showed in this connection, lower-case hexadecimal; empty for none. */
    readonly certificate: string
  },
  crypto: CryptoPort,
): Uint8Array {
  const fields = [...placeOf(exchange), parts.nonce, parts.sealKey, parts.certificate]
  return transcript('vouchsafe/distributor/quote/v1', fields, crypto)
}

/**
 * A nonce for clients that put it into their quote as it is. It commits to the certificate that the client showed, so
 * the quote does too: what is released to that connection is released to a key that the evidence names.
 */
export function channelNonce(
  exchange: ClientExchange,
  parts: { readonly random: string; readonly certificate: string },
  crypto: CryptoPort,
): string {
  const fields = [...placeOf(exchange), parts.random, parts.certificate]
  return toBase64Url(transcript('vouchsafe/distributor/channel/v1', fields, crypto))
}

/** Answers a credential challenge without giving the credential away: HMAC-SHA256 over the exchange, 32 bytes (decision 5). */
export function clientActivationProof(
  credential: Uint8Array,
  exchange: ClientExchange,
  parts: { readonly nonce: string; readonly akName: Uint8Array; readonly sealKey: string },
  crypto: CryptoPort,
): Uint8Array {
  const fields = [...placeOf(exchange), parts.nonce, parts.akName, parts.sealKey]
  return crypto.hmac('sha256', credential, transcript('vouchsafe/distributor/activation/v1', fields, crypto))
}

/** What the certification of a client's signing key commits to: 32 bytes. */
export function signingKeyBinding(exchange: ClientExchange, nonce: string, crypto: CryptoPort): Uint8Array {
  return transcript('vouchsafe/distributor/signing-key/v1', [...placeOf(exchange), nonce], crypto)
}

function placeOf({ brokerId, tenant, instance }: ClientExchange): readonly string[] {
  return [brokerId, tenant, instance]
}
