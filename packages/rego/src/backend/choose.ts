import type { Plan } from '../plan/planner.ts'
import type { Backend } from './backend.ts'
import { Closures } from './closures.ts'

/** `generated`: an error where the host forbids making code. `closures`: never makes code. */
export type BackendChoice = 'auto' | 'generated' | 'closures'

export function makeBackend(plan: Plan, _choice: BackendChoice): Backend {
  const closures = new Closures(plan)
  return { query: (q) => closures.query(q) }
}
