import { createPublicKey, X509Certificate } from 'node:crypto'
import { ImageError } from '../errors.ts'
import { asObject, asString, type JsonObject, member, readAs } from '../oci/json.ts'
import { digestOf } from '../oci/digest.ts'
import { parseSignedJson, readBase64 } from './signed-json.ts'
import { isSignedBy, type VerificationKey, verificationKey } from './verification-key.ts'

/** A transparency log's promise to hold an entry, as cosign attaches it. Nothing of it is checked. */
export interface RekorEntry {
  readonly promise: Uint8Array
  readonly body: string
  readonly integratedTime: number
  readonly logIndex: number
  readonly logId: string
}

/** What the entry must be about. */
export interface LoggedSignature {
  /** DER of the public key, or of the certificate, that signed. */
  readonly spki?: Uint8Array
  readonly certificate?: Uint8Array
  readonly signature: Uint8Array
  readonly payload: Uint8Array
}

const MAX_ENTRY_BYTES = 256 * 1024

/** @throws {ImageError} `signature.untrusted` when there is none, `signature.malformed`. */
export function parseRekorEntry(text: string | undefined, place: string): RekorEntry {
  if (text === undefined)
    throw new ImageError('signature.untrusted', `${place}: no transparency log entry, and one is asked for`)
  const object = parseSignedJson(new TextEncoder().encode(text), `${place}: log entry`, MAX_ENTRY_BYTES)
  return readAs('signature.malformed', () => {
    const payload = asObject(member(object, 'Payload'), `${place}: log entry: Payload`)
    return {
      promise: readBase64(member(object, 'SignedEntryTimestamp'), `${place}: SignedEntryTimestamp`),
      body: asString(member(payload, 'body'), `${place}: log entry: body`),
      integratedTime: whole(member(payload, 'integratedTime'), `${place}: log entry: integratedTime`),
      logIndex: whole(member(payload, 'logIndex'), `${place}: log entry: logIndex`),
      logId: asString(member(payload, 'logID'), `${place}: log entry: logID`),
    }
  })
}

/**
 * Checks that a trusted log promised this entry, and that the entry is about exactly this signature, key and payload
 * (H04: an entry about another artifact is worth nothing).
 *
 * @returns When the log says it took the entry.
 * @throws {ImageError} `signature.untrusted`, `signature.mismatch`, `signature.malformed`.
 * @source Rekor: signed entry timestamps, hashedrekord 0.0.1
 */
export function verifyRekorEntry(
  entry: RekorEntry,
  logKeys: readonly VerificationKey[],
  about: LoggedSignature,
  place: string,
): Date {
  // members sorted, no white space: RFC 8785 of this object, since its strings are base64 and hexadecimal
  if (!/^[A-Za-z0-9+/=]*$/.test(entry.body) || !/^[0-9a-f]{64}$/.test(entry.logId))
    throw new ImageError('signature.malformed', `${place}: log entry: body is not base64 or logID not hexadecimal`)
  const promised = new TextEncoder().encode(
    JSON.stringify({
      body: entry.body,
      integratedTime: entry.integratedTime,
      logID: entry.logId,
      logIndex: entry.logIndex,
    }),
  )
  const log = logKeys.find((key) => key.id === entry.logId && key.algorithm.startsWith('ECDSA_'))
  if (log === undefined || !isSignedBy(log, promised, entry.promise))
    throw new ImageError('signature.untrusted', `${place}: the log entry is not promised by a trusted log`)
  compareBody(parseSignedJson(readBase64(entry.body, `${place}: log entry`), `${place}: log entry`, MAX_ENTRY_BYTES))
  return new Date(entry.integratedTime * 1000)

  function compareBody(body: JsonObject): void {
    const at = (object: JsonObject, name: string) =>
      readAs('signature.malformed', () => asObject(member(object, name), `${place}: log entry: ${name}`))
    const differ = (what: string) => {
      throw new ImageError('signature.mismatch', `${place}: the log entry is about another ${what}`)
    }
    if (member(body, 'kind') !== 'hashedrekord' || member(body, 'apiVersion') !== '0.0.1') differ('kind of signature')
    const spec = at(body, 'spec')
    const logged = at(spec, 'signature')
    if (!same(readBase64(member(logged, 'content'), `${place}: logged signature`), about.signature)) differ('signature')
    const signer = readBase64(member(at(logged, 'publicKey'), 'content'), `${place}: logged key`)
    if (!isSigner(signer, about)) differ('key')
    const hash = at(at(spec, 'data'), 'hash')
    const value = member(hash, 'value')
    if (member(hash, 'algorithm') !== 'sha256' || `sha256:${String(value)}` !== digestOf(about.payload))
      differ('payload')
  }
}

function isSigner(pem: Uint8Array, about: LoggedSignature): boolean {
  const text = Buffer.from(pem).toString('latin1')
  try {
    if (about.certificate !== undefined) return same(new X509Certificate(text).raw, about.certificate)
    if (!text.startsWith('-----BEGIN PUBLIC KEY-----') || about.spki === undefined) return false
    return same(verificationKey(createPublicKey(text)).spki, about.spki)
  } catch {
    return false
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

function whole(value: unknown, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw new ImageError('signature.malformed', `${what}: not a whole number`)
}
