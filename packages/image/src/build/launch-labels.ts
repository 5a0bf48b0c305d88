/**
 * What an image's author lets an operator change at launch, as image labels (H14). The spellings are those of
 * Confidential Space, so that its launcher and ours read the same image.
 */
export interface LaunchPolicyLabels {
  /** May the operator replace the arguments? No unless told. */
  readonly allowCommandOverride?: boolean
  /** Names of environment variables that the operator may set. None unless told. */
  readonly allowEnvOverride?: readonly string[]
  /** Where standard output may go. `debugonly` unless told, as upstream; agreements may close it further. */
  readonly logRedirect?: 'always' | 'never' | 'debugonly'
  /** Directories, absolute, below which the operator may mount. None unless told. */
  readonly allowMountDestinations?: readonly string[]
  readonly allowCapabilities?: boolean
  readonly allowCgroups?: boolean
}

const PREFIX = 'tee.launch_policy.'

/** Labels for `BuildConfig.labels`. Only what is stated is written: an absent label means the strict default. */
export function launchPolicyLabels(policy: LaunchPolicyLabels): Record<string, string> {
  const labels: Record<string, string> = {}
  const set = (name: string, value: string | boolean | undefined) => {
    if (value !== undefined) labels[PREFIX + name] = String(value)
  }
  set('allow_cmd_override', policy.allowCommandOverride)
  set('allow_env_override', policy.allowEnvOverride?.join(','))
  set('log_redirect', policy.logRedirect)
  set('allow_mount_destinations', policy.allowMountDestinations?.join(':'))
  set('allow_capabilities', policy.allowCapabilities)
  set('allow_cgroups', policy.allowCgroups)
  return labels
}

const LOADS_CODE =
  /^(LD_.*|DYLD_.*|GCONV_PATH|NODE_OPTIONS|NODE_PATH|PYTHON(PATH|STARTUP|HOME|INSPECT)|PERL5(LIB|OPT|DB)|RUBY(LIB|OPT)|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|CLASSPATH|BASH_ENV|ENV|SHELLOPTS|BASHOPTS|PROMPT_COMMAND|PATH|IFS|GIT_.*|SSL_CERT_(FILE|DIR)|NODE_EXTRA_CA_CERTS|NODE_TLS_REJECT_UNAUTHORIZED|OPENSSL_(CONF|MODULES|ENGINES)|(HTTPS?|ALL|NO|FTP)_PROXY)$/i

/**
 * Names whose value is as good as code, or moves where a program connects (H15): who may set one of them may run
 * anything. The build warns about these in an allow list; the launcher refuses to pass them on.
 */
export function loadsCode(variableName: string): boolean {
  return LOADS_CODE.test(variableName)
}
