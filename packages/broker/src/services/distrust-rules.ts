import { type DistrustRule, distrustRuleSchema, parseSchema, parseStrictJson } from '@vouchsafe/core'
import type { Store } from '../store/store.ts'

/** The distrust rules in force, read from the exact bytes that were filed. */
export async function distrustRulesOf(store: Store, tenant: string): Promise<DistrustRule[]> {
  const rules = await store.distrustRules(tenant)
  return rules.map((r) =>
    parseSchema(distrustRuleSchema, parseStrictJson(r.request, { maxBytes: 16_384 }), 'distrust rule'),
  )
}

/**
 * The mark that every decision carries which may rest on a rule's subject. Rules over a range find more than they speak of:
 * `isExact` tells which, and whoever acts looks at the claims of each.
 */
export function markOf({ subject }: DistrustRule): string {
  switch (subject.kind) {
    case 'machine':
      return `machine:${subject.machine}`
    case 'image':
      return `image:${subject.image}`
    case 'anchor':
      return `anchor:${subject.anchor}`
    case 'register':
      return `register:${subject.register}:${subject.value}`
    case 'chip':
      return `chip:${subject.chip}`
    case 'hidden-chips':
      return 'chip:hidden'
    case 'family':
    case 'microcode':
    case 'firmware':
      return `family:${subject.family}`
    case 'measurement':
      return `measurement:${subject.measurement}`
    case 'advisory':
      return `advisory:${subject.advisory}`
    case 'tcb-before':
      return 'platform:any'
  }
}

/** Whether the mark says it all. */
export function isExact({ subject }: DistrustRule): boolean {
  return !['microcode', 'firmware', 'tcb-before'].includes(subject.kind)
}
