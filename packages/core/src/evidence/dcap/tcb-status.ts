/**
 * What Intel says of a TCB. The two `TDRelaunchAdvised` are never in collateral: they follow from a TD that was launched
 * under an old module and now runs under a good one.
 *
 * @source Intel PCS API v4: tcbStatus; Intel DCAP Quote Verification Library 1.22: TD relaunch
 */
export const TCB_STATUSES = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'TDRelaunchAdvised',
  'TDRelaunchAdvisedConfigurationNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'Revoked',
] as const
export type TcbStatus = (typeof TCB_STATUSES)[number]

/** The statuses that collateral may give. */
export const COLLATERAL_STATUSES = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'Revoked',
] as const
type CollateralStatus = (typeof COLLATERAL_STATUSES)[number]

/** What is wrong, taken apart, so that statuses of several parts can be put together. */
interface Complaints {
  readonly revoked: boolean
  readonly outOfDate: boolean
  readonly configuration: boolean
  readonly hardening: boolean
}

function complaintsOf(status: CollateralStatus): Complaints {
  return {
    revoked: status === 'Revoked',
    outOfDate: status === 'OutOfDate' || status === 'OutOfDateConfigurationNeeded',
    configuration:
      status === 'ConfigurationNeeded' ||
      status === 'ConfigurationAndSWHardeningNeeded' ||
      status === 'OutOfDateConfigurationNeeded',
    hardening: status === 'SWHardeningNeeded' || status === 'ConfigurationAndSWHardeningNeeded',
  }
}

/** Puts the statuses of platform, module and quoting enclave together: whatever is wrong with one is wrong with all (D14). */
export function combineTcbStatus(statuses: readonly [CollateralStatus, ...CollateralStatus[]]): CollateralStatus {
  const [first] = statuses
  if (statuses.every((status) => status === first)) return first
  const all = statuses.map(complaintsOf)
  const has = (complaint: keyof Complaints) => all.some((c) => c[complaint])
  if (has('revoked')) return 'Revoked'
  if (has('outOfDate')) return has('configuration') ? 'OutOfDateConfigurationNeeded' : 'OutOfDate'
  if (has('configuration')) return has('hardening') ? 'ConfigurationAndSWHardeningNeeded' : 'ConfigurationNeeded'
  return has('hardening') ? 'SWHardeningNeeded' : 'UpToDate'
}

/**
 * A TD 1.5 report carries the TCB at launch and the one now. Out of date at launch and good now means that relaunching
 * helps; otherwise the status at launch stands, since what ran at launch set the TD up.
 */
export function withRelaunch(atLaunch: CollateralStatus, now: CollateralStatus): TcbStatus {
  const launch = complaintsOf(atLaunch)
  const current = complaintsOf(now)
  if (!launch.outOfDate || current.outOfDate || current.revoked) return atLaunch
  return launch.configuration || current.configuration ? 'TDRelaunchAdvisedConfigurationNeeded' : 'TDRelaunchAdvised'
}
