import { isWildcard, refName, type Body, type Expr, type RefTerm, type Term, type With } from '../syntax/ast.ts'
import { isEquation } from '../compile/map.ts'
import type { RuleNode } from '../compile/tree.ts'
import type { Builder } from './builder.ts'
import type { PlanContext } from './context.ts'
import type { FunctionRef, Op, Operand, Target } from './ir.ts'
import { functionName } from './replacements.ts'
import { internal, isConst, planFound, planMatch, planTerm, siteOf } from './terms.ts'
import { planUnify } from './unify.ts'

/** Plans a body: its expressions in order, each failing where it does not hold. */
export function planBody(body: Body, b: Builder, c: PlanContext): void {
  for (const e of body) {
    if (b.dead) return
    planExpr(e, b, c)
  }
}

function planExpr(e: Expr, b: Builder, c: PlanContext): void {
  mark(e, b, c)
  const outer = b.env
  if (e.with.length > 0) b.env = planWith(e.with, b, c)
  const bare = { ...e, with: [] }
  if (e.negated) {
    const inner = { ...bare, negated: false }
    const body = planFound(b, c, (nested) => planPlain(inner, nested, c))
    b.add({ op: 'not', body })
  } else planPlain(bare, b, c)
  b.env = outer
}

/** What the compiler pulled out of an expression belongs to it: one mark's order and reads for all its parts. */
function mark(e: Expr, b: Builder, c: PlanContext): void {
  const { explain } = c
  if (explain === undefined) return
  const site = siteOf(e)
  // stages copy expressions; their places stay the same objects
  if (site.loc !== explain.site?.loc) {
    explain.site = site
    explain.order++
    explain.reads = []
  }
  b.add({ op: 'mark', site, order: explain.order, names: b.named(explain.written), reads: explain.reads })
}

function planPlain(e: Expr, b: Builder, c: PlanContext): void {
  switch (e.kind) {
    case 'term': {
      const value = planTerm(e.term, b, c)
      if (!isConst(value)) b.add({ op: 'truthy', from: value })
      else if (value.value === false) b.add({ op: 'fail' })
      return
    }
    case 'call':
      if (isEquation(e)) planUnify(e.args[0] as Term, e.args[1] as Term, b, c)
      else planCall(e, b, c)
      return
    case 'every':
      return planEvery(e, b, c)
    case 'not':
      b.add({ op: 'not', body: planFound(b, c, (nested) => planBody(e.body, nested, c)) })
      return
    case 'and':
      for (const side of [e.lhs, e.rhs]) {
        b.add({ op: 'exists', body: planFound(b, c, (nested) => planBody(side, nested, c)) })
      }
      return
    case 'or':
      b.add({
        op: 'either',
        blocks: [e.lhs, e.rhs].map((side) => planFound(b, c, (nested) => planBody(side, nested, c))),
      })
      return
    case 'some':
    case 'some-in':
      throw internal(`${e.kind} was not rewritten`, e)
  }
}

function planEvery(e: Expr & { kind: 'every' }, b: Builder, c: PlanContext): void {
  const domain = planTerm(e.domain, b, c)
  // an explanation wants to know which element it was
  const key = e.key === undefined && c.explain === undefined ? undefined : b.registers.next()
  const value = b.registers.next()
  const body = planFound(b, c, (nested) => {
    if (e.key !== undefined && key !== undefined) nested.bind(e.key.name, key)
    nested.bind(e.value.name, value)
    planBody(e.body, nested, c)
  })
  b.add({ op: 'every', domain, key, value, body })
}

