import type { Program } from '../compile/compiler.ts'
import type { Names } from '../compile/names.ts'
import type { QueryPlan } from '../plan/ir.ts'
import { planProgram, planQuery, type Plan } from '../plan/planner.ts'
import { collectReplacements, type Replacements } from '../plan/replacements.ts'
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
    const needs: Replacements = { nodes: new Set(), functions: new Set() }
    collectReplacements(query.body, this.#program.root, needs)
    let engine = this.#list.find(
      ({ plan: { replaceable } }) =>
        allIn(needs.nodes, replaceable.nodes) && allIn(needs.functions, replaceable.functions),
    )
    if (engine === undefined) {
      engine = this.#make(needs)
      this.#list.push(engine)
    }
    return { plan: planQuery(query.body, query.names, engine.plan), backend: engine.backend }
  }
}

function allIn<E>(some: Iterable<E>, all: ReadonlySet<E>): boolean {
  for (const e of some) if (!all.has(e)) return false
  return true
}
