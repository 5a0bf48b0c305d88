import type { Frame, Hooks } from '../backend/closures.ts'
import type { Env } from '../eval/env.ts'
import type { Block, Clause, Emit, NodePlan, Op, Operand } from '../plan/ir.ts'
import type { Expr } from '../syntax/ast.ts'
import type { Location } from '../syntax/source.ts'
import type { Value } from '../value/index.ts'
import { isValue } from './is-value.ts'
import type { Origin, Question, Seen } from './origin.ts'

/** The furthest expression that failed in a body, with what it saw. */
export type Failure = {
  readonly expr: Expr
  readonly variables: ReadonlyMap<string, Value>
  /** What its references gave; undefined where there is nothing. */
  readonly reads: ReadonlyMap<string, Value | undefined>
  /** The expression inside that made it fail, where it has a body of its own. */
  readonly inside: Failure | undefined
}

export type ClauseTrace = {
  readonly clause: Clause
  readonly loc: Location
  tried: number
  held: number
  /** In the last attempt that failed. */
  failure: Failure | undefined
}

export type NodeTrace = {
  readonly node: NodePlan
  readonly clauses: Map<Clause, ClauseTrace>
  value: Value | undefined
}

type Mark = Op & { readonly op: 'mark' }
type Attempt = { current: Mark | undefined; best: { readonly order: number; readonly failure: Failure } | undefined }

/** Questions beyond this many are not kept: an explanation of more would help nobody. */
const MAX_QUESTIONS = 20_000

/** Watches one evaluation: which rules were tried, where each failed, and what was asked of the input. */
export class Tracer implements Hooks {
  readonly nodes = new Map<NodePlan, NodeTrace>()
  readonly questions: Question[] = []
  /** Built-ins whose answer depends on more than their operands, with the answers. */
  readonly outside: { readonly name: string; readonly args: readonly Value[]; readonly value: Value | undefined }[] = []
  readonly #input: Value | undefined
  readonly #origins = new WeakMap<Frame, (Origin | undefined)[]>()
  readonly #ruleOrigins = new WeakMap<Env, Map<number, Origin | undefined>>()
  readonly #clauses: { readonly trace: ClauseTrace; readonly attempts: Attempt[] }[] = []
  readonly #attempts: Attempt[] = [{ current: undefined, best: undefined }]
  /** Origins of the arguments of the call that is about to begin. */
  #passed: readonly (Origin | undefined)[] = []
  /** Origin of the value that a clause gave last. */
  #given: Origin | undefined
  /** What failed inside the operation that is under way. */
  #inside: Failure | undefined

  constructor(input: Value | undefined) {
    this.#input = input
  }

