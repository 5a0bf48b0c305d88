import { expect, test } from 'vitest'
import { COLLATERAL_STATUSES, combineTcbStatus, withRelaunch } from './tcb-status.ts'

test.each([
  [['UpToDate', 'UpToDate', 'UpToDate'], 'UpToDate'],
  [['SWHardeningNeeded', 'UpToDate'], 'SWHardeningNeeded'],
  [['UpToDate', 'OutOfDate'], 'OutOfDate'],
  [['SWHardeningNeeded', 'OutOfDate'], 'OutOfDate'],
  [['ConfigurationNeeded', 'OutOfDate'], 'OutOfDateConfigurationNeeded'],
  [['ConfigurationAndSWHardeningNeeded', 'OutOfDate'], 'OutOfDateConfigurationNeeded'],
  [['ConfigurationNeeded', 'SWHardeningNeeded'], 'ConfigurationAndSWHardeningNeeded'],
  [['UpToDate', 'ConfigurationNeeded'], 'ConfigurationNeeded'],
  [['OutOfDate', 'Revoked'], 'Revoked'],
] as const)('D14 %j together are %s', (statuses, together) => {
  const [first, ...rest] = statuses
  const [last, ...before] = statuses.toReversed()
  expect(combineTcbStatus([first, ...rest])).toBe(together)
  expect(combineTcbStatus([last!, ...before])).toBe(together)
})

test.each(COLLATERAL_STATUSES)('%s alone stays what it is', (status) => {
  expect(combineTcbStatus([status])).toBe(status)
})

test.each([
  ['OutOfDate', 'UpToDate', 'TDRelaunchAdvised'],
  ['OutOfDate', 'SWHardeningNeeded', 'TDRelaunchAdvised'],
  ['OutOfDate', 'ConfigurationNeeded', 'TDRelaunchAdvisedConfigurationNeeded'],
  ['OutOfDateConfigurationNeeded', 'UpToDate', 'TDRelaunchAdvisedConfigurationNeeded'],
  ['OutOfDate', 'OutOfDate', 'OutOfDate'],
  ['OutOfDate', 'OutOfDateConfigurationNeeded', 'OutOfDate'],
  ['OutOfDate', 'Revoked', 'OutOfDate'],
  ['UpToDate', 'OutOfDate', 'UpToDate'],
  ['Revoked', 'UpToDate', 'Revoked'],
] as const)('launched %s and now %s: %s', (launch, now, status) => {
  expect(withRelaunch(launch, now)).toBe(status)
})
