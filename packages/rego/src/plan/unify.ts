import type { Term } from '../syntax/ast.ts'
import type { Builder } from './builder.ts'
import type { PlanContext } from './context.ts'
import { hasOpen, internal, isConst, planEqual, planMatch, planTerm } from './terms.ts'
import { equal } from '../value/index.ts'

/** `a = b`: binds what is open on either side, compares the rest. */
export function planUnify(a: Term, b: Term, builder: Builder, c: PlanContext): void {
  const pairs: [Term, Term][] = [[a, b]]
  for (let stuck = 0; pairs.length > 0;) {
    const [x, y] = pairs.shift() as [Term, Term]
    const step = unifyOne(x, y, builder, c)
    if (step === 'done') stuck = 0
    else if (step === 'later') {
      // both sides wait for another pair: `[x, y] = [y, 1]`
      pairs.push([x, y])
      if (++stuck > pairs.length) throw internal('no side of an equation has a value', x)
    } else {
      stuck = 0
      pairs.unshift(...step)
    }
  }
}

function unifyOne(a: Term, b: Term, builder: Builder, c: PlanContext): 'done' | 'later' | [Term, Term][] {
  const openA = hasOpen(a, builder)
  const openB = hasOpen(b, builder)
  if (openA && openB) {
    if (a.kind === 'array' && b.kind === 'array') {
      if (a.items.length !== b.items.length) return fail(builder)
      return a.items.map((x, i) => [x, b.items[i] as Term])
    }
    if (a.kind === 'object' && b.kind === 'object') return objectPairs(a, b, builder, c)
    // `x = [x]` and the like cannot come here: safety has refused them
    return 'later'
  }
  if (openA) {
    planMatch(a, planTerm(b, builder, c), builder, c)
    return 'done'
  }
  if (openB) {
    planMatch(b, planTerm(a, builder, c), builder, c)
    return 'done'
  }
  // a step of a reference may bind a variable that the other side needs
  const first = planTerm(a, builder, c)
  const second = planTerm(b, builder, c)
  planEqual(first, second, builder)
  return 'done'
}

function fail(builder: Builder): 'done' {
  builder.add({ op: 'fail' })
  return 'done'
}

function objectPairs(
  a: Term & { kind: 'object' },
  b: Term & { kind: 'object' },
  builder: Builder,
  c: PlanContext,
): 'done' | [Term, Term][] {
  if (a.entries.length !== b.entries.length) return fail(builder)
  const others = b.entries.map(([k, v]) => ({ key: planTerm(k, builder, c), value: v }))
  const pairs: [Term, Term][] = []
  for (const [k, v] of a.entries) {
    const key = planTerm(k, builder, c)
    const same = others.find((o) => o.key === key || (isConst(o.key) && isConst(key) && equal(o.key.value, key.value)))
    if (same === undefined) return fail(builder)
    pairs.push([v, same.value])
  }
  return pairs
}
