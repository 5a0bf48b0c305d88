import type { AgreementBody } from '../agreement/agreement.ts'
import type { Finding } from './finding.ts'

/** Launch events have a register of their own; `launch.ts` judges them one by one. */
export const LAUNCH_REGISTER = 13

/** Registers that the platform and firmware write, and so an agreement must pin: all that count but the launch register. */
const BOOT_REGISTERS = Array.from({ length: 16 }, (_, n) => n).filter((n) => n !== LAUNCH_REGISTER)
const UNTOUCHED = '0'.repeat(64)

/**
 * One finding a register. A register that something was measured into must be pinned, or be named as unpinned:
 * otherwise that part of the boot would be free (B17, D12).
 */
export function appraiseBootState(
  registers: Readonly<Record<string, string>>,
  environment: AgreementBody['environment'],
): readonly Finding[] {
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
        actual: `register ${n} is ${actual ?? 'not in the evidence'}`,
      } as const,
    ]
  })
}
