import type { Builtin } from '../builtins/index.ts'
import { Cursor, baseAt, cursorAt, cursorKeys, cursorStep, cursorValue, type RuleEvaluator } from '../eval/documents.ts'
import { ABSENT, type Env, type Memo, type Mock } from '../eval/env.ts'
import { completeConflict, functionConflict, keyConflict } from '../eval/errors.ts'
import { Branch } from '../eval/nested.ts'
import { replaced } from '../eval/with.ts'
import { functionName } from '../plan/replacements.ts'
import type { Block, Clause, Emit, NodePlan, Op, Operand, QueryPlan } from '../plan/ir.ts'
import type { Plan } from '../plan/planner.ts'
import type { Location } from '../syntax/source.ts'
import {
  equal,
  isArray,
  isObject,
  isSet,
  ObjectBuilder,
  objectSize,
  RegoSet,
  step,
  type Value,
} from '../value/index.ts'
import { Walker } from './fast/walker.ts'
import { iterate } from './iterate.ts'

/** Registers of one call, by number; register 0 is the environment. */
export type Frame = unknown[]
/** What an operation did: failed, went on, or ended the block because nobody needs more. */
type Status = 0 | 1 | 2
const FAIL = 0
const NEXT = 1
const STOP = 2
type Step = (f: Frame) => Status
type Sink = (e: Emit) => Step

/** Who watches an evaluation: an explanation. Everything is told as it happens. */
export type Hooks = Partial<{
  readonly enterClause: (f: Frame, node: NodePlan, clause: Clause) => void
  readonly leaveClause: (f: Frame, clause: Clause, held: boolean) => void
  /** A rule's value, or a function's, was found or not. */
  readonly leaveNode: (env: Env, node: NodePlan, value: Value | undefined) => void
  readonly mark: (f: Frame, op: Op & { readonly op: 'mark' }) => void
  /** After any operation. */
  readonly after: (f: Frame, op: Op, failed: boolean) => void
  /** Before an iteration's block runs; its registers are set. */
  readonly element: (f: Frame, op: Op) => void
  /** Around a block of its own: `not`, `every`, `exists`, a comprehension. */
  readonly enterBlock: (f: Frame, op: Op) => void
  readonly leaveBlock: (f: Frame, op: Op) => void
  readonly emit: (f: Frame, e: Emit) => void
  /** Before a function is called with these operands. */
  readonly passing: (f: Frame, args: readonly Operand[]) => void
}>

/**
 * Evaluates a plan by calling functions made from its operations. Slower than generated code, but works where a content
 * security policy forbids making code, and it is what an explanation runs on.
 */
export class Closures implements RuleEvaluator {
  readonly nodes: readonly NodePlan[]
  readonly #constants: Memo = []
  readonly #rules: (((env: Env) => Value | undefined) | undefined)[] = []
  readonly #extents: (((env: Env) => Branch) | undefined)[] = []
  readonly #functions: (((env: Env, args: readonly Value[]) => Value | undefined) | undefined)[] = []

  readonly #hooks: Hooks | undefined

  constructor(plan: Plan, hooks?: Hooks) {
    this.nodes = plan.nodes
    this.#hooks = hooks
  }

