import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import type { AnyCommand } from './commands/command.ts'
import { TpmError } from './errors.ts'
import { decodeResponseCode, describeResponseCode } from './response-code.ts'
import type { TpmResponseCode } from './response-code.ts'

/** TPM_ST_NO_SESSIONS and TPM_ST_SESSIONS */
const NO_SESSIONS = 0x8001
const SESSIONS = 0x8002
/** TPM_ST_RSP_COMMAND: how a TPM answers what it takes for TPM 1.2. */
const RESPONSE_TPM12 = 0x00c4
export const HEADER_BYTES = 10
/** No TPM takes or gives more in one message. */
export const MAX_MESSAGE_BYTES = 4096 * 4

/** One entry of a command's authorization area. */
export interface CommandSession {
  readonly handle: number
  readonly nonceCaller: Uint8Array
  readonly attributes: number
  /** The session's HMAC, or the password. */
  readonly hmac: Uint8Array
}

/** One entry of a response's authorization area. */
export interface ResponseSession {
  readonly nonceTPM: Uint8Array
  readonly attributes: number
  readonly hmac: Uint8Array
}

/** The parameter area of `command` for these values; values that do not fit throw `input.malformed`. */
export function encodeParameters(
  command: AnyCommand,
  values: Readonly<Record<string, unknown>>,
): Uint8Array<ArrayBuffer> {
  const w = new ByteWriter('big')
  command.lists.parameters.write(w, values)
  return w.finish()
}

/** A whole command. */
export function encodeCommand(
  code: number,
  handles: readonly number[],
  sessions: readonly CommandSession[],
  parameters: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const hasSessions = sessions.length > 0
  let authorizationBytes = 0
  for (const { nonceCaller, hmac } of sessions) authorizationBytes += 9 + nonceCaller.length + hmac.length
  const size = HEADER_BYTES + handles.length * 4 + (hasSessions ? 4 + authorizationBytes : 0) + parameters.length
  const w = new ByteWriter('big', size)
  w.u16('tag', hasSessions ? SESSIONS : NO_SESSIONS)
  w.u32('size', size).u32('code', code)
  for (const handle of handles) w.u32('handle', handle)
  if (hasSessions) w.u32('authorizationSize', authorizationBytes)
  for (const session of sessions) {
    w.u32('sessionHandle', session.handle).sized('nonceCaller', session.nonceCaller)
    w.u8('attributes', session.attributes).sized('hmac', session.hmac)
  }
  return w.raw(parameters).finish()
}

/** A response in its parts, before its sessions were checked. */
export interface Response {
  readonly newHandle: number | undefined
  /** As sent, a part of it: with an encrypting session, the first parameter is still encrypted. */
  readonly parameters: Uint8Array
  readonly sessions: readonly ResponseSession[]
}

/** The response code; `tpm.integrity` when the bytes are not a response. */
export function responseCodeOf(raw: Uint8Array): number {
  if (raw.length < HEADER_BYTES || raw.length > MAX_MESSAGE_BYTES)
    throw new TpmError('tpm.integrity', `${raw.length} bytes are not a response`)
  const size = wordAt(raw, 2)
  if (size !== raw.length) throw new TpmError('tpm.integrity', `the response says ${size} bytes and has ${raw.length}`)
  return wordAt(raw, 6)
}

/** Without a reader, since every response is asked more than once. */
function wordAt(raw: Uint8Array, at: number): number {
  return (((raw[at] ?? 0) << 24) | ((raw[at + 1] ?? 0) << 16) | ((raw[at + 2] ?? 0) << 8) | (raw[at + 3] ?? 0)) >>> 0
}

/** The error for a response code that is not success. */
export function responseError(commandName: string, value: number): TpmError {
  const response: TpmResponseCode = decodeResponseCode(value)
  return new TpmError('tpm.response', `${commandName}: ${describeResponseCode(response)}`, { response })
}

/**
 * Splits a successful response.
 *
 * @param sessionCount - How many sessions the command had: the response must have as many.
 * @throws {TpmError} `tpm.response` with the decoded code; `tpm.integrity` when the answer does not fit the command.
 */
export function parseResponse(
  commandName: string,
  command: AnyCommand,
  sessionCount: number,
  raw: Uint8Array,
): Response {
  const code = responseCodeOf(raw)
  if (code !== 0) throw responseError(commandName, code)
  try {
    return split(commandName, command, sessionCount, raw)
  } catch (cause) {
    if (!(cause instanceof TpmError) || cause.code !== 'input.malformed') throw cause
    throw new TpmError('tpm.integrity', `${commandName}: the TPM's answer is malformed: ${cause.message}`, { cause })
  }
}

function split(commandName: string, command: AnyCommand, sessionCount: number, raw: Uint8Array): Response {
  const r = new ByteReader(`${commandName} response`, raw, 'big')
  const tag = r.u16('tag')
  if (tag === RESPONSE_TPM12) throw r.malformed('tag', 'this is a TPM 1.2')
  const expected = sessionCount > 0 ? SESSIONS : NO_SESSIONS
  if (tag !== expected) throw r.malformed('tag', `0x${tag.toString(16)} is not 0x${expected.toString(16)}`)
  r.u32('size')
  r.u32('responseCode')
  const newHandle = command.newHandle === undefined ? undefined : r.u32(command.newHandle)
  if (sessionCount === 0) return { newHandle, parameters: r.view('parameters', r.remaining), sessions: [] }
  const parameters = r.view('parameters', r.count('parameterSize', MAX_MESSAGE_BYTES))
  const sessions: ResponseSession[] = []
  while (sessions.length < sessionCount)
    sessions.push({
      nonceTPM: r.sized('nonceTPM', 64),
      attributes: r.u8('sessionAttributes'),
      hmac: r.sized('hmac', 64),
    })
  r.end()
  return { newHandle, parameters, sessions }
}

/** The response parameters as values. */
export function decodeParameters(
  commandName: string,
  command: AnyCommand,
  parameters: Uint8Array,
): Record<string, unknown> {
  try {
    const r = new ByteReader(`${commandName} response`, parameters, 'big')
    const values = command.lists.returns.read(r, {})
    r.end()
    return values
  } catch (cause) {
    if (!(cause instanceof TpmError) || cause.code !== 'input.malformed') throw cause
    throw new TpmError('tpm.integrity', `${commandName}: the TPM's answer is malformed: ${cause.message}`, { cause })
  }
}
