/** Where in the command the TPM found the fault, counting from 1. */
export interface ResponseCodeTarget {
  readonly kind: 'handle' | 'parameter' | 'session'
  /** 0 where the TPM does not say which. */
  readonly number: number
}

/** A TPM_RC taken apart. */
export interface TpmResponseCode {
  readonly value: number
  /** The specification's name, `TPM_RC_VALUE`; for a code that it does not list, its hexadecimal value. */
  readonly name: string
  readonly target: ResponseCodeTarget | undefined
  /** What it means and, where there is one, the way out. */
  readonly hint: string
}

type Table = Readonly<Record<number, readonly [name: string, hint: string]>>

/** Format-zero errors, by bits 0..6 (RC_VER1). */
const VERSION_1: Table = {
  0x00: ['INITIALIZE', 'the TPM was not started; send TPM2_Startup'],
  0x01: ['FAILURE', 'the TPM is in failure mode and needs a reset'],
  0x03: ['SEQUENCE', 'a sequence or context was used out of order'],
  0x0b: ['PRIVATE', 'not currently used'],
  0x19: ['HMAC', 'not currently used'],
  0x20: ['DISABLED', 'the command is disabled, or its hierarchy is'],
  0x21: ['EXCLUSIVE', 'another command came between those of an exclusive audit session'],
  0x24: ['AUTH_TYPE', 'this handle cannot be authorized in this way'],
  0x25: ['AUTH_MISSING', 'a handle that needs an authorization got none'],
  0x26: ['POLICY', 'a policy assertion failed'],
  0x27: ['PCR', 'a PCR check failed'],
  0x28: ['PCR_CHANGED', 'registers changed since the policy was checked; start the policy session again'],
  0x2d: ['UPGRADE', 'the TPM is in field upgrade mode'],
  0x2e: ['TOO_MANY_CONTEXTS', 'the context counter is at its end; the TPM needs a reset'],
  0x2f: ['AUTH_UNAVAILABLE', 'authorization is not available for this entity'],
  0x30: ['REBOOT', 'the TPM must be reset before it goes on'],
  0x31: ['UNBALANCED', 'hash and symmetric algorithms are of unequal strength'],
  0x42: ['COMMAND_SIZE', 'the command size does not fit its bytes'],
  0x43: ['COMMAND_CODE', 'this TPM does not implement the command'],
  0x44: ['AUTHSIZE', 'the authorization area has a wrong size'],
  0x45: ['AUTH_CONTEXT', 'this command takes no sessions'],
  0x46: ['NV_RANGE', 'offset and size run past the end of the NV index'],
  0x47: ['NV_SIZE', 'the size does not suit the NV index or its type'],
  0x48: ['NV_LOCKED', 'the NV index is locked'],
  0x49: ['NV_AUTHORIZATION', 'this NV index does not allow access by this authorization'],
  0x4a: ['NV_UNINITIALIZED', 'the NV index was never written'],
  0x4b: ['NV_SPACE', 'the TPM has no space left for another NV index or persistent object'],
  0x4c: ['NV_DEFINED', 'the NV index or persistent handle exists already'],
  0x50: ['BAD_CONTEXT', 'the saved context does not belong to this TPM or this start'],
  0x51: ['CPHASH', 'the policy session is bound to other parameters'],
  0x52: ['PARENT', 'this object cannot be a parent'],
  0x53: ['NEEDS_TEST', 'a self test is due; send TPM2_SelfTest'],
  0x54: ['NO_RESULT', 'the TPM cannot process the request'],
  0x55: ['SENSITIVE', 'the sensitive area does not fit the public area'],
}

