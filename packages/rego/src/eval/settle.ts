import { RegoError } from '../errors.ts'

/** Thrown through an evaluation that needs an answer which is not there yet. */
export class Pending {
  readonly settled: Promise<void>

  constructor(settled: Promise<void>) {
    this.settled = settled
  }
}

type Outcome = { readonly value: unknown } | { readonly error: unknown }

/**
 * Answers of host functions during one decision, by function and operands. A promise interrupts the evaluation; once it is
 * settled, the evaluation runs again and finds the answer here. So every call has one answer, however often it is made.
 */
export class Answers {
  readonly #outcomes = new Map<string, Outcome>()

  settle<R>(key: string, ask: () => R | Promise<R>): R {
    const known = this.#outcomes.get(key)
    if (known !== undefined) {
      if ('error' in known) throw known.error
      return known.value as R
    }
    const answer = ask()
    if (!isPromise(answer)) {
      this.#outcomes.set(key, { value: answer })
      return answer
    }
    throw new Pending(
      answer.then(
        (value) => void this.#outcomes.set(key, { value }),
        (error: unknown) => void this.#outcomes.set(key, { error }),
      ),
    )
  }
}

/** What a host function throws: no answer is no decision. */
export function hostFailure(name: string, cause: unknown): RegoError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return RegoError.of('host_function', `${name}: ${why}`, undefined, { cause })
}

function isPromise<R>(v: R | Promise<R>): v is Promise<R> {
  return typeof v === 'object' && v !== null && 'then' in v && typeof v.then === 'function'
}
