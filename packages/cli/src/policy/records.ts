import {
  type AttestInputs,
  type Claims,
  type DecisionRecord,
  type Envelope,
  type OpenedSet,
  type PublicKey,
  MAX_RECORD_BYTES,
  RECORD_TYPE,
  VouchsafeError,
  attest,
  decisionRecordSchema,
  fromBase64,
  parseOwnerKey,
  parseSchema,
  parseStrictJson,
  preAuthEncoding,
  spkiOfEd25519,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'

/**
 * The record in an envelope.
 *
 * @param key - The broker's decision key; null believes whoever gave the file.
 * @throws {VouchsafeError} `evidence.signature` when the key did not sign it
 */
export async function openRecord(envelope: Envelope, key: string | null): Promise<DecisionRecord> {
  const payload = bytesOf(envelope.payload)
  if (key !== null && !isSignedBy(envelope, payload, key))
    throw new VouchsafeError('evidence.signature', 'a record is not signed by this decision key')
  const value = parseStrictJson(payload, { maxBytes: MAX_RECORD_BYTES })
  return parseSchema(decisionRecordSchema, value, 'decision record')
}

/** Canonical base64, read by Buffer: records are large, and there may be very many. */
function bytesOf(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text)
    throw new VouchsafeError('input.malformed', 'record: not canonical padded base64')
  return bytes
}

const decisionKeys = new Map<string, PublicKey>()

function isSignedBy({ payloadType, signatures }: Envelope, payload: Uint8Array, key: string): boolean {
  if (payloadType !== RECORD_TYPE) return false
  const signer = decisionKeys.get(key) ?? nodeCrypto.importPublicKey(spkiOfEd25519(parseOwnerKey(key)))
  decisionKeys.set(key, signer)
  const signed = preAuthEncoding(payloadType, payload)
  return signatures.some(({ sig }) => nodeCrypto.verify(signer, { kind: 'ed25519' }, signed, fromBase64(sig, 'sig')))
}

/** What of a record was shown as evidence; null when it rests on none. */
export function attestationOf(record: DecisionRecord): AttestInputs | null {
  switch (record.operation) {
    case 'attest':
      return record.inputs
    case 'release':
    case 'renew':
      return record.inputs.attest
    default:
      return null
  }
}

/** What policies read of a record: the claims of its evidence, verified again, and the reference sets as they stood. */
export async function shownInRecord(
  record: DecisionRecord,
): Promise<{ readonly claims: Claims; readonly sets: readonly OpenedSet[] }> {
  const recorded = attestationOf(record)
  if (recorded === null) throw new VouchsafeError('input.malformed', `decision ${record.id} rests on no evidence`)
  const { result, decision } = await attest(recorded, nodeCrypto, new Date(record.inputs.at))
  if (result !== null) return { claims: result.claims, sets: result.sets ?? [] }
  const [first] = 'reasons' in decision ? decision.reasons : []
  throw new VouchsafeError(
    'input.malformed',
    `the evidence of decision ${record.id} was refused (${first?.code ?? 'unknown'}), so it makes no claims`,
  )
}