/** Format-zero warnings, by bits 0..6 (RC_WARN). */
const WARNINGS: Table = {
  0x01: ['CONTEXT_GAP', 'the oldest saved session must be loaded and saved again first'],
  0x02: ['OBJECT_MEMORY', 'no slot for another object; flush transient objects (`tpm2_flushcontext -t`)'],
  0x03: ['SESSION_MEMORY', 'no slot for another session; flush sessions (`tpm2_flushcontext -l`)'],
  0x04: ['MEMORY', 'the TPM is out of memory'],
  0x05: ['SESSION_HANDLES', 'too many sessions exist; flush saved sessions (`tpm2_flushcontext -s`)'],
  0x06: ['OBJECT_HANDLES', 'no object handle is left'],
  0x07: ['LOCALITY', 'this locality may not do that'],
  0x08: ['YIELDED', 'the TPM paused; the command may be sent again'],
  0x09: ['CANCELED', 'the command was cancelled'],
  0x0a: ['TESTING', 'the TPM is testing itself; the command may be sent again'],
  0x10: ['REFERENCE_H0', 'the first handle refers to nothing that is loaded'],
  0x11: ['REFERENCE_H1', 'the second handle refers to nothing that is loaded'],
  0x12: ['REFERENCE_H2', 'the third handle refers to nothing that is loaded'],
  0x13: ['REFERENCE_H3', 'the fourth handle refers to nothing that is loaded'],
  0x14: ['REFERENCE_H4', 'the fifth handle refers to nothing that is loaded'],
  0x15: ['REFERENCE_H5', 'the sixth handle refers to nothing that is loaded'],
  0x16: ['REFERENCE_H6', 'the seventh handle refers to nothing that is loaded'],
  0x18: ['REFERENCE_S0', 'the first session does not exist'],
  0x19: ['REFERENCE_S1', 'the second session does not exist'],
  0x1a: ['REFERENCE_S2', 'the third session does not exist'],
  0x1b: ['REFERENCE_S3', 'the fourth session does not exist'],
  0x1c: ['REFERENCE_S4', 'the fifth session does not exist'],
  0x1d: ['REFERENCE_S5', 'the sixth session does not exist'],
  0x1e: ['REFERENCE_S6', 'the seventh session does not exist'],
  0x20: ['NV_RATE', 'the TPM slows NV writes down to save its memory; try later'],
  0x21: ['LOCKOUT', 'too many wrong passwords; wait, or use TPM2_DictionaryAttackLockReset'],
  0x22: ['RETRY', 'the TPM could not start the command; it may be sent again'],
  0x23: ['NV_UNAVAILABLE', 'NV memory cannot be reached just now'],
  0x7f: ['NOT_USED', 'reserved'],
}

/** Format-one errors, by bits 0..5: they name a handle, parameter or session. */
const FORMAT_1: Table = {
  0x01: ['ASYMMETRIC', 'the asymmetric algorithm is not supported or not right here'],
  0x02: ['ATTRIBUTES', 'the attributes contradict each other or the use'],
  0x03: ['HASH', 'the hash algorithm is not supported or not right here'],
  0x04: ['VALUE', 'the value is out of range or wrong in this place'],
  0x05: ['HIERARCHY', 'the hierarchy is disabled or not right for this use'],
  0x07: ['KEY_SIZE', 'the key size is not supported'],
  0x08: ['MGF', 'the mask generation function is not supported'],
  0x09: ['MODE', 'the cipher mode is not supported'],
  0x0a: ['TYPE', 'the object type is not right for this use'],
  0x0b: ['HANDLE', 'the handle does not refer to what is needed here'],
  0x0c: ['KDF', 'the key derivation function is not supported or not right here'],
  0x0d: ['RANGE', 'the value is out of the allowed range'],
  0x0e: ['AUTH_FAIL', 'the authorization is wrong; it counts towards the dictionary attack lockout'],
  0x0f: ['NONCE', 'the nonce has a wrong size or value'],
  0x10: ['PP', 'physical presence is required'],
  0x12: ['SCHEME', 'the scheme is not supported or does not fit the key'],
  0x15: ['SIZE', 'the structure has a wrong size'],
  0x16: ['SYMMETRIC', 'the symmetric algorithm is not supported or not right here'],
  0x17: ['TAG', 'the structure tag is wrong'],
  0x18: ['SELECTOR', 'the union selector is wrong'],
  0x1a: ['INSUFFICIENT', 'the command ends before this value'],
  0x1b: ['SIGNATURE', 'the signature is not valid'],
  0x1c: ['KEY', 'the key is not valid or not right for this use'],
  0x1d: ['POLICY_FAIL', 'the policy session does not satisfy the policy: wrong steps, or registers have changed'],
  0x1f: ['INTEGRITY', 'the blob was changed or belongs to another parent'],
  0x20: ['TICKET', 'the ticket is not from this TPM or not for this data'],
  0x21: ['RESERVED_BITS', 'reserved bits are set'],
  0x22: ['BAD_AUTH', 'the authorization is wrong'],
  0x23: ['EXPIRED', 'the policy has expired'],
  0x24: ['POLICY_CC', 'the policy is for another command'],
  0x25: ['BINDING', 'the public and sensitive areas do not belong together'],
  0x26: ['CURVE', 'the curve is not supported'],
  0x27: ['ECC_POINT', 'the point is not on the curve'],
  0x28: ['FW_LIMITED', 'the hierarchy is limited to this firmware'],
  0x29: ['SVN_LIMITED', 'the hierarchy is limited to this security version'],
}

