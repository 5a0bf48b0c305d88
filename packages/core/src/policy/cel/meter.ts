import { type CelFunc, CelScalar, type CelValue, celFunc, isCelList, isCelMap } from '@bufbuild/cel'

/** What an evaluation may cost: a step for each turn of a loop, and for each character and element given to a function. */
export const CEL_STEPS = 200_000

const { BOOL, DYN } = CelScalar

/**
 * Counts what an evaluation costs. The library has no bound of its own, so expressions are planned with calls of these
 * functions put in: a loop goes on only while `tick` says so, and operands pass the scales on their way into a function.
 * Names begin with `@`, which no expression can spell. Steps are counted rather than time, so that a replay ends where
 * the first evaluation ended.
 */
export class Meter {
  #left = 0

  start(): void {
    this.#left = CEL_STEPS
  }

  get exhausted(): boolean {
    return this.#left < 0
  }

  get functions(): CelFunc[] {
    return [
      celFunc('@tick', [DYN], BOOL, (goOn) => this.#spend(1) && goOn === true),
      // an operand that is too large is dropped: what is decided from then on does not count any more
      celFunc('@weighed', [DYN], DYN, (operand) => (this.#weigh(operand) ? operand : false)),
      // of functions that may look at each part of one operand for each part of another
      celFunc('@squared', [DYN], DYN, (operand) => {
        const before = this.#left
        if (!this.#weigh(operand)) return false
        const weight = before - this.#left
        return this.#spend((weight * weight) / 64) ? operand : false
      }),
    ]
  }

  #spend(steps: number): boolean {
    this.#left -= steps
    return this.#left >= 0
  }

  /** Elements are weighed one by one: a list may hold one large list many times. */
  #weigh(value: CelValue): boolean {
    if (typeof value === 'string' || value instanceof Uint8Array) return this.#spend(value.length + 1)
    if (isCelList(value)) {
      if (!this.#spend(value.size + 1)) return false
      for (const item of value) if (!this.#weigh(item)) return false
      return true
    }
    if (isCelMap(value)) {
      if (!this.#spend(value.size + 1)) return false
      for (const [key, item] of value) if (!this.#weigh(key) || !this.#weigh(item)) return false
      return true
    }
    return this.#spend(1)
  }
}
