import type { Location } from '../syntax/source.ts'
import { clauses, pathText, ruleKind, type Findings, type WorkRule } from './rule.ts'

/** Where a rule stands in the tree of documents under `data`. */
export class RuleNode {
  readonly path: readonly string[]
  readonly children = new Map<string, RuleNode>()
  readonly rules: WorkRule[] = []
  /** A package has this path. */
  isPackage = false

  constructor(path: readonly string[]) {
    this.path = path
  }

  /** The node at a path below this one, made where it is missing. */
  make(path: readonly string[]): RuleNode {
    return path.reduce<RuleNode>((node, step) => {
      let child = node.children.get(step)
      if (child === undefined) {
        child = new RuleNode([...node.path, step])
        node.children.set(step, child)
      }
      return child
    }, this)
  }

  find(path: readonly string[]): RuleNode | undefined {
    return path.reduce<RuleNode | undefined>((node, step) => node?.children.get(step), this)
  }

  /** This node and all below it. */
  *all(): Generator<RuleNode> {
    yield this
    for (const child of this.children.values()) yield* child.all()
  }
}

/** What may not stand together at one path, or below it. */
export function checkConflicts(root: RuleNode, findings: Findings): void {
  for (const node of root.all()) checkNode(node, findings)
  checkPackages(root, findings)
}

function checkNode(node: RuleNode, findings: Findings): void {
  const [first] = node.rules
  if (first === undefined) return
  const kinds = new Set(node.rules.map(conflictKind))
  const arities = new Set(node.rules.map((r) => r.args?.length ?? 0))
  const below = rulesBelow(node)
  const closed = node.rules.some((r) => r.rest.length === 0)
  const conflicts = closed ? below : below.filter((r) => r.args !== undefined)
  const name = ruleText(first)
  if (conflicts.length > 0) {
    const where = conflicts.map((r) => `\n  rule ${ruleText(r)} at ${place(r.loc)}`).join('')
    findings.add('rego_type_error', `rule ${name} conflicts with:${where}`, first.loc)
    return
  }
  if (kinds.size > 1 || arities.size > 1) {
    findings.add('rego_type_error', `conflicting rules ${name} found`, first.loc)
    return
  }
  const defaults = node.rules.filter((r) => r.default)
  if (defaults.length > 1) {
    const where = defaults.map((r) => place(r.loc)).join(', ')
    const at = (defaults[0] as WorkRule).module.package.loc
    findings.add('rego_type_error', `multiple default rules ${name} found at ${where}`, at)
  }
}

function conflictKind(r: WorkRule): string {
  const kind = ruleKind(r)
  return kind === 'partial' && r.key !== undefined ? 'partial sets' : kind
}

function place(loc: Location): string {
  return `${loc.file}:${loc.row}`
}

function ruleText(r: WorkRule): string {
  const { rest } = r
  return rest.reduce((s, t) => `${s}[${t.loc.text}]`, pathText(r.path))
}

/** The topmost rules below a node. */
function rulesBelow(node: RuleNode): WorkRule[] {
  const found: WorkRule[] = []
  const visit = (n: RuleNode): void => {
    const [first] = n.rules
    if (first !== undefined) found.push(first)
    else for (const child of n.children.values()) visit(child)
  }
  for (const child of node.children.values()) visit(child)
  return found.sort((a, b) => (pathText(a.path) < pathText(b.path) ? -1 : 1))
}

/** A package may not have the path of a rule. */
function checkPackages(root: RuleNode, findings: Findings): void {
  const told = new Set<RuleNode>()
  for (const node of root.all()) {
    if (!node.isPackage) continue
    for (const r of node.rules) {
      if (r.rest.length > 0 || told.has(node)) continue
      told.add(node)
      const name = pathText(node.path)
      findings.add(
        'rego_type_error',
        `package ${name.slice('data.'.length)} conflicts with rule ${r.source.head.ref.loc.text} defined at ${place(r.loc)}`,
        r.module.package.loc,
      )
    }
  }
}

/** All rules of a tree with their `else` clauses. */
export function* allClauses(root: RuleNode): Generator<WorkRule> {
  for (const node of root.all()) for (const r of node.rules) yield* clauses(r)
}
