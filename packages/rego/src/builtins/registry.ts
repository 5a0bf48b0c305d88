import { AGGREGATES } from './aggregates.ts'
import { ARITHMETIC } from './arithmetic.ts'
import { COMPARISON } from './comparison.ts'
import type { Builtin } from './contract.ts'

/** Every built-in, by name. */
export const BUILTINS: ReadonlyMap<string, Builtin> = new Map(
  [COMPARISON, ARITHMETIC, AGGREGATES].flat().map((b) => [b.name, b]),
)
