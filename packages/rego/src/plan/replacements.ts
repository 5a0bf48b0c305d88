import type { Program } from '../compile/compiler.ts'
import type { RuleNode } from '../compile/tree.ts'
import { allClauses } from '../compile/tree.ts'
import { refName, type Body, type With } from '../syntax/ast.ts'
import { visitBody } from '../syntax/visit.ts'

/** Rules that a `with` may hide, and functions that it may replace, by name. */
export type Replacements = { readonly nodes: Set<RuleNode>; readonly functions: Set<string> }

/** How replacements name a function of the program. */
export function functionName(node: { readonly path: readonly string[] }): string {
  return `data.${node.path.join('.')}`
}

/** What the `with` of all rules of a program can replace. */
export function replacementsOf(program: Program): Replacements {
  const found: Replacements = { nodes: new Set(), functions: new Set() }
  for (const r of allClauses(program.root)) collectReplacements(r.body, program.root, found)
  return found
}

/** The same for one body. */
export function collectReplacements(body: Body, root: RuleNode, into: Replacements): void {
  visitBody(
    body,
    () => true,
    (e) => {
      for (const w of e.with) addTarget(w, root, into)
      return true
    },
  )
}

function addTarget({ target }: With, root: RuleNode, into: Replacements): void {
  if (target.kind !== 'ref' || target.head.kind !== 'var' || target.head.name === 'input') return
  if (target.head.name !== 'data') {
    into.functions.add(refName(target) ?? '')
    return
  }
  let node: RuleNode | undefined = root
  for (const step of target.path) node = step.kind === 'string' ? node?.children.get(step.value) : undefined
  if (node === undefined) return
  for (const n of node.all()) {
    into.nodes.add(n)
    if (n.rules[0]?.args !== undefined) into.functions.add(functionName(n))
  }
}
