import type { Condition, Grant } from '../agreement/agreement.ts'
import type { FormCheck } from './check-grant.ts'
import { type ClaimComparison, type ClaimUse, checkUses } from './claim-use.ts'

/** The plain conditions of a grant, held against the claim schema. */
export function checkPlain({ id, when }: Pick<Grant, 'id' | 'when'>): FormCheck {
  const reads: ClaimUse[] = []
  const comparisons: ClaimComparison[] = []
  for (const [i, condition] of when.entries()) {
    const place = { file: `${id}.when[${i}]`, row: 0, text: JSON.stringify(condition) }
    const path = condition.op === 'at-least-class' ? ['class'] : condition.claim.split('.')
    reads.push({ path, place })
    for (const constant of constantsOf(condition)) comparisons.push({ path, operator: 'equal', constant, place })
  }
  return { findings: checkUses({ reads, comparisons }), reads }
}

function constantsOf(condition: Condition): readonly (string | number | boolean)[] {
  switch (condition.op) {
    case 'equals':
      return [condition.value]
    case 'one-of':
      return condition.values
    case 'at-least-class':
      return []
  }
}
