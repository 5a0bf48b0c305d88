import { type Policy, RegoError, parseModule } from '@vouchsafe/rego'
import type { Grant, RegoCondition } from '../agreement/agreement.ts'
import { referenceNameSchema } from '../agreement/reference/reference-set.ts'
import { VouchsafeError } from '../base/errors.ts'
import type { FormCheck } from './check-grant.ts'
import { type ReferenceUse, checkUses } from './claim-use.ts'
import type { PolicyFinding } from './policy-finding.ts'
import { REGO_BOUNDS, compileRego } from './rego/compile-rego.ts'
import { NO_VALUES, answering } from './rego/reference-function.ts'
import { negationTraps } from './rego/rego-traps.ts'
import { usesOfRego } from './rego/rego-uses.ts'

/** The Rego condition of a grant: it compiles, has its entry, knows its claims, and avoids the known traps. */
export function checkRego({ id, rego }: Pick<Grant, 'id' | 'rego'>): FormCheck {
  if (rego === undefined) return { findings: [], reads: [], asks: [] }
  let policy: Policy
  try {
    policy = compileRego(rego)
  } catch (error) {
    if (!(error instanceof VouchsafeError) || error.code !== 'policy.invalid') throw error
    return { findings: compileFindings(error, id), reads: [], asks: [] }
  }
  const place = { file: `${id}.rego`, row: 0, text: rego.allow }
  if (!policy.rules.includes(rego.allow)) {
    const message = `there is no rule ${rego.allow}`
    const hint = `its rules are ${policy.rules.join(', ') || 'none'}`
    return { findings: [{ severity: 'refuse', check: 'entry', message, hint, place }], reads: [], asks: [] }
  }
  const uses = usesOfRego(policy, rego.allow.split('.').slice(1))
  const findings = [
    ...checkUses(uses),
    ...uses.asks.flatMap(checkName),
    ...Object.entries(rego.modules).flatMap(([file, text]) => negationTraps(parseModule(file, text))),
    ...shadowed(rego, policy),
  ]
  const { reads, asks } = uses
  if (!saysYesToNothing(policy, rego.allow)) return { findings, reads, asks }
  const open: PolicyFinding = {
    severity: 'warn',
    check: 'negation',
    message: `${rego.allow} is true of a guest that shows nothing`,
    hint: 'say what must be there instead of what must not: a rule that only excludes lets everything else in',
    place,
  }
  // and so it is no condition on what it reads
  return { findings: [...findings, open], reads: [], asks }
}

/** A name that no set can hold is a slip of the pen, and would be null for ever. */
function checkName({ name, place }: ReferenceUse): readonly PolicyFinding[] {
  if (name === null || referenceNameSchema.safeParse(name).success) return []
  const message = `no reference value can be called ${JSON.stringify(name)}`
  const hint = 'names are of letters, digits and . _ / - and at most 128 long'
  return [{ severity: 'refuse', check: 'reference', message, hint, place }]
}

/** Asked without claims, with none, and with null: whatever is true then reads no evidence, or takes its absence for good. */
function saysYesToNothing(policy: Policy, allow: string): boolean {
  return [undefined, {}, null].some((input) => {
    try {
      return answering(NO_VALUES, () => policy.eval(allow, input, { ...REGO_BOUNDS, timeNs: 0n })).value === true
    } catch (error) {
      if (error instanceof RegoError) return false // no answer is no release
      throw error
    }
  })
}

/** Base data where a rule stands as well: a reference to the rule sees the rule, one to its package the data. */
function shadowed({ data }: RegoCondition, policy: Policy): readonly PolicyFinding[] {
  if (data === undefined) return []
  return policy.rules
    .filter((rule) => hasPath(data, rule.split('.').slice(1)))
    .map((rule) => ({
      severity: 'refuse',
      check: 'shadowed',
      message: `${rule} is both a rule and base data`,
      hint: 'give the data another name',
      place: { file: 'data', row: 0, text: rule },
    }))
}

function hasPath(data: unknown, path: readonly string[]): boolean {
  let at = data
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return false
    at = (at as Record<string, unknown>)[step]
  }
  return true
}

function compileFindings(error: VouchsafeError, id: string): readonly PolicyFinding[] {
  const diagnostics = error.cause instanceof RegoError ? error.cause.diagnostics : []
  return diagnostics.map(({ message, location, hint, code }) => ({
    severity: 'refuse',
    check: 'compile',
    message: `${code}: ${message}`,
    hint: hint ?? 'correct the module',
    place: { file: location?.file ?? `${id}.rego`, row: location?.row ?? 0, text: location?.text ?? '' },
  }))
}
