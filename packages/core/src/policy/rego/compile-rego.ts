import { type Policy, RegoError, compile } from '@vouchsafe/rego'
import type { RegoCondition } from '../../agreement/agreement.ts'
import { VouchsafeError } from '../../base/errors.ts'
import { REFERENCE_FUNCTION, referenceFunction } from './reference-function.ts'

/** Built-ins that reach out, or whose answers differ from one evaluation to the next (F06). */
const FORBIDDEN = [
  'http.send',
  'net.lookup_ip_addr',
  'opa.runtime',
  'rand.intn',
  'uuid.rfc4122',
  'trace',
  'providers.aws.sign_req',
]

/**
 * Built-ins that ask for signatures, which a grant is asked without: no claim is a token or a certificate, those were verified
 * before there were claims. Refused when filed, rather than without an answer in each decision.
 */
const SIGNATURES = [
  ...['rs', 'ps', 'es'].flatMap((kind) => [256, 384, 512].map((bits) => `io.jwt.verify_${kind}${bits}`)),
  'io.jwt.verify_eddsa',
  'io.jwt.decode_verify',
  'io.jwt.encode_sign',
  'io.jwt.encode_sign_raw',
  'crypto.x509.parse_and_verify_certificates',
  'crypto.x509.parse_and_verify_certificates_with_options',
]

/** How much one evaluation may do. Steps rather than time, so that a replay ends where the first evaluation ended. */
export const REGO_BOUNDS = { maxSteps: 2_000_000, maxDepth: 200, maxMemory: 2_000_000 } as const

const MAX_KEPT = 128
const kept = new Map<string, Policy>()

/**
 * The compiled modules of a condition. Compiled policies are kept by their text, so that a decision costs no compilation.
 *
 * @throws {VouchsafeError} `policy.invalid`, with every finding of the compiler
 */
export function compileRego(rego: RegoCondition): Policy {
  const key = JSON.stringify([rego.modules, rego.data ?? null])
  const known = kept.get(key)
  if (known !== undefined) return known
  let policy: Policy
  try {
    policy = compile(rego.modules, {
      host: {},
      functions: { [REFERENCE_FUNCTION]: referenceFunction },
      forbidden: [...FORBIDDEN, ...SIGNATURES],
      data: rego.data ?? {},
    })
  } catch (error) {
    if (!(error instanceof RegoError)) throw error
    throw new VouchsafeError('policy.invalid', error.message, { cause: error })
  }
  if (kept.size >= MAX_KEPT) kept.clear()
  kept.set(key, policy)
  return policy
}
