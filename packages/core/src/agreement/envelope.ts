import { z } from 'zod'
import type { CryptoPort } from '../base/crypto.ts'
import { fromBase64, toBase64 } from '../base/encoding.ts'
import { preAuthEncoding } from '../base/pre-auth-encoding.ts'
import { parseSchema } from '../base/schema.ts'
import { spkiOfEd25519 } from '../base/keys.ts'

/**
 * A signature over exact bytes and their type (decision 3). The payload is carried as it was signed; nothing is
 * canonicalised, and what is parsed is what was verified.
 *
 * @source DSSE v1 envelope and pre-authentication encoding
 */
export interface Envelope {
  readonly payloadType: string
  /** Base64 of the exact payload bytes. */
  readonly payload: string
  readonly signatures: readonly { readonly keyid: string; readonly sig: string }[]
}

export const envelopeSchema = z.strictObject({
  payloadType: z.string().max(128),
  payload: z.string().max(512 * 1024),
  signatures: z
    .array(z.strictObject({ keyid: z.string().max(128), sig: z.string().max(512) }))
    .min(1)
    .max(8),
})

/** Signs with an Ed25519 key held by the caller. `keyid` tells a reader which key to try; it is not trusted. */
export function signEnvelope(
  payloadType: string,
  payload: Uint8Array,
  keyid: string,
  sign: (bytes: Uint8Array) => Uint8Array,
): Envelope {
  const sig = toBase64(sign(preAuthEncoding(payloadType, payload)))
  return { payloadType, payload: toBase64(payload), signatures: [{ keyid, sig }] }
}

/**
 * @param publicKey - 32 raw bytes of Ed25519.
 * @returns The payload bytes when one of the signatures verifies under `publicKey` and the type is `payloadType`;
 *   null when not. No key is ever taken from the envelope.
 * @throws {VouchsafeError} `input.malformed` when the envelope is not one.
 */
export async function openEnvelope(
  envelope: unknown,
  payloadType: string,
  publicKey: Uint8Array,
  crypto: CryptoPort,
): Promise<Uint8Array | null> {
  const parsed = parseSchema(envelopeSchema, envelope, 'envelope')
  if (parsed.payloadType !== payloadType) return null
  const payload = fromBase64(parsed.payload, 'envelope.payload')
  const key = await crypto.importPublicKey(spkiOfEd25519(publicKey))
  const signed = preAuthEncoding(payloadType, payload)
  for (const { sig } of parsed.signatures) {
    if (await crypto.verify(key, { kind: 'ed25519' }, signed, fromBase64(sig, 'envelope.signatures.sig')))
      return payload
  }
  return null
}
