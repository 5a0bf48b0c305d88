import { timingSafeEqual } from 'node:crypto'
import type { SoftwareHash } from '../codec/algorithms.ts'
import type { AnyCommand } from '../codec/commands/command.ts'
import { TpmError } from '../codec/errors.ts'
import { TPM_RH } from '../codec/handles.ts'
import type { CommandSession, Response } from '../codec/message.ts'
import { digest, hmac } from '../crypto/digest.ts'
import { SESSION_ATTRIBUTE } from './authorization.ts'
import type { AuthorizationSlot } from './authorization.ts'
import { decryptFirstParameter, encryptFirstParameter } from './parameter-encryption.ts'
import type { TpmSession } from './session.ts'

const NONE = new Uint8Array()

/** A command with its parameters encrypted and its sessions computed. */
export interface ProtectedCommand {
  readonly sessions: readonly CommandSession[]
  readonly parameters: Uint8Array
}

/**
 * Encrypts and authenticates one command.
 *
 * @param names - Of all its handles, in order.
 * @source TPM 2.0 Library, Part 1: Architecture: Session-Based Authorization, Session-Based Encryption
 */
export function protectCommand(
  command: AnyCommand,
  names: readonly Uint8Array[],
  slots: readonly AuthorizationSlot[],
  plain: Uint8Array,
): ProtectedCommand {
  if (slots.every(({ session }) => session === undefined))
    return { sessions: slots.map(passwordLine), parameters: plain }
  const decrypting = slots.find(({ attributes }) => attributes & SESSION_ATTRIBUTE.decrypt)
  const encrypting = slots.find(({ attributes }) => attributes & SESSION_ATTRIBUTE.encrypt)
  if (encrypting !== undefined && command.lists.returns.first?.isSized !== true)
    throw new TpmError('input.malformed', 'this command has no first response parameter that could be encrypted')
  const parameters = decrypting === undefined ? plain : encryptCommand(command, decrypting, plain)
  const cpHashes = memoize((hash) => digest(hash, word(command.code), ...names, parameters))
  const sessions = slots.map((slot, at) => {
    const { session, nonceCaller, attributes } = slot
    if (session === undefined) return passwordLine(slot)
    const others = at === 0 ? otherNonces(session, decrypting?.session, encrypting?.session) : []
    const mac = commandHmac(slot, session, cpHashes(session.hash), others)
    return { handle: session.handle, nonceCaller, attributes, hmac: mac }
  })
  return { sessions, parameters }
}

function passwordLine({ attributes, password }: AuthorizationSlot): CommandSession {
  return { handle: TPM_RH.password, nonceCaller: NONE, attributes, hmac: password }
}

/** Nonces of the sessions that encrypt, which the first session's HMAC ties to this command. */
function otherNonces(
  first: TpmSession,
  decrypting: TpmSession | undefined,
  encrypting: TpmSession | undefined,
): Uint8Array[] {
  const nonces: Uint8Array[] = []
  if (decrypting !== undefined && decrypting !== first) nonces.push(decrypting.nonceTPM)
  if (encrypting !== undefined && encrypting !== first && encrypting !== decrypting) nonces.push(encrypting.nonceTPM)
  return nonces
}

function encryptCommand(command: AnyCommand, slot: AuthorizationSlot, parameters: Uint8Array): Uint8Array {
  if (command.lists.parameters.first?.isSized !== true)
    throw new TpmError('input.malformed', 'this command has no first parameter that could be encrypted')
  return encryptFirstParameter(
    { ...encryptionKey(slot), nonceNewer: slot.nonceCaller, nonceOlder: sessionOf(slot).nonceTPM },
    parameters,
  )
}

