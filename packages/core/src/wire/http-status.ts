import type { ErrorCode } from '../base/errors.ts'

/** The status that goes with a code. A code without a line here answers 403: a refusal is the safe reading. */
const STATUS: Readonly<Partial<Record<ErrorCode, number>>> = {
  'input.malformed': 400,
  'input.unknown-member': 400,
  'input.too-large': 413,
  'request.signature': 401,
  'request.replayed': 401,
  'request.unknown-route': 404,
  'request.conflict': 409,
  'enrolment.conflict': 409,
  'enrolment.unknown': 404,
  'agreement.unknown': 404,
  'release.unknown': 404,
  'endorsement.unavailable': 503,
  'peer.unreachable': 502,
  internal: 500,
}

export function httpStatus(code: ErrorCode): number {
  return STATUS[code] ?? 403
}
