import { randomFillSync } from 'node:crypto'
import { TpmError } from '../codec/errors.ts'
import { TpmSession } from './session.ts'

/** TPMA_SESSION */
export const SESSION_ATTRIBUTE = {
  continueSession: 0x01,
  auditExclusive: 0x02,
  auditReset: 0x04,
  decrypt: 0x20,
  encrypt: 0x40,
  audit: 0x80,
} as const
const PURPOSES = SESSION_ATTRIBUTE.decrypt | SESSION_ATTRIBUTE.encrypt | SESSION_ATTRIBUTE.audit
const NONCE_BYTES = 16
const NONCES_AT_ONCE = 32
const MAX_SESSIONS = 3
const NONE = new Uint8Array()
let drawn = new Uint8Array()
let given = 0

/** A session and what it shall do for one command. */
export interface SessionUse {
  readonly session: TpmSession
  /** Encrypt the first command parameter on its way to the TPM. Default false. */
  readonly encryptCommand?: boolean
  /** Have the TPM encrypt its first response parameter. Default false. */
  readonly encryptResponse?: boolean
  /** Add command and response to the session's audit digest. Default false. */
  readonly audit?: boolean
  /** With `audit`: start the audit digest anew. Default false. */
  readonly auditReset?: boolean
  /** With `audit`: refuse unless no other command came between. Default false. */
  readonly auditExclusive?: boolean
  /** End the session with this command. Default false. */
  readonly last?: boolean
}

/** How a handle is authorized: by a password in the clear, or by a session. */
export type Authorization = Uint8Array | TpmSession | SessionUse

/** An entity that the command needs authorized. */
export interface AuthorizedEntity {
  readonly name: Uint8Array
  /** Without trailing zeros. */
  readonly authValue: Uint8Array
}

/** One line of the authorization area, before its HMAC. */
export interface AuthorizationSlot {
  /** Undefined for a password. */
  readonly session: TpmSession | undefined
  /** Undefined for a session which only encrypts or audits. */
  readonly entity: AuthorizedEntity | undefined
  readonly password: Uint8Array
  readonly nonceCaller: Uint8Array
  readonly attributes: number
}

/** Passwords that differ only in zeros at their end are one and the same to a TPM. */
export function trimAuthValue(value: Uint8Array): Uint8Array {
  let length = value.length
  while (length > 0 && value[length - 1] === 0) length -= 1
  return value.subarray(0, length)
}

/**
 * Lays out the authorization area: one line for each handle that needs one, in order, then the sessions which only
 * accompany the command. A session given in both places gets one line.
 */
export function authorizationSlots(
  authorized: readonly { readonly entity: AuthorizedEntity; readonly by: Authorization | undefined }[],
  accompanying: readonly SessionUse[],
): AuthorizationSlot[] {
  const uses: SessionUse[] = []
  for (const { by } of authorized) {
    if (by instanceof TpmSession) uses.push({ session: by })
    else if (by !== undefined && !(by instanceof Uint8Array)) uses.push(by)
  }
  uses.push(...accompanying)
  const slots = authorized.map(({ entity, by }): AuthorizationSlot => {
    if (by === undefined || by instanceof Uint8Array) return passwordSlot(entity, by ?? entity.authValue)
    return sessionSlot(entity, by instanceof TpmSession ? by : by.session, uses)
  })
  for (const { session } of accompanying) {
    if (slots.some((slot) => slot.session === session)) continue
    const slot = sessionSlot(undefined, session, uses)
    if ((slot.attributes & PURPOSES) === 0)
      throw new TpmError('input.malformed', 'a session that authorizes nothing must encrypt or audit')
    slots.push(slot)
  }
  if (slots.length > MAX_SESSIONS)
    throw new TpmError('input.malformed', `a command takes at most ${MAX_SESSIONS} sessions, not ${slots.length}`)
  return slots
}

function passwordSlot(entity: AuthorizedEntity, password: Uint8Array): AuthorizationSlot {
  const attributes = SESSION_ATTRIBUTE.continueSession
  return { session: undefined, entity, password: trimAuthValue(password), nonceCaller: NONE, attributes }
}

function sessionSlot(
  entity: AuthorizedEntity | undefined,
  session: TpmSession,
  uses: readonly SessionUse[],
): AuthorizationSlot {
  let attributes: number | undefined
  for (const use of uses) if (use.session === session) attributes = combine(attributes, attributesOf(use))
  return { session, entity, password: NONE, nonceCaller: newNonce(), attributes: attributes ?? 0 }
}

/**
 * Each nonce is drawn once and given once. They are drawn together since going to OpenSSL for one costs more than the
 * command's HMAC; who could read those still to come could read the session's key, too.
 */
export function newNonce(): Uint8Array<ArrayBuffer> {
  if (given === drawn.length) {
    drawn = randomFillSync(new Uint8Array(NONCE_BYTES * NONCES_AT_ONCE))
    given = 0
  }
  given += NONCE_BYTES
  return drawn.slice(given - NONCE_BYTES, given)
}

function attributesOf(use: SessionUse): number {
  if (use.session.isEnded) throw new TpmError('input.malformed', 'the session has ended')
  return (
    (use.last === true ? 0 : SESSION_ATTRIBUTE.continueSession) |
    (use.encryptCommand === true ? SESSION_ATTRIBUTE.decrypt : 0) |
    (use.encryptResponse === true ? SESSION_ATTRIBUTE.encrypt : 0) |
    (use.audit === true ? SESSION_ATTRIBUTE.audit : 0) |
    (use.auditReset === true ? SESSION_ATTRIBUTE.auditReset : 0) |
    (use.auditExclusive === true ? SESSION_ATTRIBUTE.auditExclusive : 0)
  )
}

/** Two uses of one session in one command: it continues only if both let it. */
function combine(a: number | undefined, b: number): number {
  if (a === undefined) return b
  const { continueSession } = SESSION_ATTRIBUTE
  return ((a | b) & ~continueSession) | (a & b & continueSession)
}
