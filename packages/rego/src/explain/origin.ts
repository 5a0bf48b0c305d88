import type { Builtin } from '../builtins/index.ts'
import type { Value } from '../value/index.ts'

/** Where a value came from, as far as it can be changed by changing the input. */
export type Origin =
  /** It stands in the input, at this path. */
  | { readonly kind: 'input'; readonly path: readonly Value[] }
  /** A built-in made it from operands of which at least one has an origin. */
  | { readonly kind: 'made'; readonly builtin: Builtin; readonly args: readonly Seen[] }

/** A value that an expression met. */
export type Seen = { readonly value: Value; readonly origin: Origin | undefined }

/** A question that the evaluation asked and whose answer the input decides. */
export type Question =
  | { readonly kind: 'equal'; readonly a: Seen; readonly b: Seen; readonly held: boolean }
  /** Is it something else than `false`? */
  | { readonly kind: 'truthy'; readonly of: Seen; readonly held: boolean }
  /** Does the built-in have an answer? It had none. */
  | { readonly kind: 'answer'; readonly builtin: Builtin; readonly args: readonly Seen[] }
  /** Is there a member? */
  | { readonly kind: 'member'; readonly path: readonly Value[]; readonly held: boolean }
  /** Is there an element? */
  | { readonly kind: 'element'; readonly path: readonly Value[] }

/** How references into the input are written. */
export function inputText(path: readonly Value[]): string {
  return path.reduce<string>((s, step) => {
    if (typeof step === 'string' && /^[A-Za-z_][A-Za-z0-9_]*$/.test(step)) return `${s}.${step}`
    return `${s}[${typeof step === 'string' ? JSON.stringify(step) : String(step)}]`
  }, 'input')
}
