import type { Builtin } from '../../builtins/index.ts'
import type { RuleEvaluator } from '../../eval/documents.ts'
import type { Env, Mock } from '../../eval/env.ts'
import type { Branch } from '../../eval/nested.ts'
import type { NodePlan, QueryPlan } from '../../plan/ir.ts'
import type { Plan } from '../../plan/planner.ts'
import type { Location } from '../../syntax/source.ts'
import type { Value } from '../../value/index.ts'
import type { Backend } from '../backend.ts'
import { FAST } from '../fast/calls.ts'
import { Walker } from '../fast/walker.ts'
import { FunctionWriter, type Names } from './emit.ts'
import { isPolluted } from './keys.ts'
import { RUNTIME } from './runtime.ts'
import { Writer } from './writer.ts'

/** True where the host lets us make functions from text. */
export function canGenerate(): boolean {
  try {
    // eslint-disable-next-line no-new-func -- this is the question
    return new Function('return true')() === true
  } catch {
    return false
  }
}

const HELPERS = { ...RUNTIME, ...FAST, Walker }

type Linked = {
  readonly rules: Readonly<Record<number, (env: Env) => Value | undefined>>
  readonly extents: Readonly<Record<number, (env: Env, budget: Env['budget']) => Branch>>
  readonly functions: Readonly<Record<number, (env: Env, ...args: Value[]) => Value | undefined>>
}

/** Evaluates a plan by JavaScript that is generated from it: one function per rule, loops for iteration. */
export class Generated implements Backend, RuleEvaluator {
  readonly nodes: readonly NodePlan[]
  readonly #plan: Plan
  readonly #variants: (Linked | undefined)[] = []

  constructor(plan: Plan) {
    this.#plan = plan
    this.nodes = plan.nodes
  }

  rule(env: Env, id: number): Value | undefined {
    return (this.#linked.rules[id] as (env: Env) => Value | undefined)(env)
  }

  extent(env: Env, id: number): Branch {
    const known = env.extents.get(id)
    if (known !== undefined) return known
    const { budget } = env
    budget.spend(1)
    budget.enter()
    const made = (this.#linked.extents[id] as (env: Env, budget: Env['budget']) => Branch)(env, budget)
    budget.leave()
    env.extents.set(id, made)
    return made
  }

  call(env: Env, id: number, args: readonly Value[]): Value | undefined {
    return (this.#linked.functions[id] as (env: Env, ...args: readonly Value[]) => Value | undefined)(env, ...args)
  }

  mocked(env: Env, mock: Mock, args: readonly Value[], at: Location): Value | undefined {
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
    if (mock !== undefined) return this.mocked(env, mock, args, at)
    return env.machine.call(builtin, args, at)
  }

  query(query: QueryPlan): (env: Env, onRow: (values: Value[]) => boolean) => void {
    const variants: ((env: Env, onRow: (values: Value[]) => boolean) => void)[] = []
    return (env, onRow) => {
      const at = isPolluted() ? 1 : 0
      const run = (variants[at] ??= this.#linkQuery(query, at === 0))
      run(env, onRow)
    }
  }

  get #linked(): Linked {
    const at = isPolluted() ? 1 : 0
    return (this.#variants[at] ??= this.#link(at === 0))
  }

  #names(direct: boolean): Names {
    const { replaceable, ids } = this.#plan
    const maskable = new Set([...replaceable.nodes].map((n) => ids.get(n)))
    return { direct, maskable: (id) => maskable.has(id), mockable: (name) => replaceable.functions.has(name) }
  }

  #link(direct: boolean): Linked {
    const w = new Writer()
    const f = new FunctionWriter(w, this.#names(direct))
    w.line('const constants = [];')
    for (const node of this.nodes) f.node(node)
    const table = (kind: string, prefix: string): string =>
      this.nodes
        .filter((n) => (prefix === 'r' ? n.kind === 'complete' || n.kind === 'set' : n.kind === kind))
        .map((n) => `${n.id}: ${prefix}${n.id}`)
        .join(', ')
    w.line(
      `return { rules: { ${table('', 'r')} }, extents: { ${table('partial', 'x')} }, functions: { ${table('function', 'f')} } };`,
    )
    return this.#evaluate(w, '') as Linked
  }

  #linkQuery(query: QueryPlan, direct: boolean): (env: Env, onRow: (values: Value[]) => boolean) => void {
    const w = new Writer()
    const f = new FunctionWriter(w, this.#names(direct))
    f.query(query.block)
    const linked = (this.#variants[direct ? 0 : 1] ??= this.#link(direct))
    const text = w.text
    const uses = new Set([...text.matchAll(/\b([rf])(\d+)\(/g)].map((m) => `${m[1]}${m[2]}`))
    const header = [...uses].map((name) => {
      const from = name.startsWith('r') ? 'rules' : 'functions'
      return `const ${name} = P.${from}[${name.slice(1)}];`
    })
    return this.#evaluate(w, header.join('\n'), linked) as (env: Env, onRow: (values: Value[]) => boolean) => void
  }

  #evaluate(w: Writer, header: string, linked?: Linked): unknown {
    const helpers = Object.keys(HELPERS)
    const constants = w.constants.map((_, i) => `const K${i} = K[${i}];`).join('\n')
    const code = `'use strict';\n${constants}\n${header}\n${w.text}`
    // eslint-disable-next-line no-new-func -- the text holds nothing of a policy but member names as JSON strings
    const make = new Function(...helpers, 'R', 'K', 'P', code) as (...args: unknown[]) => unknown
    return make(...Object.values(HELPERS), this, w.constants, linked)
  }
}
