import type { Builtin } from '../../builtins/index.ts'
import { globMatcher, type GlobMatcher } from '../../builtins/glob.ts'
import { compileRegex } from '../../builtins/regex.ts'
import type { Location } from '../../syntax/source.ts'
import type { Value } from '../../value/index.ts'
import { PlainFormat } from './plain-format.ts'
import { literalPrefix, simplePattern } from './simple-pattern.ts'

/** One call in a policy: the built-in, where it stands, and what is worth keeping from one evaluation to the next. */
export class Site {
  readonly builtin: Builtin
  readonly loc: Location
  #pattern: string | undefined
  #matches: (text: string) => boolean = () => false
  #delimiters: Value | undefined
  readonly #globs = new Map<string, GlobMatcher>()
  #format: string | undefined
  #plain: PlainFormat | undefined

  constructor(builtin: Builtin, loc: Location) {
    this.builtin = builtin
    this.loc = loc
  }

  /** The test for a pattern; the last one is kept, since most calls have only one. */
  matcher(pattern: string): (text: string) => boolean {
    if (pattern === this.#pattern) return this.#matches
    const known = matchers.get(pattern)
    const matches = known ?? matcherOf(pattern)
    if (known === undefined) {
      if (matchers.size >= MAX_MATCHERS) matchers.clear()
      matchers.set(pattern, matches)
    }
    this.#pattern = pattern
    this.#matches = matches
    return matches
  }

  /** The test for a glob; those with the delimiters of the last call are kept, which are mostly written in the policy. */
  glob(pattern: string, delimiters: Value): GlobMatcher {
    if (delimiters !== this.#delimiters || this.#globs.size >= MAX_MATCHERS) {
      this.#globs.clear()
      this.#delimiters = delimiters
    }
    let known = this.#globs.get(pattern)
    if (known === undefined) {
      known = globMatcher(pattern, delimiters)
      this.#globs.set(pattern, known)
    }
    return known
  }

  /** The format if it is a plain one; the last is kept, which is mostly written in the policy. */
  plain(format: string): PlainFormat | undefined {
    if (format !== this.#format) {
      this.#format = format
      this.#plain = PlainFormat.of(format)
    }
    return this.#plain
  }
}

const MAX_MATCHERS = 512
const matchers = new Map<string, (text: string) => boolean>()

/** @throws {BuiltinError} for a pattern that is none */
function matcherOf(pattern: string): (text: string) => boolean {
  const simple = simplePattern(pattern)
  if (simple !== undefined) return simple
  const re = compileRegex(pattern)
  const begin = literalPrefix(pattern)
  return (text) => text.startsWith(begin) && re.test(text)
}
