import type { RefTerm } from '../syntax/ast.ts'
import { visitBody, visitTerm } from '../syntax/visit.ts'
import { clauses, pathText, type Findings, type WorkRule } from './rule.ts'
import type { RuleNode } from './tree.ts'

/** Which nodes of the rule tree a reference into `data` may need: all on its way, and all below where it becomes dynamic. */
export function nodesOf(root: RuleNode, ref: RefTerm): RuleNode[] {
  if (ref.head.kind !== 'var' || ref.head.name !== 'data') return []
  const found: RuleNode[] = []
  const walk = (node: RuleNode, at: number): void => {
    if (node.rules.length > 0) found.push(node)
    const step = ref.path[at]
    if (step === undefined) {
      for (const child of node.children.values()) for (const n of child.all()) if (n.rules.length > 0) found.push(n)
    } else if (step.kind === 'string') {
      const child = node.children.get(step.value)
      if (child !== undefined) walk(child, at + 1)
    } else if (step.kind === 'var') {
      for (const child of node.children.values()) walk(child, at + 1)
    }
  }
  walk(root, 0)
  return found
}

export type Graph = {
  /** By node of the rule tree, the nodes that its rules need directly. */
  readonly needs: ReadonlyMap<RuleNode, ReadonlySet<RuleNode>>
  /** Names of built-ins that the rules of a node call. */
  readonly calls: ReadonlyMap<RuleNode, ReadonlySet<string>>
  /** Nodes whose rules read `input` themselves. */
  readonly readsInput: ReadonlySet<RuleNode>
}

export function buildGraph(root: RuleNode): Graph {
  const needs = new Map<RuleNode, Set<RuleNode>>()
  const calls = new Map<RuleNode, Set<string>>()
  const readsInput = new Set<RuleNode>()
  for (const node of root.all()) {
    if (node.rules.length === 0) continue
    const to = new Set<RuleNode>()
    const names = new Set<string>()
    for (const rule of node.rules) {
      for (const r of clauses(rule)) {
        visitRule(r, (ref) => {
          for (const n of nodesOf(root, ref)) to.add(n)
          if (ref.head.kind !== 'var') return
          if (ref.head.name === 'input') readsInput.add(node)
          else if (ref.head.name !== 'data') names.add(refText(ref))
        })
      }
    }
    needs.set(node, to)
    calls.set(node, names)
  }
  return { needs, calls, readsInput }
}

function refText(ref: RefTerm): string {
  const head = ref.head.kind === 'var' ? ref.head.name : ''
  return [head, ...ref.path.map((s) => (s.kind === 'string' ? s.value : '?'))].join('.')
}

function visitRule(r: WorkRule, onRef: (ref: RefTerm) => void): void {
  const visit = (t: { kind: string }): boolean => {
    if (t.kind === 'ref') onRef(t as RefTerm)
    return true
  }
  for (const t of [...(r.args ?? []), ...r.rest]) visitTerm(t, visit)
  if (r.key !== undefined) visitTerm(r.key, visit)
  if (r.value !== undefined) visitTerm(r.value, visit)
  visitBody(r.body, visit)
}

/** Rules that need themselves, told once per rule with the way there. */
export function checkRecursion(graph: Graph, findings: Findings): void {
  if (nodesInOrder(graph).length === graph.needs.size) return
  for (const node of graph.needs.keys()) {
    const way = wayBack(graph, node)
    if (way === undefined) continue
    const name = pathText(node.path)
    const steps = way.map((n) => pathText(n.path)).join(' -> ')
    for (const r of node.rules) findings.add('rego_recursion_error', `rule ${name} is recursive: ${steps}`, r.loc)
  }
}

/** Every node after those that it needs. Nodes that need themselves, and what needs them, are left out. */
export function nodesInOrder(graph: Graph): RuleNode[] {
  const neededBy = new Map<RuleNode, RuleNode[]>()
  const open = new Map<RuleNode, number>()
  const free: RuleNode[] = []
  for (const [node, needs] of graph.needs) {
    open.set(node, needs.size)
    if (needs.size === 0) free.push(node)
    for (const n of needs) {
      const list = neededBy.get(n)
      if (list === undefined) neededBy.set(n, [node])
      else list.push(node)
    }
  }
  for (const node of free) {
    for (const n of neededBy.get(node) ?? []) {
      const left = (open.get(n) as number) - 1
      open.set(n, left)
      if (left === 0) free.push(n)
    }
  }
  return free
}

/** The shortest way from a node to itself. */
function wayBack(graph: Graph, start: RuleNode): RuleNode[] | undefined {
  const from = new Map<RuleNode, RuleNode>()
  const queue: RuleNode[] = [start]
  for (const node of queue) {
    for (const next of graph.needs.get(node) ?? []) {
      if (next === start) {
        const way = [start]
        for (let n: RuleNode = node; n !== start; n = from.get(n) as RuleNode) way.unshift(n)
        return [start, ...way]
      }
      if (from.has(next)) continue
      from.set(next, node)
      queue.push(next)
    }
  }
  return undefined
}
