import { type HostFunction, type Value, Types, fromJson } from '@vouchsafe/rego'
import { type ReferenceAnswer, queryReference } from '../../agreement/reference/query-reference.ts'
import type { OpenedSet } from '../../agreement/reference/named-set.ts'

/** The function by which policies ask for reference values, called as in policies for Trustee. */
export const REFERENCE_FUNCTION = 'query_reference_value'

/** The sets that policies may ask during one evaluation, and what they asked. */
export class ReferenceQueries {
  readonly #sets: readonly OpenedSet[]
  readonly #answers = new Map<string, ReferenceAnswer>()

  constructor(sets: readonly OpenedSet[]) {
    this.#sets = sets
  }

  /** Every name that was asked for and answered, in the order of the questions. */
  get answers(): ReadonlyMap<string, ReferenceAnswer> {
    return this.#answers
  }

  answer(name: string): ReferenceAnswer {
    const known = this.#answers.get(name) ?? queryReference(this.#sets, name)
    this.#answers.set(name, known)
    return known
  }
}

/** Who answers while a policy is looked at without any sets: no name has a value. */
export const NO_VALUES: Answerer = { answer: () => ({ value: null, source: 'nobody', until: null }) }

type Answerer = Pick<ReferenceQueries, 'answer'>

/** Compiled policies are kept and evaluations are not interrupted, so the one that runs finds its sets here. */
let running: Answerer | null = null

/** Lets policies ask these sets, as long as `evaluate` runs. */
export function answering<T>(queries: Answerer, evaluate: () => T): T {
  const outer = running
  running = queries
  try {
    return evaluate()
  } finally {
    running = outer
  }
}

/** A name without a value is null, as in Trustee; where there is no answer the evaluation ends. */
export const referenceFunction: HostFunction = {
  args: [Types.string],
  call: (name: Value) => {
    if (running === null || typeof name !== 'string') throw new TypeError('nobody answers here')
    return fromJson(JSON.stringify(running.answer(name).value))
  },
}
