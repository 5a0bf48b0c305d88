import { closeSync, openSync, readFileSync, readSync, readdirSync, statSync } from 'node:fs'
import path from 'node:path'
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
  envelopeSchema,
  fromBase64,
  parseOwnerKey,
  parseSchema,
  parseStrictJson,
  preAuthEncoding,
  spkiOfEd25519,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'

const MAX_RECORD_FILE = 2 * MAX_RECORD_BYTES

/** Whether the record of this number is for whoever asks. Asked once for each, in order. */
export type Take = (record: number) => boolean

const ALL: Take = () => true
const BATCH = 32

/**
 * What one of several threads takes that all go through the same records: whoever comes to a batch first has it, so a
 * thread that started late, or is slow, takes less.
 *
 * @param taken - One number that all of them share, zero at first: how many batches were taken.
 */
export function takingTurns(taken: Int32Array<SharedArrayBuffer>): Take {
  let batch = -1
  let mine = false
  return (record) => {
    if (Math.floor(record / BATCH) === batch) return mine
    batch = Math.floor(record / BATCH)
    mine = Atomics.compareExchange(taken, 0, batch, batch + 1) === batch
    return mine
  }
}

/** Record envelopes, one after another: of files as `why --save` writes them, of folders of such, of JSON lines (`.jsonl`). */
export function* readEnvelopes(files: readonly string[], take: Take = ALL): Generator<Envelope> {
  let n = 0
  for (const file of files.flatMap(filesBelow)) {
    const texts = file.endsWith('.jsonl') ? linesOf(file) : [() => readFileSync(file, 'utf8')]
    let line = 0
    for (const text of texts) {
      line++
      if (!take(n++)) continue
      const where = file.endsWith('.jsonl') ? `${file}:${line}` : file
      yield parseSchema(envelopeSchema, parseStrictJson(text(), { maxBytes: MAX_RECORD_FILE }), where)
    }
  }
}

function filesBelow(file: string): readonly string[] {
  if (!statSync(file).isDirectory()) return [file]
  return readdirSync(file)
    .filter((f) => f.endsWith('.json') || f.endsWith('.jsonl'))
    .sort()
    .map((f) => path.join(file, f))
}

const CHUNK = 4 * 1024 * 1024

/** The lines of a file of any size, each as text only when it is wanted; empty lines are left out. */
function* linesOf(file: string): Generator<() => string> {
  const fd = openSync(file, 'r')
  try {
    const chunk = Buffer.alloc(CHUNK)
    let rest: Uint8Array = new Uint8Array()
    for (;;) {
      const read = readSync(fd, chunk)
      const bytes = Buffer.concat([rest, chunk.subarray(0, read)])
      let from = 0
      for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, from)) {
        const line = bytes.subarray(from, end)
        if (line.length > 0) yield () => line.toString('utf8')
        from = end + 1
      }
      rest = bytes.subarray(from)
      if (rest.length > MAX_RECORD_FILE)
        throw new VouchsafeError('input.too-large', `${file}: a line is over ${MAX_RECORD_FILE} bytes`)
      if (read > 0) continue
      const last = Buffer.from(rest)
      if (last.length > 0) yield () => last.toString('utf8')
      return
    }
  } finally {
    closeSync(fd)
  }
}

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
