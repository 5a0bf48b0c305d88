/** Every code of the agent's own, beside those of `core`, `image` and `tpm`. Codes are API: add freely, never rename or reuse. */
export const AGENT_ERROR_CODES = {
  'config.malformed':
    'A configuration, tickets or agreement file does not have the form its schema gives, or cannot be read.',
  'tpm.no-endorsement': 'The TPM holds no endorsement certificate that fits one of its endorsement keys.',
  'tsm.unavailable': 'The kernel makes no report of the CPU: it is no confidential VM, or only root may ask.',
  'tsm.contended': 'Other processes kept changing what the CPU was asked to report on.',
  'tsm.provider': 'The CPU is of a kind whose reports are not judged.',
  'platform.missing':
    'The vTPM holds nothing of the cloud that the configuration names: no report, no key or no certificate.',
  'platform.no-quote': 'The cloud’s service made no quote of the CPU’s report.',
  'launch.measured-before': 'The launch register is not pristine: something was launched since the last reset.',
  'launch.override': 'The operator asked for a launch that no agreement can allow.',
  'data.missing': 'A data file cannot be read, or belongs to a resource that the agreement does not grant.',
  'data.unreadable': 'A data file does not open with the key that its owner released.',
  'workload.tool-missing': 'A program that starts workloads is not installed: runc, setpriv or unshare.',
  'workload.image':
    'The image asks for something that the launcher does not give: an unknown user, a relative directory.',
  'workload.image-key': 'A layer of the image is encrypted, and the agreement grants no resource that opens it.',
  'workload.storage': 'The image is encrypted or pulled, and would be unpacked where the host can read or change it.',
  'workload.other-image': 'The reference to pull names another digest than the one that is launched.',
  'workload.material': 'What an image is pulled by shall be released, and the agreement grants it not, or twice.',
  'workload.failed': 'The workload ended without success.',
  'result.missing': 'The workload wrote no result.',
  'result.malformed': 'The result is not a JSON object with a count.',
  'result.too-large': 'The result is larger than the limit stated for it.',
  'result.too-few': 'The result aggregates fewer records than the agreement allows to show.',
  'wait.expired': 'The owners did not release everything before the deadline.',
  interrupted: 'The agent was told to stop.',
} as const

export type AgentErrorCode = keyof typeof AGENT_ERROR_CODES

export class AgentError extends Error {
  override readonly name = 'AgentError'
  readonly code: AgentErrorCode
  /** @param message - For an operator: what was found, what was wanted, and where. Never a secret. */
  constructor(code: AgentErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
