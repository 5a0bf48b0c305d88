import { type ConditionFinding, type PolicyFinding, type Reason, placeText } from '@vouchsafe/core'
import pc from 'picocolors'

/** Findings about a policy, worst first, each with what to do. */
export function policyFindingsText(findings: readonly PolicyFinding[]): string {
  const worstFirst = [...findings].sort((a, b) => Number(a.severity === 'warn') - Number(b.severity === 'warn'))
  return worstFirst
    .map((f) => {
      const severity = f.severity === 'refuse' ? pc.red('refuse') : pc.yellow('warn  ')
      return `${severity}  ${placeText(f)}: ${f.message} ${pc.dim(`(${f.check})`)}\n        ${f.hint}`
    })
    .join('\n')
}

/** What became of each rule, those that did not hold first. */
export function conditionsText(conditions: readonly ConditionFinding[]): string {
  return [...conditions]
    .sort((a, b) => Number(a.held) - Number(b.held))
    .map(
      (c) =>
        `  ${c.held ? pc.green('holds') : pc.red('fails')}  ${c.form.padEnd(5)}  ${c.grant}: ${c.rule}${c.held ? '' : `\n                ${c.actual}`}`,
    )
    .join('\n')
}

export function reasonsText(reasons: readonly Reason[]): string {
  return reasons
    .map(
      (r) =>
        `  ${pc.bold(r.code)}\n    expected  ${r.expected}\n    actual    ${r.actual}\n    ${pc.dim('do')}        ${r.advice}`,
    )
    .join('\n')
}
