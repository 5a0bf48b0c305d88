import type { Plan } from '../plan/planner.ts'
import type { Backend } from './backend.ts'
import { Closures } from './closures.ts'
import { canGenerate, Generated } from './generated/generated.ts'

/** `generated`: an error where the host forbids making code. `closures`: never makes code. */
export type BackendChoice = 'auto' | 'generated' | 'closures'

export function makeBackend(plan: Plan, choice: BackendChoice): Backend {
  if (choice === 'closures') return new Closures(plan)
  if (choice === 'auto' && !canGenerate()) return new Closures(plan)
  return new Generated(plan)
}
