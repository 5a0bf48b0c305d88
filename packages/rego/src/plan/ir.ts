import type { Builtin } from '../builtins/index.ts'
import type { Expr, Rule } from '../syntax/ast.ts'
import type { Location } from '../syntax/source.ts'
import type { Value } from '../value/index.ts'
import type { JoinPath } from './joins.ts'
import type { RuleIndex } from './rule-index.ts'

/** A register of a function's frame. Written once before it is read, on every way through the function. */
export type Reg = number
/** A register, or a value known when compiling. */
export type Operand = Reg | { readonly value: Value }
/** A register that holds an environment: input, data and replacements. Register 0 of every frame is the function's own. */
export type EnvReg = number

/**
 * Operations in order. Where one fails, the block goes back to the innermost `scan` around it, or ends. A `scan` is always the
 * last operation of its block: what follows it stands in the scan's own block. An `emit` hands a solution over.
 */
export type Block = { readonly ops: readonly Op[] }

export type Op =
  /** Gives a value another name. */
  | { readonly op: 'move'; readonly out: Reg; readonly from: Operand }
  /** The input document. Fails if there is none. */
  | { readonly op: 'input'; readonly out: Reg; readonly env: EnvReg }
  /** The member of an object, or element of a set, at a constant string. */
  | { readonly op: 'load'; readonly out: Reg; readonly from: Operand; readonly key: string }
  /** One step of a reference with any key. */
  | { readonly op: 'step'; readonly out: Reg; readonly from: Operand; readonly key: Operand }
  /** For each element: key and value, where somebody needs them. `ordered`: the order of results can be seen. */
  | {
      readonly op: 'scan'
      readonly from: Operand
      readonly key: Reg | undefined
      readonly value: Reg | undefined
      readonly ordered: boolean
      readonly body: Block
      readonly join?: Join
    }
  /** Base data at a path. */
  | { readonly op: 'base'; readonly out: Reg; readonly env: EnvReg; readonly path: readonly Value[] }
  /** The document of a rule without arguments. */
  | { readonly op: 'rule'; readonly out: Reg; readonly env: EnvReg; readonly node: number }
  /** A document that may hold rules below it, as a cursor for the three operations that follow. */
  | { readonly op: 'doc'; readonly out: Reg; readonly env: EnvReg; readonly node: number }
  | { readonly op: 'doc-step'; readonly out: Reg; readonly env: EnvReg; readonly from: Reg; readonly key: Operand }
  | {
      readonly op: 'doc-scan'
      readonly env: EnvReg
      readonly from: Reg
      readonly key: Reg | undefined
      readonly value: Reg
      readonly body: Block
    }
  | { readonly op: 'doc-value'; readonly out: Reg; readonly env: EnvReg; readonly from: Reg }
  /** A function of the program. */
  | {
      readonly op: 'call'
      readonly out: Reg
      readonly env: EnvReg
      readonly node: number
      readonly args: readonly Operand[]
    }
  /** A built-in or host function. */
  | {
      readonly op: 'builtin'
      readonly out: Reg
      readonly env: EnvReg
      readonly builtin: Builtin
      readonly args: readonly Operand[]
      readonly loc: Location
    }
  /** The relation `walk`, one path and value at a time. */
  | {
      readonly op: 'relation'
      readonly out: Reg
      readonly env: EnvReg
      readonly builtin: Builtin
      readonly args: readonly Operand[]
      readonly loc: Location
      readonly body: Block
    }
  /**
   * `walk` with its answers taken apart: the path, where somebody needs it, and the value. The path is only lent: the array changes
   * with the next step.
   */
  | {
      readonly op: 'walk'
      readonly from: Operand
      readonly path: Reg | undefined
      readonly value: Reg
      readonly ordered: boolean
      readonly body: Block
    }
  /** Makes a lent path one that may be kept. */
  | { readonly op: 'own'; readonly path: Reg }
  /** Prints the operands of a call of `print`: an array of sets, empty where an operand is undefined. */
  | { readonly op: 'print'; readonly env: EnvReg; readonly from: Operand; readonly loc: Location }
  /** Fails if the value is `false`. */
  | { readonly op: 'truthy'; readonly from: Operand }
  | { readonly op: 'equal'; readonly a: Operand; readonly b: Operand }
  | { readonly op: 'is-array'; readonly from: Operand; readonly length: number }
  | { readonly op: 'is-object'; readonly from: Operand; readonly size: number }
  | { readonly op: 'fail' }
  | { readonly op: 'array'; readonly out: Reg; readonly items: readonly Operand[] }
  | { readonly op: 'set'; readonly out: Reg; readonly items: readonly Operand[] }
  | { readonly op: 'object'; readonly out: Reg; readonly entries: readonly (readonly [Operand, Operand])[] }
  | {
      readonly op: 'comprehension'
      readonly out: Reg
      readonly kind: 'array' | 'set' | 'object'
      readonly body: Block
      readonly loc: Location
    }
  /** Holds if the block has no solution. */
  | { readonly op: 'not'; readonly body: Block }
  /** Holds if the block has a solution. */
  | { readonly op: 'exists'; readonly body: Block }
  /** Holds if one of the blocks has a solution. */
  | { readonly op: 'either'; readonly blocks: readonly Block[] }
  /** Holds if the block has a solution for each element of a collection. */
  | {
      readonly op: 'every'
      readonly domain: Operand
      readonly key: Reg | undefined
      readonly value: Reg
      readonly body: Block
    }
  /** A new environment with replacements. */
  | { readonly op: 'with'; readonly out: EnvReg; readonly env: EnvReg; readonly targets: readonly Target[] }
  | Emit
  /**
   * The expression that begins here; only in plans that explain. `order` counts them within a clause, `names` are the variables
   * that have a value, `reads` the registers that the expression will fill, by the text that they stand for.
   */
  | {
      readonly op: 'mark'
      readonly site: Expr
      readonly order: number
      readonly names: readonly (readonly [string, Operand])[]
      readonly reads: (readonly [string, Reg])[]
    }