  rule(env: Env, id: number): Value | undefined {
    return this.#remembered(env, id, () => {
      const node = this.nodes[id] as NodePlan
      const compute = (this.#rules[id] ??= node.kind === 'set' ? this.#set(node) : this.#complete(node))
      return compute(env)
    })
  }

  extent(env: Env, id: number): Branch {
    const known = env.extents.get(id)
    if (known !== undefined) return known
    const { budget } = env.machine
    budget.spend(1)
    budget.enter()
    const compute = (this.#extents[id] ??= this.#partial(this.nodes[id] as NodePlan))
    const made = compute(env)
    budget.leave()
    env.extents.set(id, made)
    return made
  }

  #remembered(env: Env, id: number, compute: () => Value | undefined): Value | undefined {
    const kept = (this.nodes[id] as NodePlan).constant && !env.machine.strict && this.#hooks === undefined
    const memo = kept ? this.#constants : env.memo
    const known = memo[id]
    if (known !== undefined) return known === ABSENT ? undefined : known
    const { budget } = env.machine
    if (--budget.fuel < 0) budget.refuel()
    let value: Value | undefined
    if (env.masks?.has(id) === true) value = baseAt(env.data, (this.nodes[id] as NodePlan).path)
    else {
      budget.enter()
      value = compute()
      budget.leave()
    }
    memo[id] = value === undefined ? ABSENT : value
    this.#hooks?.leaveNode?.(env, this.nodes[id] as NodePlan, value)
    return value
  }

  call(env: Env, id: number, args: readonly Value[]): Value | undefined {
    const node = this.nodes[id] as NodePlan
    const mock = env.mocks?.get(functionName(node))
    if (mock !== undefined) return this.#mocked(env, mock, args, node.loc as Location)
    const { budget } = env.machine
    if (--budget.fuel < 0) budget.refuel()
    budget.enter()
    const compute = (this.#functions[id] ??= this.#function(node))
    const value = compute(env, args)
    budget.leave()
    this.#hooks?.leaveNode?.(env, node, value)
    return value
  }

  #mocked(env: Env, mock: Mock, args: readonly Value[], at: Location): Value | undefined {
    switch (mock.kind) {
      case 'value':
        return mock.value
      case 'node':
        return this.call(env.withoutMocks(), mock.node, args)
      case 'builtin':
        return env.machine.call(mock.builtin, [...args], at)
    }
  }

  builtin(env: Env, builtin: Builtin, args: Value[], at: Location): Value | undefined {
    const mock = env.mocks?.get(builtin.name)
    if (mock !== undefined) return this.#mocked(env, mock, args, at)
    return env.machine.call(builtin, args, at)
  }

  /** Runs a query. `onRow` says whether to go on. */
  query(query: QueryPlan): (env: Env, onRow: (values: Value[]) => boolean) => void {
    const slot = query.registers
    const run = this.#block(query.block, (e) => {
      const values = e.what === 'row' ? e.values : []
      const read = values.map((v) => this.#read(v))
      return (f) => ((f[slot] as (values: Value[]) => boolean)(read.map((r) => r(f))) ? FAIL : STOP)
    })
    return (env, onRow) => {
      const f: Frame = [env]
      f[slot] = onRow
      run(f)
    }
  }

  #complete(node: NodePlan): (env: Env) => Value | undefined {
    const run = this.#clauses(node, completeConflict)
    return (env) => run(env, [])
  }

  #function(node: NodePlan): (env: Env, args: readonly Value[]) => Value | undefined {
    return this.#clauses(node, functionConflict)
  }

  #clauses(
    node: NodePlan,
    conflict: (at: Location | undefined) => Error,
  ): (env: Env, args: readonly Value[]) => Value | undefined {
    const clauses = node.clauses.map((c) => this.#clause(node, c, conflict))
    const fallback = node.fallback && this.#clause(node, node.fallback, conflict)
    const tried = selection(node)
    return (env, args) => {
      let result: Value | undefined
      for (const i of tried(env, args)) {
        const value = clauses[i]?.(env, args)
        if (value === undefined) continue
        if (result === undefined) {
          result = value
          if (node.firstDecides) return result
        } else if (!equal(result, value)) throw conflict((node.clauses[i] as Clause).loc)
      }
      return result === undefined ? fallback?.(env, args) : result
    }
  }

  #clause(
    node: NodePlan,
    clause: Clause,
    conflict: (at: Location | undefined) => Error,
  ): (env: Env, args: readonly Value[]) => Value | undefined {
    const slot = clause.registers
    const run = this.#block(clause.block, (e) => {
      const value = this.#read((e as Emit & { what: 'value' }).value)
      if (clause.single || clause.constant !== undefined) {
        return (f) => {
          f[slot] = value(f)
          return STOP
        }
      }
      return (f) => {
        const v = value(f)
        const before = f[slot] as Value | undefined
        if (before === undefined) f[slot] = v
        else if (!equal(before, v)) throw conflict(clause.loc)
        return FAIL
      }
    })
    const otherwise = clause.else && this.#clause(node, clause.else, conflict)
    return (env, args) => {
      const f: Frame = [env, ...args]
      this.#hooks?.enterClause?.(f, node, clause)
      run(f)
      this.#hooks?.leaveClause?.(f, clause, f[slot] !== undefined)
      const value = f[slot] as Value | undefined
      return value === undefined ? otherwise?.(env, args) : value
    }
  }

  #set(node: NodePlan): (env: Env) => Value | undefined {
    const clauses = node.clauses.map((clause) => {
      const slot = clause.registers
      const run = this.#block(clause.block, (e) => {
        const value = this.#read((e as Emit & { what: 'value' }).value)
        const status = clause.constant !== undefined || clause.single ? STOP : FAIL
        return (f) => {
          if ((f[slot] as RegoSet).add(value(f))) (f[0] as Env).machine.budget.grow()
          return status
        }
      })
      return { slot, run }
    })
    const tried = selection(node)
    return (env) => {
      const out = new RegoSet()
      for (const i of tried(env, NO_ARGS)) {
        const { slot, run } = clauses[i] as (typeof clauses)[number]
        const f: Frame = [env]
        f[slot] = out
        const before = out.size
        this.#hooks?.enterClause?.(f, node, node.clauses[i] as Clause)
        run(f)
        this.#hooks?.leaveClause?.(f, node.clauses[i] as Clause, out.size > before)
      }
      return out
    }
  }

  #partial(node: NodePlan): (env: Env) => Branch {
    const clauses = node.clauses.map((clause) => {
      const slot = clause.registers
      const run = this.#block(clause.block, (e) => {
        const { path, value, set } = e as Emit & { what: 'path' }
        const keys = path.map((p) => this.#read(p))
        const leaf = this.#read(value)
        return (f) => {
          const added = (f[slot] as Branch).add(
            keys.map((k) => k(f)),
            leaf(f),
            set,
            clause.loc,
          )
          if (added) (f[0] as Env).machine.budget.grow()
          return FAIL
        }
      })
      return { slot, run }
    })
    const tried = selection(node)
    return (env) => {
      const out = new Branch()
      for (const i of tried(env, NO_ARGS)) {
        const { slot, run } = clauses[i] as (typeof clauses)[number]
        const f: Frame = [env]
        f[slot] = out
        const before = out.keys.length
        this.#hooks?.enterClause?.(f, node, node.clauses[i] as Clause)
        run(f)
        this.#hooks?.leaveClause?.(f, node.clauses[i] as Clause, out.keys.length > before)
      }
      return out
    }
  }

  #read(o: Operand): (f: Frame) => Value {
    if (typeof o === 'object') {
      const { value } = o
      return () => value
    }
    return (f) => f[o] as Value
  }

  #block(block: Block, sink: Sink): Step {
    const steps = block.ops.map((op) => this.#watched(op, this.#op(op, sink)))
    const [a, b] = steps
    if (a === undefined) return () => FAIL
    if (b === undefined) return (f) => (a(f) === STOP ? STOP : FAIL)
    return (f) => {
      for (const s of steps) {
        const status = s(f)
        if (status !== NEXT) return status
      }
      return FAIL
    }
  }

  #watched(op: Op, step: Step): Step {
    const hooks = this.#hooks
    if (hooks === undefined) return step
    if (op.op === 'mark') {
      return (f) => {
        hooks.mark?.(f, op)
        return NEXT
      }
    }
    return (f) => {
      const status = step(f)
      hooks.after?.(f, op, status === FAIL)
      return status
    }
  }

  /** A block that stops at its first solution. */
  #found(block: Block, of: Op): (f: Frame) => boolean {
    const run = this.#own(
      of,
      this.#block(block, () => () => STOP),
    )
    return (f) => run(f) === STOP
  }

  /** A block whose failures are its own business. */
  #own(of: Op, run: Step): Step {
    const hooks = this.#hooks
    if (hooks === undefined) return run
    return (f) => {
      hooks.enterBlock?.(f, of)
      const status = run(f)
      hooks.leaveBlock?.(f, of)
      return status
    }
  }

  #op(op: Op, sink: Sink): Step {
    switch (op.op) {
      case 'move': {
        const from = this.#read(op.from)
        return (f) => set(f, op.out, from(f))
      }
      case 'input':
        return (f) => set(f, op.out, (f[op.env] as Env).input)
      case 'load':
      case 'step': {
        const from = this.#read(op.from)
        const key = op.op === 'load' ? () => op.key : this.#read(op.key)
        return (f) => set(f, op.out, step(from(f), key(f)))
      }
      case 'scan':
        return this.#scan(op, sink)
      case 'base':
        return (f) => set(f, op.out, baseAt((f[op.env] as Env).data, op.path))
      case 'rule':
        return (f) => set(f, op.out, this.rule(f[op.env] as Env, op.node))
      case 'doc':
        return (f) => set(f, op.out, cursorAt(this, f[op.env] as Env, op.node))
      case 'doc-step': {
        const key = this.#read(op.key)
        return (f) => set(f, op.out, cursorStep(this, f[op.env] as Env, f[op.from] as Cursor | Value, key(f)))
      }
      case 'doc-scan': {
        const body = this.#block(op.body, sink)
        return (f) => {
          const env = f[op.env] as Env
          const from = f[op.from] as Cursor | Value
          for (const k of cursorKeys(this, env, from)) {
            const value = cursorStep(this, env, from, k)
            if (value === undefined) continue
            if (op.key !== undefined) f[op.key] = k
            f[op.value] = value
            this.#hooks?.element?.(f, op)
            if (body(f) === STOP) return STOP
          }
          return FAIL
        }
      }
      case 'doc-value':
        return (f) => set(f, op.out, cursorValue(this, f[op.env] as Env, f[op.from] as Cursor | Value))
      case 'call': {
        const args = op.args.map((a) => this.#read(a))
        return (f) => {
          this.#hooks?.passing?.(f, op.args)
          const operands = args.map((a) => a(f))
          return set(f, op.out, this.call(f[op.env] as Env, op.node, operands))
        }
      }
      case 'builtin':
        return this.#builtin(op)
      case 'relation': {
        const args = op.args.map((a) => this.#read(a))
        const body = this.#block(op.body, sink)
        return (f) => {
          const answers = (f[op.env] as Env).machine.call(
            op.builtin,
            args.map((a) => a(f)),
            op.loc,
          )
          if (!isArray(answers)) return FAIL
          for (const answer of answers) {
            f[op.out] = answer
            this.#hooks?.element?.(f, op)
            if (body(f) === STOP) return STOP
          }
          return FAIL
        }
      }
      case 'walk': {
        const from = this.#read(op.from)
        const body = this.#block(op.body, sink)
        return (f) => {
          const { budget } = f[0] as Env
          const walker = new Walker(from(f), op.ordered)
          while (walker.next()) {
            if (--budget.fuel < 0) budget.refuel()
            f[op.value] = walker.value
            if (op.path !== undefined) f[op.path] = walker.path
            this.#hooks?.element?.(f, op)
            if (body(f) === STOP) return STOP
          }
          return FAIL
        }
      }
      case 'own':
        return (f) => {
          f[op.path] = (f[op.path] as readonly Value[]).slice()
          return NEXT
        }
      case 'print': {
        const from = this.#read(op.from)
        return (f) => {
          ;(f[op.env] as Env).machine.show(from(f), op.loc)
          return NEXT
        }
      }
      case 'truthy': {
        const from = this.#read(op.from)
        return (f) => (from(f) === false ? FAIL : NEXT)
      }
      case 'equal': {
        const a = this.#read(op.a)
        const b = this.#read(op.b)
        return (f) => (equal(a(f), b(f)) ? NEXT : FAIL)
      }
      case 'is-array': {
        const from = this.#read(op.from)
        return (f) => {
          const v = from(f)
          return isArray(v) && v.length === op.length ? NEXT : FAIL
        }
      }
      case 'is-object': {
        const from = this.#read(op.from)
        return (f) => {
          const v = from(f)
          return isObject(v) && objectSize(v) === op.size ? NEXT : FAIL
        }
      }
      case 'fail':
        return () => FAIL
      case 'array': {
        const items = op.items.map((i) => this.#read(i))
        return (f) =>
          set(
            f,
            op.out,
            items.map((i) => i(f)),
          )
      }
      case 'set': {
        const items = op.items.map((i) => this.#read(i))
        return (f) => set(f, op.out, RegoSet.of(items.map((i) => i(f))))
      }
      case 'object': {
        const entries = op.entries.map(([k, v]) => [this.#read(k), this.#read(v)] as const)
        return (f) => {
          const builder = new ObjectBuilder()
          for (const [k, v] of entries) builder.set(k(f), v(f))
          return set(f, op.out, builder.finish())
        }
      }
      case 'comprehension':
        return this.#comprehension(op)
      case 'not': {
        const found = this.#found(op.body, op)
        return (f) => (found(f) ? FAIL : NEXT)
      }
      case 'exists': {
        const found = this.#found(op.body, op)
        return (f) => (found(f) ? NEXT : FAIL)
      }
      case 'either': {
        const blocks = op.blocks.map((b) => this.#found(b, op))
        return (f) => (blocks.some((b) => b(f)) ? NEXT : FAIL)
      }
      case 'every':
        return this.#every(op)
      case 'with':
        return (f) => {
          f[op.out] = replaced(f[op.env] as Env, op.targets, (o) => (typeof o === 'object' ? o.value : (f[o] as Value)))
          return NEXT
        }
      case 'emit': {
        const hooks = this.#hooks
        const done = sink(op)
        if (hooks === undefined) return done
        return (f) => {
          hooks.emit?.(f, op)
          return done(f)
        }
      }
      case 'mark':
        return () => NEXT
    }
  }

  #scan(op: Op & { op: 'scan' }, sink: Sink): Step {
    const from = this.#read(op.from)
    const body = this.#block(op.body, sink)
    const { key, value, ordered, join } = op
    const equals = join && this.#read(join.equals)
    const hooks = this.#hooks
    return (f) => {
      const { machine } = f[0] as Env
      const { budget } = machine
      const all = from(f)
      const some = join && machine.joins.candidates(join.path, all, (equals as (f: Frame) => Value)(f))
      const done = iterate(all, ordered, some, (k, v) => {
        if (--budget.fuel < 0) budget.refuel()
        if (key !== undefined) f[key] = k
        if (value !== undefined) f[value] = v
        hooks?.element?.(f, op)
        return body(f) === STOP
      })
      return done ? STOP : FAIL
    }
  }

  #builtin(op: Op & { op: 'builtin' }): Step {
    const args = op.args.map((a) => this.#read(a))
    return (f) =>
      set(
        f,
        op.out,
        this.builtin(
          f[op.env] as Env,
          op.builtin,
          args.map((a) => a(f)),
          op.loc,
        ),
      )
  }

  #comprehension(op: Op & { op: 'comprehension' }): Step {
    const { out, kind } = op
    if (kind === 'object') {
      const body = this.#block(op.body, (e) => {
        const { key, value } = e as Emit & { what: 'entry' }
        const k = this.#read(key)
        const v = this.#read(value)
        return (f) => {
          const builder = f[out] as ObjectBuilder
          const at = k(f)
          const is = v(f)
          const was = builder.get(at)
          if (was === undefined) {
            builder.set(at, is)
            ;(f[0] as Env).machine.budget.grow()
          } else if (!equal(was, is)) throw keyConflict(op.loc)
          return FAIL
        }
      })
      const run = this.#own(op, body)
      return (f) => {
        f[out] = new ObjectBuilder()
        run(f)
        return set(f, out, (f[out] as ObjectBuilder).finish())
      }
    }
    const body = this.#block(op.body, (e) => {
      const value = this.#read((e as Emit & { what: 'value' }).value)
      if (kind === 'array') {
        return (f) => {
          ;(f[out] as Value[]).push(value(f))
          ;(f[0] as Env).machine.budget.grow()
          return FAIL
        }
      }
      return (f) => {
        if ((f[out] as RegoSet).add(value(f))) (f[0] as Env).machine.budget.grow()
        return FAIL
      }
    })
    const run = this.#own(op, body)
    return (f) => {
      f[out] = kind === 'array' ? [] : new RegoSet()
      run(f)
      return NEXT
    }
  }

  #every(op: Op & { op: 'every' }): Step {
    const domain = this.#read(op.domain)
    const found = this.#found(op.body, op)
    const { key, value } = op
    return (f) => {
      const v = domain(f)
      if (!isArray(v) && !isSet(v) && !isObject(v)) return FAIL
      const { budget } = (f[0] as Env).machine
      const failed = iterate(v, false, undefined, (k, x) => {
        if (--budget.fuel < 0) budget.refuel()
        if (key !== undefined) f[key] = k
        f[value] = x
        this.#hooks?.element?.(f, op)
        return !found(f)
      })
      return failed ? FAIL : NEXT
    }
  }
}

const NO_ARGS: readonly Value[] = []

/** The clauses of a node to try, by number. */
function selection({ clauses, index }: NodePlan): (env: Env, args: readonly Value[]) => readonly number[] {
  if (index === undefined) {
    const all = [...clauses.keys()]
    return () => all
  }
  const { root } = index
  return (env, args) => index.select(root === 'input' ? env.input : args[root - 1])
}

function set(f: Frame, out: number, v: unknown): Status {
  if (v === undefined) return FAIL
  f[out] = v
  return NEXT
}
