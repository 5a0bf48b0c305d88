import {
  compare,
  isArray,
  isNumber,
  isObject,
  isSet,
  jsonMembers,
  numberFromText,
  numberText,
  numberToSafeInteger,
  objectGet,
  objectSize,
  sortedElements,
  step,
  type RegoMap,
  type RegoRecord,
  type Value,
} from '../../value/index.ts'
import { codePointLength } from '../code-points.ts'
import { BuiltinError, type BuiltinContext } from '../contract.ts'
import { sprintf } from '../go-format.ts'
import { parseTemplate, type Node, type Operand, type Pipe } from './parse-template.ts'

/** A missing key; it prints as `<undefined>`. */
type Data = Value | undefined

/** Renders a Go text/template. */
export function renderTemplate(ctx: BuiltinContext, template: string, data: RegoRecord | RegoMap): Value {
  ctx.spend(1 + template.length)
  const renderer = new Renderer(ctx, data)
  renderer.run(parseTemplate(template), data)
  return renderer.output
}

type Signal = 'break' | 'continue' | undefined

class Renderer {
  output = ''
  readonly #ctx: BuiltinContext
  readonly #variables: Array<{ readonly name: string; value: Data }>

  constructor(ctx: BuiltinContext, data: Value) {
    this.#ctx = ctx
    this.#variables = [{ name: '$', value: data }]
  }

  run(nodes: readonly Node[], dot: Data): Signal {
    const scope = this.#variables.length
    for (const node of nodes) {
      this.#ctx.spend(1)
      const signal = this.#node(node, dot)
      if (signal !== undefined) {
        this.#variables.length = scope
        return signal
      }
    }
    this.#variables.length = scope
    return undefined
  }