function commandHmac(
  slot: AuthorizationSlot,
  session: TpmSession,
  cpHash: Uint8Array,
  others: readonly Uint8Array[],
): Uint8Array {
  if (isPasswordPolicy(slot)) return slot.entity?.authValue ?? NONE
  const proven = provenAuthValue(slot, session)
  if (!session.hasKey && proven.length === 0 && session.type !== 'hmac') return NONE
  const attributes = Uint8Array.of(slot.attributes)
  return hmac(session.hash, session.keyWith(proven), cpHash, slot.nonceCaller, session.nonceTPM, ...others, attributes)
}

/** With PolicyPassword the authorization value itself stands in place of the HMAC, and the answer has none. */
function isPasswordPolicy({ session, entity }: AuthorizationSlot): boolean {
  return session?.type === 'policy' && session.proof === 'password' && entity !== undefined
}

/** The entity's authorization value where this session has to prove it: then it is part of the HMAC's key. */
function provenAuthValue({ entity }: AuthorizationSlot, session: TpmSession, newAuthValue?: Uint8Array): Uint8Array {
  if (entity === undefined) return NONE
  const proves =
    session.type === 'policy'
      ? session.proof === 'auth-value'
      : session.type === 'hmac' && !session.isBoundTo(entity.name, entity.authValue)
  return proves ? (newAuthValue ?? entity.authValue) : NONE
}

/**
 * Checks the HMACs of a response, decrypts its first parameter, and moves the sessions on.
 *
 * @param newAuthValue - The first entity's authorization value after the command, where the command changed it.
 * @returns the parameters in the clear.
 * @throws {TpmError} `tpm.integrity` when any HMAC is wrong: then the parameters are nobody's word.
 */
export function openResponse(
  command: AnyCommand,
  slots: readonly AuthorizationSlot[],
  sent: readonly CommandSession[],
  response: Response,
  newAuthValue: Uint8Array | undefined,
): Uint8Array {
  if (slots.every(({ session }) => session === undefined)) return response.parameters
  const rpHashes = memoize((hash) => digest(hash, word(0), word(command.code), response.parameters))
  let parameters = response.parameters
  slots.forEach((slot, at) => {
    const { session } = slot
    const answer = response.sessions[at]
    if (session === undefined || answer === undefined) return
    // whether the session was bound is decided with the command; the value itself is that after the command
    const proven = provenAuthValue(slot, session, at === 0 ? newAuthValue : undefined)
    const isUnkeyed = !session.hasKey && proven.length === 0
    const isEmpty = isPasswordPolicy(slot) || (isUnkeyed && sent[at]?.hmac.length === 0)
    const expected = isEmpty
      ? NONE
      : hmac(
          session.hash,
          session.keyWith(proven),
          rpHashes(session.hash),
          answer.nonceTPM,
          slot.nonceCaller,
          Uint8Array.of(answer.attributes),
        )
    if (!constantTimeEqual(expected, answer.hmac))
      throw new TpmError('tpm.integrity', `the HMAC of session ${at + 1} in the response is wrong`)
    if (slot.attributes & SESSION_ATTRIBUTE.encrypt)
      parameters = decryptFirstParameter(
        { ...encryptionKey(slot), nonceNewer: answer.nonceTPM, nonceOlder: slot.nonceCaller },
        parameters,
      )
    session.roll(answer.nonceTPM, (answer.attributes & SESSION_ATTRIBUTE.continueSession) !== 0)
  })
  return parameters
}

function encryptionKey(slot: AuthorizationSlot) {
  return { session: sessionOf(slot), authValue: slot.entity?.authValue ?? NONE }
}

function sessionOf({ session }: AuthorizationSlot): TpmSession {
  if (session === undefined) throw new TpmError('internal', 'a password cannot encrypt')
  return session
}

function constantTimeEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

function memoize(compute: (hash: SoftwareHash) => Uint8Array): (hash: SoftwareHash) => Uint8Array {
  const known: { [H in SoftwareHash]?: Uint8Array } = {}
  return (hash) => (known[hash] ??= compute(hash))
}

function word(value: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)
}
