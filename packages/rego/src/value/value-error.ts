/** Codes are API: add freely, never rename or reuse. */
export const VALUE_ERROR_CODES = {
  'value.malformed': 'Text is not JSON, or a JavaScript value has no counterpart in Rego.',
  'value.too-deep': 'Arrays and objects are nested more deeply than the limit.',
} as const
export type ValueErrorCode = keyof typeof VALUE_ERROR_CODES

/** Input or data could not become a Rego value. Never "undefined": the caller has no answer. */
export class ValueError extends Error {
  override readonly name = 'ValueError'
  readonly code: ValueErrorCode
  constructor(code: ValueErrorCode, message: string) {
    super(message)
    this.code = code
  }
}
