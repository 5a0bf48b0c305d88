import { z } from 'zod'
import type { CryptoPort } from '../base/crypto.ts'
import { utf8 } from '../base/encoding.ts'
import { VouchsafeError } from '../base/errors.ts'
import { ownerKeySchema, parseOwnerKey } from '../base/keys.ts'
import { parseSchema } from '../base/schema.ts'
import { parseStrictJson } from '../base/strict-json.ts'
import { type Envelope, openEnvelope, signEnvelope } from './envelope.ts'
import { nameSchema } from './agreement.ts'

/** DSSE payload type of approvals and withdrawals. */
export const STATEMENT_TYPE = 'application/vnd.vouchsafe.statement.v1+json'
const MAX_STATEMENT_BYTES = 16 * 1024

/**
 * What an owner says of an agreement. It is detached and may be carried by anyone (decision 2); each broker verifies
 * it alone. An approval holds from `issued` to `expires`; a withdrawal holds from `issued` for ever.
 */
export const statementSchema = z.discriminatedUnion('says', [
  z.strictObject({
    says: z.literal('approve'),
    agreement: z.string().regex(/^sha256:[0-9a-f]{64}$/),
    owner: nameSchema,
    /** The key that signs, so that a statement cannot be lifted to another key of the same owner. */
    key: ownerKeySchema,
    purpose: z.string().min(1).max(1000),
    issued: z.iso.datetime(),
    expires: z.iso.datetime(),
  }),
  z.strictObject({
    says: z.literal('withdraw'),
    agreement: z.string().regex(/^sha256:[0-9a-f]{64}$/),
    owner: nameSchema,
    key: ownerKeySchema,
    reason: z.string().min(1).max(1000),
    issued: z.iso.datetime(),
  }),
])
export type Statement = z.infer<typeof statementSchema>
export type Approval = Extract<Statement, { says: 'approve' }>
export type Withdrawal = Extract<Statement, { says: 'withdraw' }>

export function signStatement(statement: Statement, sign: (bytes: Uint8Array) => Uint8Array): Envelope {
  return signEnvelope(
    STATEMENT_TYPE,
    utf8(JSON.stringify(parseSchema(statementSchema, statement, 'statement'))),
    statement.key,
    sign,
  )
}

/**
 * Opens a statement under one of the keys that the agreement or registry gives for its owner.
 *
 * @param keysOf - The keys that may speak for an owner; empty for a stranger.
 * @throws {VouchsafeError} `agreement.signature` when no such key signed it, or the key named inside did not.
 */
export async function verifyStatement(
  envelope: unknown,
  keysOf: (owner: string) => readonly string[],
  crypto: CryptoPort,
): Promise<Statement> {
  const claimed = peekStatement(envelope)
  if (!keysOf(claimed.owner).includes(claimed.key))
    throw new VouchsafeError('agreement.signature', `${claimed.key} is not a key of owner ${claimed.owner}`)
  const payload = await openEnvelope(envelope, STATEMENT_TYPE, parseOwnerKey(claimed.key), crypto)
  if (payload === null)
    throw new VouchsafeError(
      'agreement.signature',
      `the statement of ${claimed.owner} does not verify under ${claimed.key}`,
    )
  return readStatement(payload)
}

/** Reads the statement without believing it: enough to know whose keys to try. */
function peekStatement(envelope: unknown): Statement {
  const parsed = parseSchema(z.looseObject({ payload: z.base64() }), envelope, 'envelope')
  return readStatement(Uint8Array.from(atob(parsed.payload), (c) => c.charCodeAt(0)))
}

function readStatement(payload: Uint8Array): Statement {
  return parseSchema(statementSchema, parseStrictJson(payload, { maxBytes: MAX_STATEMENT_BYTES }), 'statement')
}
