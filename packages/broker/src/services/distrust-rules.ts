import { type DistrustRule, distrustRuleSchema, parseSchema, parseStrictJson } from '@vouchsafe/core'
import type { Store } from '../store/store.ts'

/** The distrust rules in force, read from the exact bytes that were filed. */
export async function distrustRulesOf(store: Store, tenant: string): Promise<DistrustRule[]> {
  const rules = await store.distrustRules(tenant)
  return rules.map((r) =>
    parseSchema(distrustRuleSchema, parseStrictJson(r.request, { maxBytes: 16_384 }), 'distrust rule'),
  )
}

/** The mark by which decisions that relied on a rule's subject are found. */
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
  }
}
