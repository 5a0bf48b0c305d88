import type { RegoMap, RegoRecord, Value } from '../../value/index.ts'
import { BuiltinError, type BuiltinContext } from '../contract.ts'
import { callFunction, follow, isTrue, literal, rangeOf, shown, type Data } from './data.ts'
import { parseTemplate, type Node, type Operand, type Pipe } from './parse-template.ts'

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
