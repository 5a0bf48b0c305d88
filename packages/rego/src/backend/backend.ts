import type { Env } from '../eval/env.ts'
import type { NodePlan, QueryPlan } from '../plan/ir.ts'
import type { Value } from '../value/index.ts'

/** Makes plans run. Both back ends give the same answers. */
export type Backend = {
  readonly nodes: readonly NodePlan[]
  /** @returns Runs the query; `onRow` gets each answer and says whether to go on. */
  readonly query: (plan: QueryPlan) => (env: Env, onRow: (values: Value[]) => boolean) => void
}
