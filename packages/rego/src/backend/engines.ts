import type { Program } from '../compile/compiler.ts'
import type { Names } from '../compile/names.ts'
import type { QueryPlan } from '../plan/ir.ts'
import { collectReplacements, planProgram, planQuery, type Plan, type Replacements } from '../plan/planner.ts'
import type { Body } from '../syntax/ast.ts'
import type { Backend } from './backend.ts'
import { makeBackend, type BackendChoice } from './choose.ts'

type Engine = { readonly plan: Plan; readonly backend: Backend }

/**
 * The planned forms of one program. There is more than one only where a query's own `with` hides rules or replaces functions
 * that no `with` of the program touches: elsewhere nobody has to ask whether they are replaced.
 */
export class Engines {
  readonly #program: Program
  readonly #choice: BackendChoice
  readonly #list: Engine[]

  constructor(program: Program, choice: BackendChoice) {
    this.#program = program
    this.#choice = choice
    this.#list = [this.#make()]
  }

  #make(more?: Replacements): Engine {
    const plan = planProgram(this.#program, false, more)
    return { plan, backend: makeBackend(plan, this.#choice) }
  }

  planned(query: { readonly body: Body; readonly names: Names }): {
    readonly plan: QueryPlan
    readonly backend: Backend
  } {
    const first = this.#list[0] as Engine
    const draft = planQuery(query.body, query.names, first.plan)
    const needs: Replacements = { masks: new Set(), mocks: new Set() }
    collectReplacements(draft.block, needs)
    let engine = this.#list.find(({ plan }) => allIn(needs.masks, plan.maskable) && allIn(needs.mocks, plan.mockable))
    if (engine === undefined) {
      engine = this.#make(needs)
      this.#list.push(engine)
    }
    const plan = engine === first ? draft : planQuery(query.body, query.names, engine.plan)
    return { plan, backend: engine.backend }
  }
}

function allIn<E>(some: Iterable<E>, all: ReadonlySet<E>): boolean {
  for (const e of some) if (!all.has(e)) return false
  return true
}
