/** Every code that the simulator throws. Codes are API: add freely, never rename or reuse. */
export const SIMULATOR_ERROR_CODES = {
  'swtpm.missing': 'swtpm is not installed.',
  'swtpm.start': 'swtpm did not start.',
  'directory.in-use': 'The directory holds something already; a simulated guest starts with an empty one.',
  'directory.too-long': 'The directory’s path is too long to hold a unix socket.',
  'boot.mismatch': 'The registers do not hold what the simulated boot measured: the TPM was used before.',
  'token.request': 'A token was asked for in a way that no attestation service would answer.',
} as const

export type SimulatorErrorCode = keyof typeof SIMULATOR_ERROR_CODES

/** The one error of this package, beside those of `@vouchsafe/tpm`. */
export class SimulatorError extends Error {
  override readonly name = 'SimulatorError'
  readonly code: SimulatorErrorCode
  constructor(code: SimulatorErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
