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
  const constant = new Set<number>()
  const users = new Map<number, number[]>()
  const varying: number[] = []
  for (const n of nodes) {
    if (n.kind === 'none') continue
    const uses = new Set<number>()
    const own = new OwnDependence(isReplaceableFunction, uses)
    const clauses = n.fallback === undefined ? n.clauses : [...n.clauses, n.fallback]
    if (isReplaceable(n.id) || !clauses.every((c) => own.clause(c))) varying.push(n.id)
    else constant.add(n.id)
    for (const used of uses) {
      const list = users.get(used)
      if (list === undefined) users.set(used, [n.id])
      else list.push(n.id)
    }
  }
  // what uses something that varies, varies
  for (const id of varying) for (const user of users.get(id) ?? []) if (constant.delete(user)) varying.push(user)
  return constant
}

/** Looks at one node's own operations, and collects the nodes that they use. */
class OwnDependence {
  readonly #isReplaceable: (name: string) => boolean
  readonly #uses: Set<number>

  constructor(isReplaceable: (name: string) => boolean, uses: Set<number>) {
    this.#isReplaceable = isReplaceable
    this.#uses = uses
  }

  clause(c: Clause): boolean {
    const own = this.#block(c.block)
    const otherwise = c.else === undefined || this.clause(c.else)
    return own && otherwise
  }

  #block(block: Block): boolean {
    let constant = true
    for (const op of block.ops) if (!this.#op(op)) constant = false
    return constant
  }

  #op(op: Op): boolean {
    switch (op.op) {
      case 'input':
      case 'base':
      case 'doc':
      case 'doc-step':
      case 'doc-value':
      case 'with':
      case 'print':
        return false
      case 'doc-scan':
        this.#block(op.body)
        return false
      case 'rule':
      case 'call':
        this.#uses.add(op.node)
        return true
      case 'builtin':
        return this.#isPure(op)
      case 'relation': {
        const body = this.#block(op.body)
        return this.#isPure(op) && body
      }
      case 'either':
        return op.blocks.map((b) => this.#block(b)).every(Boolean)
      default:
        return !('body' in op) || this.#block(op.body)
    }
  }

  #isPure({ builtin }: Op & { readonly op: 'builtin' | 'relation' }): boolean {
    return builtin.nondeterministic !== true && builtin.host === undefined && !this.#isReplaceable(builtin.name)
  }
}
