import type { TpmResponseCode } from './response-code.ts'

/**
 * Every code that this package throws. Codes are API: add freely, never rename or reuse. Those under `input.` and
 * `evidence.` mean the same as in `@vouchsafe/core`, which translates them once.
 */
export const TPM_ERROR_CODES = {
  'input.malformed': 'Bytes or options do not have the form their specification gives.',
  'input.too-large': 'The input is larger than the limit stated for it.',

  'evidence.signature': 'The signature does not verify under the given key.',
  'evidence.stale': 'The evidence does not carry the nonce that was asked for.',
  'evidence.mismatch': 'Parts of the evidence contradict each other.',
  'evidence.algorithm': 'An algorithm that is too weak or not allowed was used.',
  'evidence.key': 'The attestation key is not restricted, fixed to its TPM and for signing.',
  'evidence.pcr-selection': 'The quote does not cover exactly the registers that are needed.',
  'evidence.log': 'The event log does not replay to the quoted registers, or breaks its grammar.',
  'evidence.unsupported': 'The format is one that this package cannot judge.',

  'tpm.response': 'The TPM answered with an error; see the error’s `response`.',
  'tpm.unavailable': 'The TPM cannot be opened, or its connection is closed.',
  'tpm.timeout':
    'The TPM did not answer in time. The connection is closed: a late answer would be taken for the next one.',
  'tpm.integrity': 'The answer is not authentic: its session HMAC, order or format is wrong.',

  internal: 'A bug in this package.',
} as const

export type TpmErrorCode = keyof typeof TPM_ERROR_CODES

/** The one error of this package. */
export class TpmError extends Error {
  override readonly name: string = 'TpmError'
  readonly code: TpmErrorCode
  /** With `tpm.response`: what the TPM answered. */
  readonly response: TpmResponseCode | undefined
  /** @param message - For an operator: what was found, what was wanted, and where. */
  constructor(code: TpmErrorCode, message: string, options?: ErrorOptions & { readonly response?: TpmResponseCode }) {
    super(message, options)
    this.code = code
    this.response = options?.response
  }
}
