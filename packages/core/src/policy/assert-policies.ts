import type { Agreement } from '../agreement/agreement.ts'
import { VouchsafeError } from '../base/errors.ts'
import { checkGrants, placeText } from './check-grant.ts'

/**
 * Holds every grant of an agreement against what may come into force, before anybody can sign or file it (F05).
 *
 * @throws {VouchsafeError} `policy.no-evidence` or `policy.invalid`, naming each finding
 */
export function assertPolicies({ body }: Agreement): void {
  const refused = checkGrants(body).filter((f) => f.severity === 'refuse')
  const [first] = refused
  if (first === undefined) return
  const open = refused.every((f) => f.check === 'no-evidence' || f.check === 'names-only')
  throw new VouchsafeError(
    open ? 'policy.no-evidence' : 'policy.invalid',
    refused.map((f) => `grant ${f.grant}: ${placeText(f)}: ${f.message} (${f.hint})`).join('\n'),
  )
}
