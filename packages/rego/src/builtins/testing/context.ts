import type { BuiltinContext } from '../contract.ts'
import type { HostFunctions } from '../host.ts'

/** The bound of a test's context was hit. */
export class Exhausted extends Error {
  override readonly name = 'Exhausted'
}

/** A context for tests of built-ins, with small bounds. An answer that is a promise is thrown as it is. */
export function testContext(
  host: HostFunctions = {},
  bounds = { steps: 1_000_000, memory: 1_000_000 },
): BuiltinContext {
  let steps = bounds.steps
  return {
    timeNs: 1_770_000_000_000_000_000n,
    seed: new Uint8Array(32).fill(1),
    memo: new Map(),
    host,
    spend: (n) => {
      steps -= n
      if (!(steps >= 0)) throw new Exhausted('steps')
    },
    reserve: (n) => {
      if (!(n <= bounds.memory)) throw new Exhausted('memory')
    },
    settle: (_key, ask) => {
      const answer = ask()
      if (answer instanceof Promise) throw answer
      return answer as Awaited<typeof answer>
    },
  }
}
