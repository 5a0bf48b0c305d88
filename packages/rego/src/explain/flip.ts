import { equal, formatValue, type Value } from '../value/index.ts'
import { changesFor, type Change } from './candidates.ts'
import { changesOf, factsKey, factsOf, withChanges, type Fact } from './facts.ts'
import type { Question } from './origin.ts'

/** How the search asks about an input. */
export type Oracle = {
  /** What is decided; undefined where the evaluation fails. */
  readonly decide: (input: Value | undefined) => boolean | undefined
  /** What an evaluation asks of the input. */
  readonly questions: (input: Value | undefined) => readonly Question[]
}

export type FlipLimits = {
  /** Sets of more facts are not looked for. Default 4. */
  readonly maxFacts?: number
  /** Evaluations that the search may make. Default 3,000. */
  readonly maxTries?: number
}

export type Flips = {
  /** All sets of the smallest size that were found: changing exactly these facts changes the decision. */
  readonly sets: readonly (readonly Fact[])[]
  /** The search came to its end: no smaller set exists among the changes that it knows. */
  readonly complete: boolean
}

/** Refinements of one fact before the search gives it up. */
const MAX_CHANGES = 12

/**
 * Looks for the smallest sets of facts that change a decision. What a decision depends on are the answers to the questions that
 * its evaluation asked; so some first question has to get another answer. The search gives each of them another one, and asks
 * again, fewest facts first.
 */
export function findFlips(input: Value | undefined, oracle: Oracle, limits: FlipLimits = {}): Flips {
  return new FlipSearch(input, oracle, limits).run()
}

class FlipSearch {
  readonly #input: Value | undefined
  readonly #oracle: Oracle
  readonly #maxFacts: number
  #tries: number
  readonly #before: boolean | undefined
  readonly #met = new Set<string>()
  /** Changes that wait to be tried, by the number of facts that they touch. */
  readonly #waiting: (readonly Change[])[][] = []

  constructor(input: Value | undefined, oracle: Oracle, limits: FlipLimits) {
    this.#input = input
    this.#oracle = oracle
    this.#maxFacts = limits.maxFacts ?? 4
    this.#tries = limits.maxTries ?? 3000
    this.#before = oracle.decide(input)
  }

  run(): Flips {
    const found = new Map<string, readonly Fact[]>()
    this.#expand([], this.#maxFacts)
    for (let size = 1; size <= this.#maxFacts; size++) {
      for (const changes of this.#waiting[size] ?? []) {
        if (this.#tries-- <= 0) return { sets: mostSpecific([...found.values()]), complete: false }
        if (!this.#flips(changes)) {
          // another value of the same facts may still do: only larger sets are of no interest once one was found
          this.#expand(changes, found.size === 0 ? this.#maxFacts : size)
          continue
        }
        const facts = this.#smallest(factsOf(this.#input, changes))
        found.set(factsKey(facts, formatValue), facts)
      }
      if (found.size > 0) break
    }
    return { sets: mostSpecific([...found.values()]), complete: true }
  }

  #flips(changes: readonly Change[]): boolean {
    const after = this.#oracle.decide(withChanges(this.#input, changes))
    return after !== undefined && this.#before !== undefined && after !== this.#before
  }

  /** Takes facts away that the flip does not need. */
  #smallest(facts: readonly Fact[]): readonly Fact[] {
    for (const drop of facts) {
      const rest = facts.filter((f) => f !== drop)
      if (rest.length > 0 && this.#flips(changesOf(rest))) return this.#smallest(rest)
    }
    return facts
  }

  #expand(changes: readonly Change[], maxFacts: number): void {
    if (changes.length >= MAX_CHANGES) return
    for (const q of this.#oracle.questions(withChanges(this.#input, changes))) {
      for (const change of changesFor(q)) {
        const next = [...changes, change]
        const facts = factsOf(this.#input, next)
        const size = facts.length
        if (size === 0 || size > maxFacts) continue
        const key = factsKey(facts, formatValue)
        if (this.#met.has(key)) continue
        this.#met.add(key)
        ;(this.#waiting[size] ??= []).push(next)
      }
    }
  }
}

/**
 * Of the sets with the fewest facts, one for each choice of places; a set that replaces a whole object, where another changes a
 * member of it, says nothing more.
 */
function mostSpecific(sets: readonly (readonly Fact[])[]): readonly (readonly Fact[])[] {
  const fewest = Math.min(...sets.map((f) => f.length))
  const byPlaces = new Map<string, readonly Fact[]>()
  for (const set of sets) {
    if (set.length > fewest) continue
    const places = set.map((f) => f.text).join('\n')
    const known = byPlaces.get(places)
    // another value says more than none at all
    if (known === undefined || removals(set) < removals(known)) byPlaces.set(places, set)
  }
  const kept = [...byPlaces.values()]
  return kept.filter((set) => !kept.some((other) => other !== set && isInside(other, set)))
}

/** Facts that would have to be absent. */
export function removals(facts: readonly Fact[]): number {
  return facts.filter((f) => f.to === undefined).length
}

/** Every fact of `inner` lies at or below one of `outer`. */
function isInside(inner: readonly Fact[], outer: readonly Fact[]): boolean {
  return inner.every((f) =>
    outer.some((g) => g.path.length <= f.path.length && g.path.every((p, i) => equal(p, f.path[i] as Value))),
  )
}