  get #attempt(): Attempt {
    return this.#attempts.at(-1) as Attempt
  }

  #of(f: Frame): (Origin | undefined)[] {
    let origins = this.#origins.get(f)
    if (origins === undefined) {
      origins = []
      this.#origins.set(f, origins)
    }
    return origins
  }

  #origin(f: Frame, o: Operand): Origin | undefined {
    return typeof o === 'object' ? undefined : this.#of(f)[o]
  }

  #seen(f: Frame, o: Operand): Seen {
    return typeof o === 'object'
      ? { value: o.value, origin: undefined }
      : { value: f[o] as Value, origin: this.#of(f)[o] }
  }

  enterClause(f: Frame, node: NodePlan, clause: Clause): void {
    let trace = this.nodes.get(node)
    if (trace === undefined) {
      trace = { node, clauses: new Map(), value: undefined }
      this.nodes.set(node, trace)
    }
    let clauseTrace = trace.clauses.get(clause)
    if (clauseTrace === undefined) {
      clauseTrace = { clause, loc: clause.loc, tried: 0, held: 0, failure: undefined }
      trace.clauses.set(clause, clauseTrace)
    }
    clauseTrace.tried++
    this.#clauses.push({ trace: clauseTrace, attempts: [] })
    this.#attempts.push({ current: undefined, best: undefined })
    if (node.kind === 'function') {
      const origins = this.#of(f)
      for (const [i, origin] of this.#passed.entries()) origins[i + 1] = origin
    }
    this.#given = undefined
  }

  leaveClause(_: Frame, _clause: Clause, held: boolean): void {
    const { trace } = this.#clauses.pop() as { trace: ClauseTrace }
    const attempt = this.#attempts.pop() as Attempt
    if (held) trace.held++
    else trace.failure = attempt.best?.failure
  }

  leaveNode(env: Env, node: NodePlan, value: Value | undefined): void {
    const trace = this.nodes.get(node)
    if (trace !== undefined) trace.value = value
    const origins = this.#ruleOrigins.get(env) ?? new Map<number, Origin | undefined>()
    this.#ruleOrigins.set(env, origins)
    origins.set(node.id, value === undefined ? undefined : this.#given)
    // what is computed next has its own origin
    if (value === undefined) this.#given = undefined
  }

  mark(_: Frame, op: Mark): void {
    this.#attempt.current = op
    this.#inside = undefined
  }

  enterBlock(): void {
    this.#attempts.push({ current: undefined, best: undefined })
  }

  leaveBlock(_: Frame, op: Op): void {
    const attempt = this.#attempts.pop() as Attempt
    if (op.op === 'every' || op.op === 'exists' || op.op === 'either') this.#inside = attempt.best?.failure
  }

  element(f: Frame, op: Op): void {
    for (const register of writtenIn((op as { body: Block }).body)) f[register] = undefined
    if (op.op !== 'scan' && op.op !== 'every') return
    const origins = this.#of(f)
    const from = this.#origin(f, op.op === 'scan' ? op.from : op.domain)
    if (op.value === undefined) return
    origins[op.value] =
      from?.kind === 'input' && op.key !== undefined
        ? { kind: 'input', path: [...from.path, f[op.key] as Value] }
        : undefined
    if (op.key !== undefined) origins[op.key] = undefined
  }

  emit(f: Frame, e: Emit): void {
    this.#given = e.what === 'value' ? this.#origin(f, e.value) : undefined
  }

  after(f: Frame, op: Op, failed: boolean): void {
    this.#follow(f, op, failed)
    if (failed) this.#failed(f)
  }

  #failed(f: Frame): void {
    const attempt = this.#attempt
    const { current } = attempt
    if (current === undefined || (attempt.best !== undefined && current.order < attempt.best.order)) return
    const variables = new Map<string, Value>()
    for (const [name, o] of current.names) {
      const value = typeof o === 'object' ? o.value : f[o]
      if (isValue(value)) variables.set(name, value)
    }
    const reads = new Map<string, Value | undefined>()
    for (const [text, register] of current.reads) {
      const value = f[register]
      reads.set(text, isValue(value) ? value : undefined)
    }
    attempt.best = { order: current.order, failure: { expr: current.site, variables, reads, inside: this.#inside } }
  }

  /** Where the operation's result comes from, and what it asked. */
  #follow(f: Frame, op: Op, failed: boolean): void {
    const origins = this.#of(f)
    switch (op.op) {
      case 'input':
        origins[op.out] = (f[op.env] as Env).input === this.#input ? { kind: 'input', path: [] } : undefined
        return
      case 'move':
        origins[op.out] = this.#origin(f, op.from)
        return
      case 'load':
      case 'step': {
        const key = op.op === 'load' ? op.key : this.#seen(f, op.key).value
        return this.#member(f, op.from, key, op.out, failed)
      }
      case 'scan':
      case 'every': {
        const from = this.#origin(f, op.op === 'scan' ? op.from : op.domain)
        if (from?.kind === 'input' && failed) this.#ask({ kind: 'element', path: from.path })
        return
      }
      case 'rule':
        origins[op.out] = this.#ruleOrigins.get(f[op.env] as Env)?.get(op.node)
        return
      case 'call':
        origins[op.out] = this.#given
        return
      case 'builtin':
        return this.#made(f, op, failed)
      case 'truthy':
        return this.#ask({ kind: 'truthy', of: this.#seen(f, op.from), held: !failed })
      case 'equal':
        return this.#ask({ kind: 'equal', a: this.#seen(f, op.a), b: this.#seen(f, op.b), held: !failed })
      default:
    }
    if ('out' in op && typeof op.out === 'number') origins[op.out] = undefined
  }

  #member(f: Frame, fromOperand: Operand, key: Value, out: number, failed: boolean): void {
    const from = this.#origin(f, fromOperand)
    const path = from?.kind === 'input' ? [...from.path, key] : undefined
    this.#of(f)[out] = path === undefined ? undefined : { kind: 'input', path }
    if (path !== undefined) this.#ask({ kind: 'member', path, held: !failed })
  }

  #made(f: Frame, op: Op & { op: 'builtin' }, failed: boolean): void {
    const args = op.args.map((a) => this.#seen(f, a))
    const value = failed ? undefined : (f[op.out] as Value)
    if (op.builtin.nondeterministic === true || op.builtin.host !== undefined) {
      this.outside.push({ name: op.builtin.name, args: args.map((a) => a.value), value })
    }
    const fromInput = args.some((a) => a.origin !== undefined)
    const origin: Origin | undefined = fromInput ? { kind: 'made', builtin: op.builtin, args } : undefined
    this.#of(f)[op.out] = failed ? undefined : origin
    if (failed && origin !== undefined) this.#ask({ kind: 'answer', builtin: op.builtin, args })
  }

  /** Before a call: the origins of its arguments. */
  passing(f: Frame, args: readonly Operand[]): void {
    this.#passed = args.map((a) => this.#origin(f, a))
  }

  #ask(q: Question): void {
    if (this.questions.length < MAX_QUESTIONS && concernsInput(q)) this.questions.push(q)
  }
}

function concernsInput(q: Question): boolean {
  switch (q.kind) {
    case 'equal':
      return q.a.origin !== undefined || q.b.origin !== undefined
    case 'truthy':
      return q.of.origin !== undefined
    default:
      return true
  }
}

const written = new WeakMap<Block, readonly number[]>()

/** The registers that the operations of a block set, blocks inside included. */
function writtenIn(block: Block): readonly number[] {
  const known = written.get(block)
  if (known !== undefined) return known
  const out: number[] = []
  for (const op of block.ops) {
    if ('out' in op && typeof op.out === 'number') out.push(op.out)
    if ((op.op === 'scan' || op.op === 'every' || op.op === 'doc-scan' || op.op === 'walk') && op.value !== undefined) {
      out.push(op.value)
    }
    if (op.op === 'either') for (const b of op.blocks) out.push(...writtenIn(b))
    else if ('body' in op) out.push(...writtenIn(op.body))
  }
  written.set(block, out)
  return out
}
