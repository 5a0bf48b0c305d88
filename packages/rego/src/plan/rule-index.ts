import { RegoMap, step, type Value } from '../value/index.ts'
import type { Block, Clause, Op, Reg } from './ir.ts'

/** With fewer clauses to tell apart, trying them is as fast. */
const MIN_CLAUSES = 16

/** Where the value that tells clauses apart is found: in the input, or in an argument. */
type Place = { readonly root: 'input' | Reg; readonly steps: readonly Value[] }

/**
 * For rules with many clauses that each ask for another constant at one place, `input.method == "GET"`: the clauses by constant.
 * A clause that is left out would have failed, without any other effect.
 */
export class RuleIndex {
  readonly root: 'input' | Reg
  readonly #steps: readonly Value[]
  readonly #slots = new RegoMap()
  readonly #clauses: number[][] = []
  /** Clauses that do not ask, which are always tried. */
  readonly #rest: number[] = []

  private constructor({ root, steps }: Place, asked: readonly (Value | undefined)[]) {
    this.root = root
    this.#steps = steps
    for (const constant of asked) {
      if (constant === undefined || this.#slots.has(constant)) continue
      this.#slots.set(constant, this.#clauses.length)
      this.#clauses.push([])
    }
    for (const [clause, constant] of asked.entries()) {
      const slot = constant === undefined ? undefined : this.#slots.get(constant)
      if (typeof slot === 'number') this.#clauses[slot]?.push(clause)
      else for (const list of [this.#rest, ...this.#clauses]) list.push(clause)
    }
  }

  /** @returns undefined where there is nothing to gain */
  static of(clauses: readonly Clause[], arity: number): RuleIndex | undefined {
    if (clauses.length < MIN_CLAUSES) return undefined
    const questions = clauses.map((c) => (c.else === undefined ? questionsOf(c.block, arity) : []))
    const popularity = new Map<string, { readonly place: Place; count: number }>()
    for (const list of questions) {
      for (const [text, { place }] of new Map(list.map((q) => [textOf(q.place), q]))) {
        const known = popularity.get(text)
        if (known === undefined) popularity.set(text, { place, count: 1 })
        else known.count++
      }
    }
    const [best] = [...popularity].sort(([, a], [, b]) => b.count - a.count)
    if (best === undefined || best[1].count < MIN_CLAUSES) return undefined
    const asked = questions.map((list) => list.find((q) => textOf(q.place) === best[0])?.constant)
    return new RuleIndex(best[1].place, asked)
  }

  /** The clauses to try, in their order. @param root - The input document or the argument. */
  select(root: Value | undefined): readonly number[] {
    let v = root
    for (const s of this.#steps) v = step(v, s)
    const slot = v === undefined ? undefined : this.#slots.get(v)
    return typeof slot === 'number' ? (this.#clauses[slot] as number[]) : this.#rest
  }
}

type Question = { readonly place: Place; readonly constant: Value }

function textOf({ root, steps }: Place): string {
  return JSON.stringify([root, ...steps.map(String)])
}

/** The constants that a block asks for before it does anything else. */
function questionsOf(block: Block, arity: number): Question[] {
  const places = new Map<Reg, Place>()
  for (let arg = 1; arg <= arity; arg++) places.set(arg, { root: arg, steps: [] })
  const out: Question[] = []
  for (const op of block.ops) if (!ask(op, places, out)) break
  return out
}

/** @returns false if what follows no longer counts */
function ask(op: Op, places: Map<Reg, Place>, out: Question[]): boolean {
  switch (op.op) {
    case 'input':
      if (op.env === 0) places.set(op.out, { root: 'input', steps: [] })
      return true
    case 'load':
    case 'step': {
      const from = typeof op.from === 'number' ? places.get(op.from) : undefined
      const key = op.op === 'load' ? op.key : typeof op.key === 'object' ? op.key.value : undefined
      if (from !== undefined && typeof key === 'string') places.set(op.out, { ...from, steps: [...from.steps, key] })
      return true
    }
    case 'equal':
      for (const [mine, other] of [[op.a, op.b] as const, [op.b, op.a] as const]) {
        const place = typeof mine === 'number' ? places.get(mine) : undefined
        if (place !== undefined && typeof other === 'object') out.push({ place, constant: other.value })
      }
      return true
    case 'base':
    case 'truthy':
    case 'is-array':
    case 'is-object':
      return true
    default:
      return false
  }
}
