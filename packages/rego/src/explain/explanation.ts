import { formatValue, type Value } from '../value/index.ts'
import type { Location } from '../syntax/source.ts'
import type { Fact } from './facts.ts'

/** The first expression that failed in a body. */
export type FailedExpression = {
  readonly location: Location
  readonly text: string
  /** Variables that had a value. */
  readonly variables: Readonly<Record<string, Value>>
  /** What its references gave, by their text; undefined where there is nothing. */
  readonly reads: readonly { readonly text: string; readonly value: Value | undefined }[]
  /** Inside `every`, the expression that failed for an element. */
  readonly inside: FailedExpression | undefined
}

/** One body of a rule. */
export type BodyExplanation = {
  readonly location: Location
  /** How often it was tried: more than once for functions. */
  readonly tried: number
  readonly held: number
  /** Where the last attempt ended that failed; undefined if all held. */
  readonly failed: FailedExpression | undefined
}

/** A rule that was tried. */
export type RuleExplanation = {
  /** `data.authz.allow` */
  readonly path: string
  readonly kind: 'rule' | 'function'
  /** Undefined if it had none. Of a function, the value of its last call. */
  readonly value: Value | undefined
  readonly bodies: readonly BodyExplanation[]
}

/** An answer that came from outside: nobody can replay it from the input alone. */
export type OutsideAnswer = {
  readonly name: string
  readonly args: readonly Value[]
  readonly value: Value | undefined
}

export type Explanation = {
  /** The decision that is explained. */
  readonly decision: boolean
  /** In the order in which they were first tried. */
  readonly rules: readonly RuleExplanation[]
  /** The smallest set of input facts that would change the decision; undefined if none was found. */
  readonly flip: readonly Fact[] | undefined
  /** All sets of that size that were found, the one in `flip` first. */
  readonly flips: readonly (readonly Fact[])[]
  /** False if the search for `flips` was cut short. */
  readonly complete: boolean
  readonly outside: readonly OutsideAnswer[]
}

/** An explanation as text: rules, why they failed, what would change the decision. */
export function formatExplanation(e: Explanation): string {
  const lines = [`decision: ${e.decision ? 'yes' : 'no'}`]
  for (const r of e.rules) {
    lines.push(`${r.path}${r.value === undefined ? ' has no value' : ` is ${short(r.value)}`}`)
    for (const b of r.bodies) if (b.failed !== undefined && b.held === 0) lines.push(...failedLines(b.failed, '  '))
  }
  for (const o of e.outside) {
    lines.push(
      `from outside: ${o.name}(${o.args.map(short).join(', ')}) gave ${o.value === undefined ? 'nothing' : short(o.value)}`,
    )
  }
  if (e.flip === undefined) lines.push('no change of the input was found that changes the decision')
  else {
    lines.push(`would be ${e.decision ? 'no' : 'yes'} if`)
    for (const f of e.flip) lines.push(`  ${factText(f)}`)
  }
  return lines.join('\n')
}

function failedLines(f: FailedExpression, indent: string): string[] {
  const lines = [`${indent}${f.location.file}:${f.location.row}: ${f.text} does not hold`]
  for (const { text, value } of f.reads)
    lines.push(`${indent}  ${text} is ${value === undefined ? 'undefined' : short(value)}`)
  if (f.inside !== undefined) lines.push(...failedLines(f.inside, `${indent}  `))
  return lines
}

function factText(f: Fact): string {
  const was = f.from === undefined ? 'is not there' : `is ${short(f.from)}`
  return f.to === undefined ? `${f.text} were not there (${was})` : `${f.text} were ${short(f.to)} (${was})`
}

function short(v: Value): string {
  const text = formatValue(v)
  return text.length > 120 ? `${text.slice(0, 117)}...` : text
}
