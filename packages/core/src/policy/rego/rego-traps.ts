import { parseModule } from '@vouchsafe/rego'
import type { PolicyFinding } from '../policy-finding.ts'
import { REFERENCE_FUNCTION } from './reference-function.ts'

type Module = ReturnType<typeof parseModule>
type Rule = Module['rules'][number]
type Expr = Rule['body'][number]
type Term = Extract<Expr, { kind: 'term' }>['term']

/** Comparisons stay inside the negation as long as both sides are plain; every other call is evaluated in front of it. */
const STAYS_INSIDE = new Set(['equal', 'eq', 'neq', 'lt', 'lte', 'gt', 'gte'])

/**
 * `not f(input.x)` and `not input.x in y` do not hold when `input.x` is missing: the operand is looked up in front of
 * the negation, and the whole rule is undefined. A rule `deny if not input.x in allowed` is silent about a guest
 * without `x`.
 */
export function negationTraps(module: Module): readonly PolicyFinding[] {
  const found: PolicyFinding[] = []
  const expr = (e: Expr): void => {
    if (e.negated && isTrap(e))
      found.push({
        severity: 'warn',
        check: 'negation',
        message: `when a part of ${JSON.stringify(e.loc.text)} is missing, this does not hold: the rule is undefined`,
        hint: 'write import future.keywords.not, or a rule that says what must be there',
        place: { file: e.loc.file, row: e.loc.row, text: e.loc.text },
      })
    if (holdsWithoutValue(e))
      found.push({
        severity: 'warn',
        check: 'negation',
        message: `a name without a value is null, and then ${JSON.stringify(e.loc.text)} holds`,
        hint: 'say what must be among the reference values: a list of what must not ends with its last value',
        place: { file: e.loc.file, row: e.loc.row, text: e.loc.text },
      })
    if (e.kind === 'every' || e.kind === 'not') for (const inner of e.body) expr(inner)
    if (e.kind === 'and' || e.kind === 'or') for (const inner of [...e.lhs, ...e.rhs]) expr(inner)
    for (const t of termsOf(e)) term(t)
  }
  const term = (t: Term): void => {
    if (t.kind === 'array-comprehension' || t.kind === 'set-comprehension' || t.kind === 'object-comprehension')
      for (const inner of t.body) expr(inner)
    if (t.kind === 'call') for (const arg of t.args) term(arg)
  }
  for (const rule of module.rules)
    for (let clause: Rule | undefined = rule; clause !== undefined; clause = clause.else)
      for (const e of clause.body) expr(e)
  return found
}

function isTrap(e: Expr): boolean {
  const call = e.kind === 'call' ? e : e.kind === 'term' && e.term.kind === 'call' ? e.term : null
  if (call === null) return false
  const { head, path } = call.op
  const name = head.kind === 'var' && path.length === 0 ? head.name : ''
  const nested = call.args.some((a) => a.kind === 'call')
  return (!STAYS_INSIDE.has(name) || nested) && call.args.some(readsDocument)
}

/** `not input.x in query_reference_value("denied")`, `input.x != query_reference_value("denied")`: open once the value ends. */
function holdsWithoutValue(e: Expr): boolean {
  if (e.kind === 'not') return e.body.some((inner) => termsOf(inner).some(asksReference) || isAsking(inner))
  const call = e.kind === 'call' ? e : e.kind === 'term' && e.term.kind === 'call' ? e.term : null
  if (call === null || !call.args.some(asksReference)) return false
  const { head, path } = call.op
  return e.negated || (head.kind === 'var' && head.name === 'neq' && path.length === 0)
}

function isAsking(e: Expr): boolean {
  return e.kind === 'term' && asksReference(e.term)
}

function asksReference(t: Term): boolean {
  if (t.kind !== 'call') return false
  const { head } = t.op
  return (head.kind === 'var' && head.name === REFERENCE_FUNCTION) || t.args.some(asksReference)
}

/** Something that can be missing. */
function readsDocument(t: Term): boolean {
  if (t.kind === 'ref') return t.head.kind === 'var' && t.path.length > 0
  return t.kind === 'call' && t.args.some(readsDocument)
}

function termsOf(e: Expr): readonly Term[] {
  switch (e.kind) {
    case 'term':
      return [e.term]
    case 'call':
      return e.args
    case 'some-in':
    case 'every':
      return [e.domain]
    default:
      return []
  }
}
