import type { Value } from '../value/index.ts'
import type { Block, Join, Op, Operand, Reg } from './ir.ts'

/** What tells the elements of a join apart. Each join has its own: what an evaluation has grouped for it is kept under it. */
export class JoinPath {
  readonly steps: readonly Value[]

  constructor(steps: readonly Value[]) {
    this.steps = steps
  }
}

type Scan = Op & { readonly op: 'scan' }

/**
 * Looks at what each scan does with its elements at first, as long as that has no effect but to fail. What does not depend on the
 * element moves in front of the scan. An equation of something in the element with something that is known before it becomes a
 * `Join`: whoever runs the scan may then leave out elements for which it cannot hold. The equation itself stays where it is.
 */
export function withJoins(block: Block, isReplaceable: (name: string) => boolean): Block {
  const ops: Op[] = []
  for (const op of block.ops) {
    if (op.op !== 'scan') {
      ops.push(inner(op, isReplaceable))
      continue
    }
    const { before, scan } = improved(op)
    ops.push(...before, { ...scan, body: withJoins(scan.body, isReplaceable) })
  }
  return { ops }
}

function inner(op: Op, isReplaceable: (name: string) => boolean): Op {
  if (op.op === 'either') return { ...op, blocks: op.blocks.map((b) => withJoins(b, isReplaceable)) }
  if (!('body' in op)) return op
  const body = withJoins(op.body, isReplaceable)
  return { ...op, body: op.op === 'walk' ? ownedLater(body, isReplaceable) : body }
}

/** Copies the path of a walk only for those answers that are still of interest when something may keep it. */
function ownedLater(block: Block, isReplaceable: (name: string) => boolean): Block {
  const [own, ...ops] = block.ops
  if (own?.op !== 'own') return block
  const keeps = ops.findIndex((op) => mayKeep(op, own.path, isReplaceable))
  if (keeps < 0) return { ops }
  return { ops: [...ops.slice(0, keeps), own, ...ops.slice(keeps)] }
}

function mayKeep(op: Op, path: Reg, isReplaceable: (name: string) => boolean): boolean {
  switch (op.op) {
    case 'input':
    case 'base':
    case 'truthy':
    case 'is-array':
    case 'equal':
    case 'load':
      return false
    case 'step':
      return op.key === path
    case 'builtin':
      return op.args.includes(path) && (op.builtin.name !== 'count' || isReplaceable('count'))
    default:
      return true
  }
}

function improved(scan: Scan): { readonly before: readonly Op[]; readonly scan: Scan } {
  const before: Op[] = []
  const kept: Op[] = []
  const own = new Set<Reg>()
  const steps = new Map<Reg, readonly Value[]>()
  if (scan.key !== undefined) own.add(scan.key)
  if (scan.value !== undefined) {
    own.add(scan.value)
    steps.set(scan.value, [])
  }
  const isKnown = (o: Operand): boolean => typeof o === 'object' || !own.has(o)
  let join: Join | undefined
  let at = 0
  for (; at < scan.body.ops.length; at++) {
    const op = scan.body.ops[at] as Op
    const reads = readsOf(op)
    if (reads === undefined) break
    if (reads.every(isKnown)) {
      before.push(op)
      continue
    }
    kept.push(op)
    if ('out' in op) own.add(op.out)
    if (op.op === 'load' || op.op === 'step') follow(op, steps)
    if (op.op === 'equal') join ??= joinOf(op, steps, isKnown)
  }
  const body = { ops: [...kept, ...scan.body.ops.slice(at)] }
  return { before, scan: join === undefined ? { ...scan, body } : { ...scan, body, join } }
}

/** What an operation reads, if all it can do is to fail; undefined for those that do more, or cost more. */
function readsOf(op: Op): readonly Operand[] | undefined {
  switch (op.op) {
    case 'input':
    case 'base':
      return op.env === 0 ? [] : undefined
    case 'load':
    case 'truthy':
    case 'is-array':
    case 'is-object':
      return [op.from]
    case 'step':
      return [op.from, op.key]
    case 'equal':
      return [op.a, op.b]
    default:
      return undefined
  }
}

function follow(op: Op & { readonly op: 'load' | 'step' }, steps: Map<Reg, readonly Value[]>): void {
  const from = typeof op.from === 'number' ? steps.get(op.from) : undefined
  if (from === undefined) return
  if (op.op === 'load') steps.set(op.out, [...from, op.key])
  else if (typeof op.key === 'object') steps.set(op.out, [...from, op.key.value])
}

function joinOf(
  op: Op & { readonly op: 'equal' },
  steps: ReadonlyMap<Reg, readonly Value[]>,
  isKnown: (o: Operand) => boolean,
): Join | undefined {
  for (const [mine, other] of [[op.a, op.b] as const, [op.b, op.a] as const]) {
    const found = typeof mine === 'number' ? steps.get(mine) : undefined
    if (found !== undefined && isKnown(other)) return { path: new JoinPath(found), equals: other }
  }
  return undefined
}