export const TPM_RC = {
  success: 0,
  badTag: 0x01e,
  initialize: 0x100,
  contextGap: 0x901,
  objectMemory: 0x902,
  sessionMemory: 0x903,
  sessionHandles: 0x905,
  objectHandles: 0x906,
  yielded: 0x908,
  testing: 0x90a,
  retry: 0x922,
  policyFail: 0x09d,
} as const

/**
 * Takes a TPM_RC apart. Never throws: codes that the specification does not list keep their number as their name.
 * @source TPM 2.0 Library, Part 2: Structures: TPM_RC, and Part 1: Response Codes
 */
export function decodeResponseCode(value: number): TpmResponseCode {
  const unknown = (hint: string) => ({ value, name: `0x${value.toString(16)}`, target: undefined, hint })
  if (value === 0) return { value, name: 'TPM_RC_SUCCESS', target: undefined, hint: 'no error' }
  if (value > 0xfff) return unknown(`not from the TPM itself but from layer ${(value >>> 16) & 0xff} of a TSS`)
  if (value === TPM_RC.badTag)
    return { value, name: 'TPM_RC_BAD_TAG', target: undefined, hint: 'the TPM took this for a TPM 1.2 command' }
  if ((value & 0x80) !== 0) return formatOne(value) ?? unknown('this error is not in the specification')
  if ((value & 0x100) === 0) return unknown('a TPM 1.2 response code: this is not a TPM 2.0')
  if ((value & 0x400) !== 0) return unknown('a code of the manufacturer’s own')
  const warning = (value & 0x800) !== 0
  const entry = (warning ? WARNINGS : VERSION_1)[value & 0x7f]
  if (entry === undefined) return unknown(`this ${warning ? 'warning' : 'error'} is not in the specification`)
  return { value, name: `TPM_RC_${entry[0]}`, target: undefined, hint: entry[1] }
}

function formatOne(value: number): TpmResponseCode | undefined {
  const entry = FORMAT_1[value & 0x3f]
  if (entry === undefined) return undefined
  const number = (value >>> 8) & 0xf
  const target: ResponseCodeTarget =
    (value & 0x40) !== 0
      ? { kind: 'parameter', number }
      : (number & 0x8) !== 0
        ? { kind: 'session', number: number & 0x7 }
        : { kind: 'handle', number }
  return { value, name: `TPM_RC_${entry[0]}`, target, hint: entry[1] }
}

/** One line for an operator: `TPM_RC_VALUE (0x2c4) at parameter 2: the value is …`. */
export function describeResponseCode(code: TpmResponseCode): string {
  const where =
    code.target === undefined || code.target.number === 0 ? '' : ` at ${code.target.kind} ${code.target.number}`
  const hex = code.name.startsWith('0x') ? '' : ` (0x${code.value.toString(16)})`
  return `${code.name}${hex}${where}: ${code.hint}`
}