/** Of all elements of a scan, only those with this value at a path can have a solution. */
export type Join = { readonly path: JoinPath; readonly equals: Operand }

/** Hands a solution to whoever runs the block. */
export type Emit =
  /** There is one: enough for `not`, `every`, `exists`. */
  | { readonly op: 'emit'; readonly what: 'found' }
  /** A rule's value, or the element of a set or array. */
  | { readonly op: 'emit'; readonly what: 'value'; readonly value: Operand }
  | { readonly op: 'emit'; readonly what: 'entry'; readonly key: Operand; readonly value: Operand }
  /** An addition to a nested document: a leaf value, or an element of the set at the leaf. */
  | {
      readonly op: 'emit'
      readonly what: 'path'
      readonly path: readonly Operand[]
      readonly value: Operand
      readonly set: boolean
    }
  | { readonly op: 'emit'; readonly what: 'row'; readonly values: readonly Operand[] }

/** What a `with` replaces. */
export type Target =
  | { readonly kind: 'input'; readonly path: readonly Operand[]; readonly value: Operand }
  /** `masks`: the rule nodes at and below the path, which the replacement hides. */
  | {
      readonly kind: 'data'
      readonly path: readonly Operand[]
      readonly value: Operand
      readonly masks: readonly number[]
    }
  /** `name`: of the function that is replaced; by a value or another function. */
  | { readonly kind: 'function'; readonly name: string; readonly by: FunctionRef | { readonly value: Operand } }

export type FunctionRef = { readonly node: number } | { readonly builtin: Builtin }

/** A rule clause: the first whose block has a solution wins among it and its `else`. */
export type Clause = {
  readonly block: Block
  /** How many registers the block uses, environment and arguments included. */
  readonly registers: number
  readonly loc: Location
  /** As it is written. */
  readonly rule: Rule
  readonly else: Clause | undefined
  /** At most one solution: the block has no scan. */
  readonly single: boolean
  /** The value, where it is the same for every solution. */
  readonly constant: Value | undefined
}

export type NodePlan = {
  readonly id: number
  readonly path: readonly string[]
  readonly kind: 'none' | 'complete' | 'set' | 'partial' | 'function'
  /** Registers 1 to `arity` hold the arguments. */
  readonly arity: number
  readonly clauses: readonly Clause[]
  /** Which of many clauses can have a solution. */
  readonly index: RuleIndex | undefined
  /** The value where no clause has one. */
  readonly fallback: Clause | undefined
  /** The value depends on nothing but the program: it is computed once and kept. */
  readonly constant: boolean
  /** All clauses give the same constant: the first solution decides. */
  readonly firstDecides: boolean
  readonly children: ReadonlyMap<string, number>
  readonly loc: Location | undefined
}

export type QueryPlan = {
  readonly block: Block
  readonly registers: number
  /** Names of the values of a row. */
  readonly names: readonly string[]
}