function planCall(e: Expr & { kind: 'call' }, b: Builder, c: PlanContext): void {
  const arity = c.program.functions.arity(e.op)
  if (arity === undefined) throw internal(`function ${refName(e.op) ?? '?'} does not exist`, e)
  const args = e.args.slice(0, arity).map((a) => planTerm(a, b, c))
  const result = e.args[arity]
  const callee = functionOf(e.op, c)
  const name = refName(e.op)
  const { env } = b
  if (callee === undefined) throw internal(`function ${refName(e.op) ?? '?'} does not exist`, e)
  if ('builtin' in callee && callee.builtin.name === 'internal.print') {
    b.add({ op: 'print', env, from: args[0] as Operand, loc: e.loc })
    return
  }
  if (name === 'walk' && result?.kind === 'array' && result.items.length === 2) {
    planWalk(args[0] as Operand, result.items as [Term, Term], b, c)
    return
  }
  if ('builtin' in callee && callee.builtin.relation === true) {
    const out = b.registers.next()
    b.iterate((body) => ({ op: 'relation', out, env, builtin: callee.builtin, args, loc: e.loc, body }))
    if (result !== undefined) planMatch(result, out, b, c)
    return
  }
  const out = b.value((reg): Op => {
    if ('builtin' in callee) return { op: 'builtin', out: reg, env, builtin: callee.builtin, args, loc: e.loc }
    if (arity === 0) return { op: 'rule', out: reg, env, node: callee.node }
    return { op: 'call', out: reg, env, node: callee.node, args }
  })
  if (result !== undefined) planMatch(result, out, b, c)
  else if (!('builtin' in callee) || callee.builtin.decl.result !== undefined) b.add({ op: 'truthy', from: out })
}

/** `walk(x, [path, value])`, the way it is always written. */
function planWalk(from: Operand, [path, value]: [Term, Term], b: Builder, c: PlanContext): void {
  const unused = path.kind === 'var' && isWildcard(path.name)
  const pathReg = unused ? undefined : b.registers.next()
  const valueReg = b.registers.next()
  const { ordered } = b
  b.iterate((body) => ({ op: 'walk', from, path: pathReg, value: valueReg, ordered, body }))
  if (pathReg !== undefined) {
    b.add({ op: 'own', path: pathReg })
    planMatch(path, pathReg, b, c)
  }
  planMatch(value, valueReg, b, c)
}

function functionOf(op: RefTerm, c: PlanContext): FunctionRef | undefined {
  const node = nodeOf(op, c)
  if (node !== undefined) return { node: c.ids.get(node) as number }
  const name = refName(op)
  const builtin = name === undefined ? undefined : c.program.functions.builtin(name)
  return builtin === undefined ? undefined : { builtin }
}

function nodeOf(ref: RefTerm, c: PlanContext): RuleNode | undefined {
  if (ref.head.kind !== 'var' || ref.head.name !== 'data') return undefined
  const path: string[] = []
  for (const step of ref.path) {
    if (step.kind !== 'string') return undefined
    path.push(step.value)
  }
  return c.program.root.find(path)
}

function planWith(withs: readonly With[], b: Builder, c: PlanContext): number {
  const targets = withs.map((w) => planTarget(w, b, c))
  const { env } = b
  const out = b.registers.next()
  b.add({ op: 'with', out, env, targets })
  return out
}

function planTarget(w: With, b: Builder, c: PlanContext): Target {
  const { target } = w
  if (target.kind !== 'ref' || target.head.kind !== 'var') throw internal('target of with is no reference', w)
  const root = target.head.name
  if (root !== 'input' && root !== 'data') {
    return { kind: 'function', name: refName(target) ?? root, by: planReplacement(w, b, c) }
  }
  const node = nodeOf(target, c)
  const [rule] = node?.rules ?? []
  if (rule?.args !== undefined) {
    return { kind: 'function', name: functionName(node as RuleNode), by: planReplacement(w, b, c) }
  }
  const value = planTerm(w.value, b, c)
  const path = target.path.map((t): Operand => planTerm(t, b, c))
  if (root === 'input') return { kind: 'input', path, value }
  const masks = node === undefined ? [] : [...node.all()].map((n) => c.ids.get(n) as number)
  return { kind: 'data', path, value, masks }
}

function planReplacement(w: With, b: Builder, c: PlanContext): FunctionRef | { readonly value: Operand } {
  if (w.names === true && w.value.kind === 'ref') {
    const node = nodeOf(w.value, c)
    // a rule without arguments is a value like any other
    if (node === undefined || node.rules[0]?.args !== undefined) {
      const callee = functionOf(w.value, c)
      if (callee !== undefined) return callee
    }
  }
  return { value: planTerm(w.value, b, c) }
}
