import type { Program } from '../compile/compiler.ts'
import { ruleKind, type WorkRule } from '../compile/rule.ts'
import type { RuleNode } from '../compile/tree.ts'
import type { Names } from '../compile/names.ts'
import { isGenerated, type Body } from '../syntax/ast.ts'
import { equal, type Value } from '../value/index.ts'
import { Builder, Registers } from './builder.ts'
import { constantNodes } from './constants.ts'
import type { PlanContext, Sites } from './context.ts'
import { planData } from './documents.ts'
import { planBody } from './expressions.ts'
import { replacementsOf, type Replacements } from './replacements.ts'
import { withJoins } from './joins.ts'
import type { Block, Clause, Emit, NodePlan, Operand, QueryPlan } from './ir.ts'
import { RuleIndex } from './rule-index.ts'
import { isConst, planMatch, planTerm } from './terms.ts'

export type Plan = {
  /** By number: node 0 is `data` itself. */
  readonly nodes: readonly NodePlan[]
  readonly ids: ReadonlyMap<RuleNode, number>
  readonly program: Program
  readonly sites: Sites | undefined
  /** What a `with` of the program, or of the queries that this plan is for, may replace. */
  readonly replaceable: Replacements
}

/**
 * Turns a checked program into operations.
 *
 * @param more - What queries replace beyond the program's own `with`.
 */
export function planProgram(program: Program, explain = false, more?: Replacements): Plan {
  const ids = new Map<RuleNode, number>()
  for (const node of program.root.all()) ids.set(node, ids.size)
  const sites: Sites | undefined = explain
    ? { site: undefined, order: 0, reads: [], written: (name) => program.names.written(name) }
    : undefined
  const replaceable = replacementsOf(program)
  for (const node of more?.nodes ?? []) replaceable.nodes.add(node)
  for (const name of more?.functions ?? []) replaceable.functions.add(name)
  const context = contextOf(program, ids, replaceable, sites)
  const drafts = [...ids.keys()].map((node) => planNode(node, context))
  const hidden = new Set([...replaceable.nodes].map((n) => ids.get(n)))
  const constant = constantNodes(
    drafts,
    (id) => hidden.has(id),
    (name) => replaceable.functions.has(name),
  )
  const nodes = drafts.map((n): NodePlan => ({ ...n, constant: constant.has(n.id) }))
  return { nodes, ids, program, sites, replaceable }
}

/** A query over a planned program. `names` are those of the query's compilation. */
export function planQuery(body: Body, names: Names, plan: Plan): QueryPlan {
  const sites = plan.sites === undefined ? undefined : { ...plan.sites, written: (name: string) => names.written(name) }
  const context = contextOf(plan.program, plan.ids, plan.replaceable, sites)
  const registers = new Registers(1)
  const b = new Builder(registers, 0, true)
  planBody(body, b, context)
  const shown = [...b.bound].map(([name, value]) => [names.written(name), value] as const)
  const columns = shown.filter(([name]) => !isGenerated(name))
  if (!b.dead) b.add({ op: 'emit', what: 'row', values: columns.map(([, value]) => value) })
  return { block: finished(b, context), registers: registers.count, names: columns.map(([name]) => name) }
}

function contextOf(
  program: Program,
  ids: ReadonlyMap<RuleNode, number>,
  replaceable: Replacements,
  explain: Sites | undefined,
): PlanContext {
  const context: PlanContext = {
    program,
    ids,
    replaceable,
    explain,
    body: (body, b) => planBody(body, b, context),
    data: (ref, b) => planData(ref, b, context),
    input: (b) => {
      const { env } = b
      return b.pure(`input ${env}`, (out) => ({ op: 'input', out, env }))
    },
  }
  return context
}

function planNode(node: RuleNode, c: PlanContext): Omit<NodePlan, 'constant'> {
  const [first] = node.rules
  const kind = first === undefined ? 'none' : ruleKind(first)
  const arity = first?.args?.length ?? 0
  const clauses = node.rules.filter((r) => !r.default).map((r) => planClause(r, kind, c))
  const otherwise = node.rules.find((r) => r.default)
  return {
    id: c.ids.get(node) as number,
    path: node.path,
    kind,
    arity,
    clauses,
    index: c.explain === undefined ? RuleIndex.of(clauses, arity) : undefined,
    fallback: otherwise && planClause(otherwise, kind, c),
    firstDecides: sameConstant(clauses),
    children: new Map([...node.children].map(([name, child]) => [name, c.ids.get(child) as number])),
    loc: first?.loc,
  }
}

function planClause(r: WorkRule, kind: NodePlan['kind'], c: PlanContext): Clause {
  const registers = new Registers(1 + (r.args?.length ?? 0))
  const b = new Builder(registers, 0, c.explain !== undefined)
  if (c.explain !== undefined) c.explain.order = 0
  if (r.args !== undefined) for (const [i, arg] of r.args.entries()) planMatch(arg, i + 1, b, c)
  planBody(r.body, b, c)
  let constant: Value | undefined
  if (!b.dead) {
    const emit = planHead(r, kind, b, c)
    b.add(emit)
    if (emit.what === 'value' && isConst(emit.value)) constant = emit.value.value
  }
  return {
    block: finished(b, c),
    registers: registers.count,
    loc: r.loc,
    rule: r.source,
    else: r.else && planClause(r.else, kind, c),
    single: !b.scans,
    constant,
  }
}

/** An explanation wants to see every element; the others may be left out. */
function finished(b: Builder, c: PlanContext): Block {
  return c.explain === undefined ? withJoins(b.block, (name) => c.replaceable.functions.has(name)) : b.block
}

function planHead(r: WorkRule, kind: NodePlan['kind'], b: Builder, c: PlanContext): Emit {
  if (kind === 'partial') {
    const path = r.rest.map((t): Operand => planTerm(t, b, c))
    const leaf = r.key ?? r.value
    if (leaf === undefined) throw new Error('a rule has neither key nor value')
    return { op: 'emit', what: 'path', path, value: planTerm(leaf, b, c), set: r.key !== undefined }
  }
  const value = kind === 'set' ? r.key : r.value
  if (value === undefined) throw new Error('a rule has neither key nor value')
  return { op: 'emit', what: 'value', value: planTerm(value, b, c) }
}

function sameConstant(clauses: readonly Clause[]): boolean {
  const [first] = clauses
  if (first?.constant === undefined) return false
  for (const clause of clauses) {
    for (let k: Clause | undefined = clause; k !== undefined; k = k.else) {
      if (k.constant === undefined || !equal(k.constant, first.constant)) return false
    }
  }
  return true
}
