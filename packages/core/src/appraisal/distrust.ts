import { z } from 'zod'
import type { Claims } from '../claims/claims.ts'

/** A platform, image or boot state that an owner no longer trusts. It ends leases and blocks what is otherwise perfect (L01). */
export const distrustRuleSchema = z.strictObject({
  id: z.string().min(1).max(64),
  subject: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('machine'), machine: z.string().min(1).max(128) }),
    z.strictObject({ kind: z.literal('image'), image: z.string().min(1).max(128) }),
    z.strictObject({ kind: z.literal('anchor'), anchor: z.string().min(1).max(256) }),
    z.strictObject({
      kind: z.literal('register'),
      register: z.number().int().min(0).max(15),
      value: z.string().length(64),
    }),
  ]),
  reason: z.string().min(1).max(1000),
})
export type DistrustRule = z.infer<typeof distrustRuleSchema>

/** True when the rule speaks of what these claims describe. */
export function isDistrusted(rule: DistrustRule, claims: Claims): boolean {
  const { subject } = rule
  switch (subject.kind) {
    case 'machine':
      return claims.machine === subject.machine
    case 'image':
      return claims.launch.image === subject.image
    case 'anchor':
      return claims.anchor === subject.anchor
    case 'register':
      return claims.boot.registers[String(subject.register)] === subject.value
  }
}
