import { isTrueBody } from '../compile/map.ts'
import type { WorkRule } from '../compile/rule.ts'
import type { RuleNode } from '../compile/tree.ts'
import type { RefTerm, Term } from '../syntax/ast.ts'
import type { Builder } from './builder.ts'
import type { PlanContext } from './context.ts'
import type { Operand, Reg } from './ir.ts'
import type { Value } from '../value/index.ts'
import { constantTerm, hasOpen, planMatch, planSteps, planTerm } from './terms.ts'

/**
 * A reference into `data`. As far as its steps are known strings, the tree of rules tells what they mean: a rule, base data
 * that no rule can touch, or a document above rules. The last goes on with a cursor.
 */
export function planData(ref: RefTerm, b: Builder, c: PlanContext): Operand {
  let node: RuleNode = c.program.root
  const path: string[] = []
  for (const [at, t] of ref.path.entries()) {
    if (t.kind !== 'string' || node.rules.length > 0) return fromDocument(node, ref.path.slice(at), b, c)
    path.push(t.value)
    const child = node.children.get(t.value)
    if (child === undefined) return fromBase(path, ref.path.slice(at + 1), b, c)
    node = child
    const [rule] = node.rules
    if (rule !== undefined && rule.rest.length === 0) {
      const id = c.ids.get(node) as number
      const { env } = b
      const known = c.replaceable.nodes.has(node) ? undefined : constantOf(node)
      if (known !== undefined) return planSteps(known, ref.path.slice(at + 1), b, c)
      // a function is no value
      if (rule.args !== undefined) b.add({ op: 'fail' })
      const value = b.pure(`rule ${env} ${id}`, (out) => ({ op: 'rule', out, env, node: id }))
      return planSteps(value, ref.path.slice(at + 1), b, c)
    }
  }
  return fromDocument(node, [], b, c)
}

/** Base data alone: loads along the constant part of the path. */
function fromBase(path: Value[], rest: readonly Term[], b: Builder, c: PlanContext): Operand {
  let at = 0
  for (const t of rest) {
    if (t.kind !== 'string' && t.kind !== 'number') break
    path.push((planTerm(t, b, c) as { value: Value }).value)
    at++
  }
  const { env } = b
  const value = b.pure(`base ${env} ${JSON.stringify(path.map(String))}`, (out) => ({ op: 'base', out, env, path }))
  return planSteps(value, rest.slice(at), b, c)
}

function fromDocument(node: RuleNode, rest: readonly Term[], b: Builder, c: PlanContext): Operand {
  const id = c.ids.get(node) as number
  const { env } = b
  let at: Reg = b.value((out) => ({ op: 'doc', out, env, node: id }))
  for (const t of rest) {
    const from = at
    if (!hasOpen(t, b)) {
      const key = planTerm(t, b, c)
      at = b.value((out) => ({ op: 'doc-step', out, env, from, key }))
      continue
    }
    const key = b.registers.next()
    const value = b.registers.next()
    b.iterate((body) => ({ op: 'doc-scan', env, from, key, value, body }))
    at = value
    if (t.kind === 'var') b.bind(t.name, key)
    else planMatch(t, key, b, c)
  }
  const from = at
  return b.value((out) => ({ op: 'doc-value', out, env, from }))
}

/** The value of a rule that is written as a literal: it is the same in every environment. */
function constantOf(node: RuleNode): Operand | undefined {
  const [rule] = node.rules
  if (rule === undefined || node.rules.length > 1 || rule.else !== undefined || rule.args !== undefined)
    return undefined
  if (rule.value === undefined || !isTrueBody(rule.body)) return undefined
  const known = constants.get(rule)
  if (known !== undefined) return known
  const value = constantTerm(rule.value)
  if (value === undefined) return undefined
  const constant = { value }
  constants.set(rule, constant)
  return constant
}

const constants = new WeakMap<WorkRule, Operand>()
