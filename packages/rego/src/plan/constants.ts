import type { Block, Clause, NodePlan, Op } from './ir.ts'

type Draft = Omit<NodePlan, 'constant'>

/**
 * Which nodes depend on nothing but the program: no document from outside, no function that is replaced or whose answer may
 * change, no document that the host sees.
 */
export function constantNodes(
  nodes: readonly Draft[],
  isReplaceable: (node: number) => boolean,
  isReplaceableFunction: (name: string) => boolean,
): ReadonlySet<number> {
  const constant = new Set(nodes.filter((n) => n.kind !== 'none' && !isReplaceable(n.id)).map((n) => n.id))
  const isConstantOp = (op: Op): boolean => {
    switch (op.op) {
      case 'input':
      case 'base':
      case 'doc':
      case 'doc-step':
      case 'doc-scan':
      case 'doc-value':
      case 'with':
      case 'print':
        return false
      case 'rule':
      case 'call':
        return constant.has(op.node)
      case 'builtin':
      case 'relation':
        if (op.builtin.nondeterministic === true || op.builtin.host !== undefined) return false
        if (isReplaceableFunction(op.builtin.name)) return false
        return op.op === 'builtin' || op.body.ops.every(isConstantOp)
      case 'either':
        return op.blocks.every((b) => b.ops.every(isConstantOp))
      default:
        return !('body' in op) || op.body.ops.every(isConstantOp)
    }
  }
  const isConstantBlock = (block: Block): boolean => block.ops.every(isConstantOp)
  const isConstantClause = (c: Clause): boolean =>
    isConstantBlock(c.block) && (c.else === undefined || isConstantClause(c.else))
  for (let before = -1; before !== constant.size;) {
    before = constant.size
    for (const n of nodes) {
      if (!constant.has(n.id)) continue
      const clauses = n.fallback === undefined ? n.clauses : [...n.clauses, n.fallback]
      if (!clauses.every(isConstantClause)) constant.delete(n.id)
    }
  }
  return constant
}
