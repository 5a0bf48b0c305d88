import { RegoError } from '../errors.ts'

/** How much an evaluation may do. A bound that is hit is an error, never "undefined". */
export type Bounds = {
  /** Elements looked at, calls made, and what built-ins count. Default 100 million: some seconds. */
  readonly maxSteps?: number
  /** Calls of rules within rules. Default 1,000. */
  readonly maxDepth?: number
  /** Elements and characters in results that are built, all together. Default 50 million. */
  readonly maxMemory?: number
  /** Asked about every 10,000 steps; true ends the evaluation with `eval_cancel_error`. */
  readonly interrupt?: () => boolean
}

const SLICE = 10_000
const DEFAULT_STEPS = 100_000_000
const DEFAULT_DEPTH = 1_000
const DEFAULT_MEMORY = 50_000_000

/** What is left of the bounds during one evaluation. Back ends count `fuel` down themselves. */
export class Budget {
  /** Steps until `refuel` has to be asked. */
  fuel: number
  depth: number
  memory: number
  #left: number
  readonly #depth: number
  readonly #memory: number
  readonly #interrupt: (() => boolean) | undefined

  constructor(bounds: Bounds) {
    const steps = bounds.maxSteps ?? DEFAULT_STEPS
    this.#interrupt = bounds.interrupt
    this.fuel = Math.min(SLICE, steps)
    this.#left = steps - this.fuel
    this.#depth = bounds.maxDepth ?? DEFAULT_DEPTH
    this.#memory = bounds.maxMemory ?? DEFAULT_MEMORY
    this.depth = this.#depth
    this.memory = this.#memory
  }

  /** Called when `fuel` fell below zero: asks the host, then gives the next slice or ends the evaluation. */
  refuel(): void {
    if (this.#interrupt?.() === true) throw RegoError.of('eval_cancel_error', 'caller cancelled query execution')
    const owed = -this.fuel
    if (this.#left < owed) throw RegoError.of('bound_steps', 'the evaluation took more steps than allowed')
    this.#left -= owed
    const slice = Math.min(SLICE, this.#left)
    this.#left -= slice
    this.fuel = slice
  }

  /** The evaluation begins again: depth and memory are free, steps are not given back. */
  restart(): void {
    this.depth = this.#depth
    this.memory = this.#memory
  }

  spend(steps: number): void {
    this.fuel -= steps
    if (this.fuel < 0) this.refuel()
  }

  reserve(size: number): void {
    if (size > this.memory) this.#full()
  }

  /** An element was added to a result. */
  grow(): void {
    if (--this.memory < 0) this.#full()
  }

  /** `depth` fell below zero. */
  tooDeep(): never {
    throw RegoError.of('bound_depth', 'rules call each other more deeply than allowed')
  }

  #full(): never {
    throw RegoError.of('bound_memory', 'a result has more elements or characters than allowed')
  }

  enter(): void {
    if (--this.depth < 0) this.tooDeep()
  }

  leave(): void {
    this.depth++
  }
}