  #write(text: string): void {
    this.output += text
    this.#ctx.reserve(this.output.length)
  }

  #node(node: Node, dot: Data): Signal {
    switch (node.kind) {
      case 'text':
        this.#write(node.text)
        return undefined
      case 'action': {
        const value = this.#pipe(node.pipe, dot)
        if (node.pipe.variables.length === 0) this.#write(shown(value))
        return undefined
      }
      case 'if':
      case 'with':
        return this.#choice(node, dot)
      case 'range':
        return this.#range(node, dot)
      default:
        return node.kind
    }
  }

  #choice(node: Node & { kind: 'if' | 'with' }, dot: Data): Signal {
    const scope = this.#variables.length
    const value = this.#pipe(node.pipe, dot)
    const holds = isTrue(value)
    const signal = this.run(holds ? node.body : node.otherwise, holds && node.kind === 'with' ? value : dot)
    this.#variables.length = scope
    return signal
  }

  #range(node: Node & { kind: 'range' }, dot: Data): Signal {
    const scope = this.#variables.length
    const { variables } = node.pipe
    const entries = rangeOf(this.#evaluate(node.pipe, dot))
    for (const [key, value] of entries) {
      this.#ctx.spend(1)
      if (variables.length === 1) this.#declare(variables[0], value)
      if (variables.length === 2) {
        this.#declare(variables[0], key)
        this.#declare(variables[1], value)
      }
      const signal = this.run(node.body, value)
      this.#variables.length = scope
      if (signal === 'break') break
    }
    return entries.length === 0 ? this.run(node.otherwise, dot) : undefined
  }

  #declare(name: string | undefined, value: Data): void {
    if (name !== undefined) this.#variables.push({ name, value })
  }

  #pipe(pipe: Pipe, dot: Data): Data {
    const value = this.#evaluate(pipe, dot)
    const [name] = pipe.variables
    if (name === undefined) return value
    if (pipe.declares) this.#declare(name, value)
    else this.#variable(name).value = value
    return value
  }

  #variable(name: string): { value: Data } {
    const found = this.#variables.findLast((v) => v.name === name)
    if (found === undefined) throw new BuiltinError(`template: undefined variable "${name}"`)
    return found
  }

  #evaluate(pipe: Pipe, dot: Data): Data {
    let value: Data
    for (const [i, command] of pipe.commands.entries()) value = this.#command(command, dot, i === 0 ? [] : [value])
    return value
  }

  #command(operands: readonly Operand[], dot: Data, last: readonly Data[]): Data {
    const [first, ...rest] = operands
    if (first?.kind === 'function') return this.#call(first.name, rest, dot, last)
    if (first === undefined || rest.length + last.length > 0) {
      throw new BuiltinError("template: can't give argument to non-function")
    }
    return this.#operand(first, dot)
  }

  #operand(o: Operand, dot: Data): Data {
    switch (o.kind) {
      case 'literal':
        return literal(o.token)
      case 'field':
        return follow(dot, o.path)
      case 'variable':
        return follow(this.#variable(o.name).value, o.path)
      case 'pipe':
        return follow(this.#evaluate(o.pipe, dot), o.path)
      case 'function':
        return this.#call(o.name, [], dot, [])
    }
  }

  #call(name: string, operands: readonly Operand[], dot: Data, last: readonly Data[]): Data {
    // `and` and `or` stop at the operand that decides
    if (name === 'and' || name === 'or') {
      let value: Data
      for (const o of [...operands.map((x) => () => this.#operand(x, dot)), ...last.map((x) => () => x)]) {
        value = o()
        if (isTrue(value) === (name === 'or')) return value
      }
      return value
    }
    return callFunction(this.#ctx, name, [...operands.map((o) => this.#operand(o, dot)), ...last])
  }
}

function literal(token: { readonly kind: string; readonly text: string }): Data {
  if (token.kind === 'string') return token.text
  if (token.text === 'true' || token.text === 'false') return token.text === 'true'
  if (token.text === 'nil') throw new BuiltinError('template: nil is not a command')
  const text = token.text.replace(/^\+/, '')
  const n = /^-?0[xX]/.test(text) ? Number(text) : numberFromText(text)
  if (n === undefined || Number.isNaN(n)) throw new BuiltinError(`template: bad number ${token.text}`)
  return n
}

function follow(v: Data, path: readonly string[]): Data {
  let at = v
  for (const name of path) {
    if (at === undefined) throw new BuiltinError(`template: nil data; no entry for key "${name}"`)
    if (!isObject(at)) throw new BuiltinError(`template: can't evaluate field ${name}`)
    at = objectGet(at, name)
  }
  return at
}

function isTrue(v: Data): boolean {
  if (v === undefined || v === null) return false
  if (typeof v === 'boolean') return v
  if (typeof v === 'string') return v !== ''
  if (isNumber(v)) return compare(v, 0) !== 0
  return sizeOf(v) > 0
}

function sizeOf(v: Data): number {
  if (typeof v === 'string') return new TextEncoder().encode(v).length
  if (isArray(v)) return v.length
  if (isSet(v)) return v.size
  if (isObject(v)) return objectSize(v)
  throw new BuiltinError('template: len of such a value')
}

function rangeOf(v: Data): ReadonlyArray<readonly [Value, Value]> {
  if (v === undefined || v === null) return []
  if (isArray(v)) return v.map((x, i) => [i, x])
  if (isSet(v)) return sortedElements(v).map((x, i) => [i, x])
  if (isObject(v)) return jsonMembers(v)
  if (isNumber(v)) {
    const n = numberToSafeInteger(v) ?? 0
    if (n > 1_000_000) throw new BuiltinError('template: range is too long')
    return Array.from({ length: Math.max(0, n) }, (_, i) => [i, i] as const)
  }
  throw new BuiltinError("template: range can't iterate over such a value")
}

/** As Go's fmt shows it: texts bare, lists `[a b]`, maps `map[k:v]`. */
function shown(v: Data): string {
  if (v === undefined) return '<undefined>'
  if (v === null) return '<no value>'
  if (typeof v === 'string') return v
  if (typeof v === 'boolean') return String(v)
  if (isNumber(v)) return numberText(v)
  if (isArray(v)) return `[${v.map(shown).join(' ')}]`
  if (isSet(v)) return `[${sortedElements(v).map(shown).join(' ')}]`
  return `map[${jsonMembers(v)
    .map(([k, x]) => `${k}:${shown(x)}`)
    .join(' ')}]`
}

function given(args: readonly Data[], i: number): Value {
  const v = args[i]
  if (v === undefined) throw new BuiltinError('template: missing or undefined argument')
  return v
}

function order(args: readonly Data[]): number {
  return compare(given(args, 0), given(args, 1))
}

type Function = (ctx: BuiltinContext, args: readonly Data[]) => Data

const FUNCTIONS: ReadonlyMap<string, Function> = new Map<string, Function>([
  ['not', (_, args) => !isTrue(args[0])],
  ['eq', (_, args) => args.slice(1).some((x) => x !== undefined && compare(given(args, 0), x) === 0)],
  ['ne', (_, args) => order(args) !== 0],
  ['lt', (_, args) => order(args) < 0],
  ['le', (_, args) => order(args) <= 0],
  ['gt', (_, args) => order(args) > 0],
  ['ge', (_, args) => order(args) >= 0],
  ['len', (_, args) => sizeOf(given(args, 0))],
  [
    'index',
    (_, args) => args.slice(1).reduce<Data>((at, key) => (key === undefined ? undefined : step(at, key)), args[0]),
  ],
  ['slice', (_, args) => slice(args)],
  ['print', (_, args) => printAll(args)],
  ['println', (_, args) => `${args.map(shown).join(' ')}\n`],
  [
    'printf',
    (ctx, args) =>
      sprintf(
        ctx,
        shown(args[0]),
        args.slice(1).map((x) => x ?? '<undefined>'),
      ),
  ],
  ['urlquery', (_, args) => encodeURIComponent(args.map(shown).join('')).replaceAll('%20', '+')],
  [
    'html',
    (_, args) =>
      args
        .map(shown)
        .join('')
        .replaceAll(/[<>&'"\0]/g, (ch) => HTML[ch] ?? ch),
  ],
])

const HTML: Readonly<Record<string, string>> = {
  '<': '&lt;',
  '>': '&gt;',
  '&': '&amp;',
  "'": '&#39;',
  '"': '&#34;',
  '\0': '\ufffd',
}

/** Spaces only between operands of which neither is a text. */
function printAll(args: readonly Data[]): string {
  let out = ''
  for (const [i, x] of args.entries()) {
    if (i > 0 && typeof x !== 'string' && typeof args[i - 1] !== 'string') out += ' '
    out += shown(x)
  }
  return out
}

function slice(args: readonly Data[]): Data {
  const [v, ...bounds] = args
  const [from = 0, to] = bounds.map((b) => (isNumber(b) ? numberToSafeInteger(b) : undefined))
  const size = typeof v === 'string' ? codePointLength(v) : isArray(v) ? v.length : undefined
  if (size === undefined || from < 0 || (to ?? size) > size || from > (to ?? size)) {
    throw new BuiltinError('template: index out of range')
  }
  return isArray(v) ? v.slice(from, to) : String(v).slice(from, to)
}

function callFunction(ctx: BuiltinContext, name: string, args: readonly Data[]): Data {
  const f = FUNCTIONS.get(name)
  if (f === undefined) throw new BuiltinError(`template: function "${name}" not defined`)
  return f(ctx, args)
}
