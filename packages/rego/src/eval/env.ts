import type { Builtin } from '../builtins/index.ts'
import type { Value } from '../value/index.ts'
import type { Budget } from './bounds.ts'
import type { Machine } from './machine.ts'
import type { Branch } from './nested.ts'

/** A rule that has no value here, as remembered. */
export const ABSENT: unique symbol = Symbol('absent')
export type Memo = (Value | undefined | typeof ABSENT)[]

/** What a replaced function is now: a value, or another function. */
export type Mock =
  | { readonly kind: 'value'; readonly value: Value }
  | { readonly kind: 'node'; readonly node: number }
  | { readonly kind: 'builtin'; readonly builtin: Builtin }

/** What expressions are evaluated in: the documents and what `with` put in their place. Rules are remembered per environment. */
export class Env {
  readonly machine: Machine
  readonly budget: Budget
  readonly input: Value | undefined
  readonly data: Value
  readonly memo: Memo
  #extents: Map<number, Branch> | undefined
  /** Rules that a replacement hides, by number. */
  readonly masks: ReadonlySet<number> | undefined
  /** Replaced functions, by name. */
  readonly mocks: ReadonlyMap<string, Mock> | undefined

  constructor(
    machine: Machine,
    input: Value | undefined,
    data: Value,
    memo: Memo,
    masks: ReadonlySet<number> | undefined,
    mocks: ReadonlyMap<string, Mock> | undefined,
  ) {
    this.machine = machine
    this.budget = machine.budget
    this.input = input
    this.data = data
    this.memo = memo
    this.masks = masks
    this.mocks = mocks
  }

  /** What rules with variables in their heads add, by node. */
  get extents(): Map<number, Branch> {
    return (this.#extents ??= new Map())
  }

  /** The environment in which a function that stands in for another runs: nothing is replaced for it. */
  withoutMocks(): Env {
    return new Env(this.machine, this.input, this.data, [], this.masks, undefined)
  }
}
