import { type Envelope, openEnvelope } from './agreement/envelope.ts'
import type { CryptoPort } from './base/crypto.ts'
import { type Digest, digestOf } from './base/digest.ts'
import { fromBase64 } from './base/encoding.ts'
import { parseOwnerKey } from './base/keys.ts'
import { parseSchema } from './base/schema.ts'
import { parseStrictJson } from './base/strict-json.ts'
import { distribute } from './distribute.ts'
import { attest, release, toVerdict } from './flow.ts'
import {
  type DecisionRecord,
  MAX_RECORD_BYTES,
  RECORD_TYPE,
  type Verdict,
  decisionRecordSchema,
} from './wire/decision-record.ts'

/** A recorded decision, walked again. */
export interface Replay {
  readonly record: DecisionRecord
  /** SHA-256 of the record's exact bytes: what its ledger entry binds. */
  readonly digest: Digest
  /** Whether the broker's decision key signed these bytes; null when no key was given to check with. */
  readonly signed: boolean | null
  /** Computed now, from the raw evidence in the record. */
  readonly verdict: Verdict
  /** Whether that is the verdict that was recorded. */
  readonly reproduced: boolean
}

/**
 * Walks a recorded decision again from its raw inputs; nothing recorded of claims or findings is read (decision 18).
 * Works offline, in a browser too. A record proves a past answer and authorises nothing.
 *
 * @param decisionKey - `ed25519:…` of the broker that decided, from the agreement or the owner's own file.
 * @throws {VouchsafeError} `input.malformed` for what is no record
 */
export async function replayRecord(
  envelope: Envelope,
  decisionKey: string | null,
  crypto: CryptoPort,
): Promise<Replay> {
  const bytes = fromBase64(envelope.payload, 'record')
  const record = parseSchema(
    decisionRecordSchema,
    parseStrictJson(bytes, { maxBytes: MAX_RECORD_BYTES }),
    'decision record',
  )
  const signed =
    decisionKey === null
      ? null
      : (await openEnvelope(envelope, RECORD_TYPE, parseOwnerKey(decisionKey), crypto)) !== null
  const verdict = toVerdict(await walkAgain(record, crypto))
  return {
    record,
    digest: digestOf(bytes, crypto),
    signed,
    verdict,
    reproduced: sameVerdict(verdict, record.verdict),
  }
}

function walkAgain(record: DecisionRecord, crypto: CryptoPort) {
  switch (record.operation) {
    case 'attest':
      return attest(record.inputs, crypto)
    case 'distribute':
      return distribute(record.inputs, crypto)
    case 'release':
    case 'renew':
      return release(record.inputs, crypto)
  }
}

/** Whether two verdicts say the same, whatever the order of their members: a record may have been re-serialised by whoever kept it. */
function sameVerdict(computed: Verdict, recorded: Verdict): boolean {
  // a record that says nothing of conditions was made before they were recorded
  const { conditions, ...rest } = computed
  return canonical(recorded.conditions === undefined ? rest : { ...rest, conditions }) === canonical(recorded)
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) =>
    typeof v === 'object' && v !== null && !Array.isArray(v)
      ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1)))
      : v,
  )
}
