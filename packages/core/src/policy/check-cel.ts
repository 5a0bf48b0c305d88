import type { Grant } from '../agreement/agreement.ts'
import { VouchsafeError } from '../base/errors.ts'
import { type CelProgram, compileCel, evaluateCel, toCelVariables } from './cel/cel-program.ts'
import { usesOfCel } from './cel/cel-uses.ts'
import type { FormCheck } from './check-grant.ts'
import { checkUses } from './claim-use.ts'
import { CEL_CLAIMS } from './judge-cel.ts'
import type { PolicyFinding } from './policy-finding.ts'

/** The CEL expressions of a grant: they compile, know their claims, and say no to a guest that shows nothing. */
export function checkCel({ id, cel }: Pick<Grant, 'id' | 'cel'>): FormCheck {
  if (cel === undefined) return { findings: [], reads: [] }
  const checks = cel.map((text, i) => checkExpression(text, `${id}.cel[${i}]`))
  return { findings: checks.flatMap((c) => c.findings), reads: checks.flatMap((c) => c.reads) }
}

function checkExpression(text: string, file: string): FormCheck {
  let program: CelProgram
  try {
    program = compileCel(text, [CEL_CLAIMS])
  } catch (error) {
    if (!(error instanceof VouchsafeError) || error.code !== 'policy.invalid') throw error
    const place = { file, row: 0, text }
    const hint = 'see docs/guide/policy.md for what expressions may say'
    return { findings: [{ severity: 'refuse', check: 'compile', message: error.message, hint, place }], reads: [] }
  }
  const uses = usesOfCel(program, file)
  const always = program.terms.filter((term) => {
    const [answer] = evaluateCel([{ text, terms: [term] }], toCelVariables({ [CEL_CLAIMS]: {} }))
    return answer?.kind === 'value' && answer.value === true
  })
  return {
    findings: [
      ...checkUses(uses),
      ...always.map((term): PolicyFinding => ({
        severity: 'warn',
        check: 'negation',
        message: `${term.text} is true of a guest that shows nothing`,
        hint: 'say what must be there instead of what must not',
        place: { file, row: 0, text: term.text },
      })),
    ],
    // a term that is true of nothing at all is no condition on what it reads
    reads: uses.reads.filter(({ place }) => !always.some((term) => term.text === place.text)),
  }
}
