import { joinKeptBytes, type Value } from '../value/index.ts'
import { codePoints } from './code-points.ts'
import type { BuiltinContext } from './contract.ts'
import { argOf, formatArg, PLAIN, type Arg, type Spec } from './go-verbs.ts'

const MAX_WIDTH = 1_000_000

/** `sprintf` as Go's fmt does it, oddities included: a policy may compare its output. */
export function sprintf(ctx: BuiltinContext, format: string, values: readonly Value[]): Value {
  ctx.spend(format.length + values.length)
  const state = new Formatter(ctx, values.map(argOf))
  return joinKeptBytes(state.run(format))
}

class Formatter {
  readonly #ctx: BuiltinContext
  readonly #args: readonly Arg[]
  #out = ''
  #next = 0
  #reordered = false
  #goodIndex = true

  constructor(ctx: BuiltinContext, args: readonly Arg[]) {
    this.#ctx = ctx
    this.#args = args
  }

  run(format: string): string {
    const points = codePoints(format)
    for (let i = 0; i < points.length;) {
      const ch = points[i] ?? ''
      if (ch !== '%') {
        this.#out += ch
        i++
      } else {
        i = this.#verb(points, i + 1)
        this.#ctx.reserve(this.#out.length)
      }
    }
    this.#extra()
    return this.#out
  }

  /** Reads one directive, from after its `%`; gives where the text goes on. */
  #verb(points: readonly string[], from: number): number {
    this.#reordered = false
    this.#goodIndex = true
    const spec: Spec = {
      plus: false,
      minus: false,
      sharp: false,
      space: false,
      zero: false,
      width: undefined,
      precision: undefined,
    }
    let i = this.#flags(points, from, spec)
    let indexed: boolean
    ;[i, indexed] = this.#index(points, i)
    ;[i, indexed] = this.#width(points, i, spec, indexed)
    ;[i, indexed] = this.#precision(points, i, spec, indexed)
    if (!indexed) [i] = this.#index(points, i)
    const verb = points[i]
    if (verb === undefined) {
      this.#out += '%!(NOVERB)'
      return i
    }
    this.#print(verb, spec)
    return i + 1
  }

  #flags(points: readonly string[], from: number, spec: Spec): number {
    for (let i = from; ; i++) {
      const ch = points[i]
      if (ch === '+') spec.plus = true
      else if (ch === '-') spec.minus = true
      else if (ch === '#') spec.sharp = true
      else if (ch === ' ') spec.space = true
      else if (ch === '0') spec.zero = true
      else return i
    }
  }

  #digits(points: readonly string[], from: number): [number | undefined, number] {
    let i = from
    let n: number | undefined
    for (; /^[0-9]$/.test(points[i] ?? ''); i++) {
      n = (n ?? 0) * 10 + Number(points[i])
      if (n > MAX_WIDTH) return [undefined, i]
    }
    return [n, i]
  }

  /** `[n]` chooses the next argument, counted from 1. */
  #index(points: readonly string[], from: number): [number, boolean] {
    if (points[from] !== '[') return [from, false]
    this.#reordered = true
    const end = points.indexOf(']', from)
    if (end < 0) {
      this.#goodIndex = false
      return [from + 1, false]
    }
    const [n, stop] = this.#digits(points, from + 1)
    if (n === undefined || stop !== end || n < 1 || n > this.#args.length) {
      this.#goodIndex = false
      return [end + 1, true]
    }
    this.#next = n - 1
    return [end + 1, true]
  }

  #width(points: readonly string[], from: number, spec: Spec, indexed: boolean): [number, boolean] {
    if (points[from] === '*') {
      const n = this.#integerArg()
      if (n === undefined) this.#out += '%!(BADWIDTH)'
      else if (n < 0) {
        spec.width = -n
        spec.minus = true
        spec.zero = false
      } else spec.width = n
      return [from + 1, false]
    }
    const [n, i] = this.#digits(points, from)
    spec.width = n
    if (indexed && n !== undefined) this.#goodIndex = false
    return [i, indexed]
  }

  #precision(points: readonly string[], from: number, spec: Spec, indexed: boolean): [number, boolean] {
    if (points[from] !== '.') return [from, indexed]
    if (indexed) this.#goodIndex = false
    let i = from + 1
    ;[i, indexed] = this.#index(points, i)
    if (points[i] === '*') {
      const n = this.#integerArg()
      if (n === undefined || n < 0) this.#out += n === undefined ? '%!(BADPREC)' : ''
      else spec.precision = n
      return [i + 1, false]
    }
    const [n, end] = this.#digits(points, i)
    spec.precision = n ?? 0
    return [end, indexed]
  }

  #integerArg(): number | undefined {
    const arg = this.#args[this.#next]
    if (arg !== undefined) this.#next++
    if (arg?.type !== 'int64') return undefined
    const n = Number(arg.value)
    return Math.abs(n) <= MAX_WIDTH ? n : undefined
  }

  #print(verb: string, spec: Spec): void {
    if (verb === '%') {
      this.#out += '%'
    } else if (!this.#goodIndex) {
      this.#out += `%!${verb}(BADINDEX)`
    } else {
      const arg = this.#args[this.#next]
      if (arg === undefined) {
        this.#out += `%!${verb}(MISSING)`
        return
      }
      this.#next++
      this.#ctx.reserve((spec.width ?? 0) + (spec.precision ?? 0))
      this.#out += formatArg(arg, verb, spec)
    }
  }

  #extra(): void {
    if (this.#reordered || this.#next >= this.#args.length) return
    const rest = this.#args.slice(this.#next).map((a) => `${a.type}=${formatArg(a, 'v', PLAIN)}`)
    this.#out += `%!(EXTRA ${rest.join(', ')})`
  }
}
