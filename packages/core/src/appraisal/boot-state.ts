import type { AgreementBody } from '../agreement/agreement.ts'
import { must } from './check.ts'
import type { Finding } from './finding.ts'
import type { Measured } from './measured.ts'

/** Launch events have a register of their own; `launch.ts` judges them one by one. */
export const LAUNCH_REGISTER = 13

/** Registers that the platform and firmware write, and so an agreement must pin: all that count but the launch register. */
const BOOT_REGISTERS = Array.from({ length: 16 }, (_, n) => n).filter((n) => n !== LAUNCH_REGISTER)
const UNTOUCHED = '0'.repeat(64)
/** A reason is read by people; the record holds the whole log. */
const MAX_EVENTS = 16

/**
 * One finding a register. A register that something was measured into must be pinned, or be named as unpinned:
 * otherwise that part of the boot would be free (B17, D12).
 *
 * @param measured - What made a register's value. It judges nothing: it goes beside a value that was not agreed.
 */
export function appraiseBootState(
  registers: Readonly<Record<string, string>>,
  environment: AgreementBody['environment'],
  measured: Measured,
): readonly Finding[] {
  // a machine that measured nothing at all would pass where nothing is pinned at all
  if (Object.keys(environment.registers).length === 0)
    return [must('appraisal.boot-state', 'executables', false, 'a pinned register', 'no register is pinned')]
  return BOOT_REGISTERS.flatMap((n) => {
    const actual = registers[String(n)]
    const allowed = environment.registers[String(n)]
    if (environment.dangerouslyUnpinnedRegisters.includes(n) && allowed === undefined) return []
    if (allowed === undefined && actual === UNTOUCHED) return []
    const ok = actual !== undefined && allowed !== undefined && allowed.includes(actual)
    return [
      {
        check: 'appraisal.boot-state',
        aspect: 'executables',
        tier: ok ? 'affirming' : 'contraindicated',
        expected: `register ${n} is ${allowed === undefined ? 'untouched, since no value is pinned' : allowed.join(' or ')}`,
        actual: `register ${n} is ${actual ?? 'not in the evidence'}${ok ? '' : listed(measured(n))}`,
      } as const,
    ]
  })
}

/** A pin is of all events together, so which of them is another one cannot be told from it: every one is named. */
export function listed(events: readonly string[]): string {
  if (events.length === 0) return ''
  const more = events.length > MAX_EVENTS ? `; and ${events.length - MAX_EVENTS} more` : ''
  return `, made by ${events.slice(0, MAX_EVENTS).join('; ')}${more}`
}
