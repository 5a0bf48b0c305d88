import type { Location } from './syntax/source.ts'

/**
 * Codes are API: add freely, never rename or reuse. The first eleven are OPA's, the `bound_` ones are ours: an evaluation that
 * hits a bound has no answer, which is never the same as "undefined".
 */
export const REGO_ERROR_CODES = {
  rego_parse_error: 'The text is not Rego.',
  rego_compile_error: 'The program breaks a rule of the language.',
  rego_unsafe_var_error: 'A variable is never bound to a value.',
  rego_type_error: 'A call or reference cannot succeed, whatever the input.',
  rego_recursion_error: 'A rule depends on itself.',
  eval_conflict_error: 'Rules or keys gave two different values where one is allowed.',
  eval_type_error: 'A built-in got an operand of the wrong type (strict mode only).',
  eval_builtin_error: 'A built-in failed (strict mode only).',
  eval_cancel_error: 'The host interrupted the evaluation.',
  eval_internal_error: 'A bug in this engine.',
  eval_with_merge_error: 'A `with` target cannot be merged into the document.',
  bound_steps: 'The evaluation took more steps than allowed.',
  bound_depth: 'Calls, values or source text are nested more deeply than allowed.',
  bound_memory: 'A result has more elements or characters than allowed.',
  host_function: 'A host function failed, or gave no answer where one was needed.',
  input_malformed: 'Input or data is not a JSON value.',
  bundle_malformed: 'The bundle is not one, or one of its files is not what its name says.',
} as const
export type RegoErrorCode = keyof typeof REGO_ERROR_CODES

/** One finding of the parser, the compiler or the evaluator. */
export type Diagnostic = {
  readonly code: RegoErrorCode
  readonly message: string
  readonly location?: Location
  /** What to try instead. */
  readonly hint?: string
}

/** `file:row: code: message`, the form OPA prints. */
export function formatDiagnostic({ code, message, location, hint }: Diagnostic): string {
  const where = location === undefined ? '' : `${location.file === '' ? '' : `${location.file}:`}${location.row}: `
  return `${where}${code}: ${message}${hint === undefined ? '' : ` (hint: ${hint})`}`
}

/** Everything this package throws. `diagnostics` is never empty; `code` and `location` are those of its first member. */
export class RegoError extends Error {
  override readonly name = 'RegoError'
  readonly code: RegoErrorCode
  readonly location: Location | undefined
  readonly diagnostics: readonly [Diagnostic, ...Diagnostic[]]

  constructor(diagnostics: readonly [Diagnostic, ...Diagnostic[]], options?: ErrorOptions) {
    const [first] = diagnostics
    super(diagnostics.map(formatDiagnostic).join('\n'), options)
    this.code = first.code
    this.location = first.location
    this.diagnostics = diagnostics
  }

  static of(code: RegoErrorCode, message: string, location?: Location, options?: ErrorOptions): RegoError {
    return new RegoError([location === undefined ? { code, message } : { code, message, location }], options)
  }
}
