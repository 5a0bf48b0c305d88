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
    /** One chip, by CHIP_ID or PPID. A chip whose id is hidden is never known to be another (D07): see `hidden-chips`. */
    z.strictObject({ kind: z.literal('chip'), chip: z.string().regex(/^(?:[0-9a-f]{2}){8,64}$/) }),
    /** Every chip whose host hides which it is: what a list of chips cannot reach. */
    z.strictObject({ kind: z.literal('hidden-chips') }),
    /** A product line: `Milan`, or an FMSPC. */
    z.strictObject({ kind: z.literal('family'), family: z.string().min(1).max(64) }),
    /** Of a product line, microcode below this security version. */
    z.strictObject({
      kind: z.literal('microcode'),
      family: z.string().min(1).max(64),
      below: z.number().int().min(1).max(0xffff),
    }),
    /** Of a product line, this version of the firmware: `1.55.29`, or a TEE_TCB_SVN. */
    z.strictObject({
      kind: z.literal('firmware'),
      family: z.string().min(1).max(64),
      firmware: z.string().min(1).max(64),
    }),
    /** What was launched, by MEASUREMENT or MRTD: a guest whose firmware or kernel turned out bad (D21). */
    z.strictObject({ kind: z.literal('measurement'), measurement: z.string().regex(/^[0-9a-f]{96}$/) }),
    /** Platforms for which the vendor names this advisory. */
    z.strictObject({ kind: z.literal('advisory'), advisory: z.string().min(1).max(64) }),
    /** Platforms whose TCB was current before this moment only, or at no known time. */
    z.strictObject({ kind: z.literal('tcb-before'), date: z.iso.datetime() }),
  ]),
  reason: z.string().min(1).max(1000),
})
export type DistrustRule = z.infer<typeof distrustRuleSchema>

/** True when the rule speaks of what these claims describe. */
export function isDistrusted(rule: DistrustRule, claims: Claims): boolean {
  const { subject } = rule
  const { platform } = claims
  switch (subject.kind) {
    case 'machine':
      return claims.machine === subject.machine
    case 'image':
      return claims.launch.image === subject.image
    case 'anchor':
      return claims.anchors.includes(subject.anchor)
    case 'register':
      return claims.boot.registers[String(subject.register)] === subject.value
    case 'chip':
      return platform.chip === subject.chip
    case 'hidden-chips':
      return platform.chip === 'hidden'
    case 'family':
      return platform.family === subject.family
    case 'microcode':
      return platform.family === subject.family && platform.microcode < subject.below
    case 'firmware':
      return platform.family === subject.family && platform.firmware === subject.firmware
    case 'measurement':
      return platform.measurement === subject.measurement
    case 'advisory':
      return platform.advisories.includes(subject.advisory)
    case 'tcb-before':
      // AMD dates no TCB, so no AMD platform is known to be newer; a TPM has no TCB to be old
      return platform.vendor !== 'none' && !(Date.parse(platform.tcbDate) >= Date.parse(subject.date))
  }
}
