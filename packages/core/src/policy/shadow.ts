import { z } from 'zod'
import { type Agreement, grantSchema, nameSchema } from '../agreement/agreement.ts'
import type { Decision } from './decision.ts'

/** Grants that are tried out: evaluated beside the agreement's own, told where they differ, without any effect. */
export const shadowSchema = z.strictObject({
  name: nameSchema,
  /** When the trial ends. Required: a trial that nobody ends is forgotten (F17). */
  until: z.iso.datetime(),
  /** Stand in for the grants of the tenant's owner; those of other owners stay as they are. */
  grants: z.array(grantSchema).min(1).max(64),
})
export type Shadow = z.infer<typeof shadowSchema>

/** What a shadow would have decided. */
export interface ShadowFinding {
  readonly name: string
  readonly kind: Decision['kind'] | 'expired' | 'failed'
  /** Whether its answer is another than the decision’s. */
  readonly differs: boolean
  readonly reasons: readonly { readonly code: string; readonly expected: string; readonly actual: string }[]
}

/**
 * Asks each shadow. Nothing of it reaches the decision, which was taken before; whatever goes wrong in a shadow is a
 * finding of its own.
 *
 * @param decideUnder - The decision under another agreement, everything else the same.
 */
export function consultShadows(
  shadows: readonly Shadow[],
  agreement: Agreement,
  owner: string,
  decision: Decision,
  decideUnder: (agreement: Agreement) => Decision,
  at: Date,
): readonly ShadowFinding[] {
  return shadows.map((shadow) => {
    if (at.getTime() >= Date.parse(shadow.until))
      return { name: shadow.name, kind: 'expired', differs: false, reasons: [] }
    try {
      const other = decideUnder(underShadow(agreement, owner, shadow))
      return {
        name: shadow.name,
        kind: other.kind,
        differs: other.kind !== decision.kind,
        reasons:
          'reasons' in other ? other.reasons.map(({ code, expected, actual }) => ({ code, expected, actual })) : [],
      }
    } catch (error) {
      const actual = error instanceof Error ? error.message : String(error)
      const reasons = [{ code: 'internal', expected: `shadow ${shadow.name} to answer`, actual }]
      return { name: shadow.name, kind: 'failed', differs: true, reasons }
    }
  })
}

/** The agreement as it would be with the shadow's grants, under its own digest: who approved it is not in question here. */
function underShadow(agreement: Agreement, owner: string, { grants }: Shadow): Agreement {
  const others = agreement.body.grants.filter((g) => g.owner !== owner)
  return { ...agreement, body: { ...agreement.body, grants: [...others, ...grants.map((g) => ({ ...g, owner }))] } }
}
