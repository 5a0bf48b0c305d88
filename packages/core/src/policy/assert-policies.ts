import type { Agreement } from '../agreement/agreement.ts'
import { VouchsafeError } from '../base/errors.ts'
import { checkGrant, placeText } from './check-grant.ts'

/**
 * Holds every grant of an agreement against what may come into force, before anybody can sign or file it (F05).
 *
 * @throws {VouchsafeError} `policy.no-evidence` or `policy.invalid`, naming each finding
 */
export function assertPolicies({ body }: Agreement): void {
  const refused = body.grants.flatMap((g) =>
    checkGrant(g)
      .filter((f) => f.severity === 'refuse')
      .map((f) => ({ ...f, grant: g.id })),
  )
  const [first] = refused
  if (first === undefined) return
  const open = refused.every((f) => f.check === 'no-evidence' || f.check === 'names-only')
  throw new VouchsafeError(
    open ? 'policy.no-evidence' : 'policy.invalid',
    refused.map((f) => `grant ${f.grant}: ${placeText(f)}: ${f.message} (${f.hint})`).join('\n'),
  )
}
