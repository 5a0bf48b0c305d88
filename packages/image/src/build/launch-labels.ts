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

/** A line for each reader; a star stands for any ending. */
const OBEYED = [
  // the loader and glibc
  'LD_* DYLD_* GCONV_PATH GETCONF_DIR GLIBC_TUNABLES LOCPATH NLSPATH',
  // shells and git
  'PATH IFS ENV BASH_ENV BASH_FUNC_* SHELLOPTS BASHOPTS PROMPT_COMMAND PS4 ZDOTDIR GIT_*',
  'NODE_OPTIONS NODE_PATH NODE_EXTRA_CA_CERTS NODE_TLS_REJECT_UNAUTHORIZED NPM_CONFIG_* BUN_OPTIONS',
  'PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONINSPECT PYTHONUSERBASE PYTHONBREAKPOINT PYTHONWARNINGS PYTHONPYCACHEPREFIX',
  'PERL5LIB PERLLIB PERL5OPT PERL5DB PERL5SHELL RUBYLIB RUBYOPT GEM_HOME GEM_PATH BUNDLE_GEMFILE',
  'JAVA_TOOL_OPTIONS _JAVA_OPTIONS JDK_JAVA_OPTIONS JAVA_OPTS CATALINA_OPTS CLASSPATH',
  'DOTNET_STARTUP_HOOKS DOTNET_ADDITIONAL_DEPS DOTNET_SHARED_STORE CORECLR_PROFILER* COR_PROFILER*',
  'LUA_INIT* LUA_PATH* LUA_CPATH* PHPRC PHP_INI_SCAN_DIR R_PROFILE* R_ENVIRON* R_LIBS* JULIA_LOAD_PATH JULIA_DEPOT_PATH',
  'ERL_FLAGS ERL_AFLAGS ERL_ZFLAGS ELIXIR_ERL_OPTIONS',
  // where connections go, and who can read them
  'HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY FTP_PROXY GRPC_PROXY HOSTALIASES LOCALDOMAIN RES_OPTIONS RESOLV_HOST_CONF',
  'SSL_CERT_FILE SSL_CERT_DIR SSLKEYLOGFILE OPENSSL_CONF OPENSSL_MODULES OPENSSL_ENGINES KRB5_CONFIG',
  'CURL_CA_BUNDLE REQUESTS_CA_BUNDLE AWS_CA_BUNDLE GRPC_DEFAULT_SSL_ROOTS_FILE_PATH',
].flatMap((line) => line.split(' '))
const LOADS_CODE = new RegExp(`^(?:${OBEYED.join('|').replaceAll('*', '.*')})$`, 'i')

/**
 * Names whose value is as good as code, or moves or opens a program's connections (H15): who may set one of them may run
 * anything. The build warns about these in an allow list; the launcher refuses to pass them on. A list of what is known: what
 * an image's own program obeys beside is for its author to know.
 */
export function loadsCode(variableName: string): boolean {
  return LOADS_CODE.test(variableName)
}
