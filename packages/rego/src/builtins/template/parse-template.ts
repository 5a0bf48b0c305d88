import { BuiltinError } from '../contract.ts'
import { tokenizeAction, type Token } from './tokens.ts'

/** A Go text/template, parsed. */
export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipe: Pipe }
  | {
      readonly kind: 'if' | 'with'
      readonly pipe: Pipe
      readonly body: readonly Node[]
      readonly otherwise: readonly Node[]
    }
  | { readonly kind: 'range'; readonly pipe: Pipe; readonly body: readonly Node[]; readonly otherwise: readonly Node[] }
  | { readonly kind: 'break' | 'continue' }

/** `$a, $b := command | command`. */
export type Pipe = {
  readonly variables: readonly string[]
  readonly declares: boolean
  readonly commands: ReadonlyArray<readonly Operand[]>
}

export type Operand =
  | { readonly kind: 'literal'; readonly token: Token }
  | { readonly kind: 'field'; readonly path: readonly string[] }
  | { readonly kind: 'variable'; readonly name: string; readonly path: readonly string[] }
  | { readonly kind: 'function'; readonly name: string }
  | { readonly kind: 'pipe'; readonly pipe: Pipe; readonly path: readonly string[] }

const MAX_DEPTH = 100

export function parseTemplate(text: string): readonly Node[] {
  return new TemplateParser(text).parse()
}

type Stop = 'end' | 'else' | 'eof'

class TemplateParser {
  readonly #pieces: Array<{ readonly text: string } | { readonly action: readonly Token[] }>
  #at = 0
  #depth = 0

  constructor(text: string) {
    this.#pieces = cut(text)
  }

  parse(): readonly Node[] {
    const { nodes, stop } = this.#list()
    if (stop !== 'eof') throw new BuiltinError(`template: unexpected {{${stop}}}`)
    return nodes
  }

  #list(): { nodes: Node[]; stop: Stop; rest: readonly Token[] } {
    const nodes: Node[] = []
    for (let piece = this.#pieces[this.#at]; piece !== undefined; piece = this.#pieces[this.#at]) {
      this.#at++
      if ('text' in piece) {
        if (piece.text !== '') nodes.push({ kind: 'text', text: piece.text })
        continue
      }
      const [first, ...rest] = piece.action
      if (first === undefined) continue
      if (first.kind === 'word' && (first.text === 'end' || first.text === 'else')) {
        return { nodes, stop: first.text, rest }
      }
      nodes.push(this.#node(first, rest, piece.action))
    }
    return { nodes, stop: 'eof', rest: [] }
  }

  #node(first: Token, rest: readonly Token[], all: readonly Token[]): Node {
    if (first.kind === 'word') {
      if (first.text === 'if' || first.text === 'with' || first.text === 'range') return this.#block(first.text, rest)
      if (first.text === 'break' || first.text === 'continue') return { kind: first.text }
      if (['define', 'template', 'block'].includes(first.text)) {
        throw new BuiltinError(`template: {{${first.text}}} is not supported`)
      }
    }
    return { kind: 'action', pipe: parsePipe(all) }
  }

  #block(kind: 'if' | 'with' | 'range', tokens: readonly Token[]): Node {
    if (++this.#depth > MAX_DEPTH) throw new BuiltinError('template: nested too deeply')
    const pipe = parsePipe(tokens)
    const { nodes: body, stop, rest } = this.#list()
    let otherwise: readonly Node[] = []
    if (stop === 'else') {
      const [next, ...after] = rest
      if (next === undefined) otherwise = this.#lastPart()
      else if (next.kind === 'word' && next.text === kind && kind !== 'range') otherwise = [this.#block(kind, after)]
      else throw new BuiltinError('template: unexpected {{else}}')
    } else if (stop === 'eof') throw new BuiltinError('template: unexpected EOF')
    this.#depth--
    return { kind, pipe, body, otherwise }
  }

  #lastPart(): readonly Node[] {
    const { nodes, stop } = this.#list()
    if (stop !== 'end') throw new BuiltinError('template: expected {{end}}')
    return nodes
  }
}

/** Text and actions; `{{-` and `-}}` take the white space beside them away. */
function cut(text: string): Array<{ text: string } | { action: readonly Token[] }> {
  const out: Array<{ text: string } | { action: readonly Token[] }> = []
  let from = 0
  let trimNext = false
  for (let open = text.indexOf('{{'); open >= 0; open = text.indexOf('{{', from)) {
    const close = endOfAction(text, open + 2)
    let inner = text.slice(open + 2, close)
    let before = text.slice(from, open)
    if (trimNext) before = before.trimStart()
    if (/^-\s/.test(inner)) {
      before = before.trimEnd()
      inner = inner.slice(1)
    }
    trimNext = /\s-$/.test(inner)
    if (trimNext) inner = inner.slice(0, -1)
    out.push({ text: before })
    if (!/^\s*\/\*/.test(inner)) out.push({ action: tokenizeAction(inner) })
    from = close + 2
  }
  const rest = text.slice(from)
  out.push({ text: trimNext ? rest.trimStart() : rest })
  return out
}

/** Index of the closing braces, not looking into strings. */
function endOfAction(text: string, from: number): number {
  let quote = ''
  for (let i = from; i < text.length; i++) {
    const ch = text.charAt(i)
    if (quote !== '') {
      if (ch === '\\' && quote !== '`') i++
      else if (ch === quote) quote = ''
    } else if (ch === '"' || ch === '`' || ch === "'") quote = ch
    else if (ch === '}' && text.charAt(i + 1) === '}') return i
  }
  throw new BuiltinError('template: unclosed action')
}

function parsePipe(tokens: readonly Token[]): Pipe {
  const reader = { tokens, at: 0 }
  const pipe = readPipe(reader, 0)
  if (reader.at < tokens.length) throw unexpected(tokens[reader.at])
  return pipe
}

type Reader = { readonly tokens: readonly Token[]; at: number }

function unexpected(token: Token | undefined): BuiltinError {
  return new BuiltinError(`template: unexpected ${token === undefined ? 'end of action' : JSON.stringify(token.text)}`)
}

function readPipe(r: Reader, depth: number): Pipe {
  if (depth > MAX_DEPTH) throw new BuiltinError('template: nested too deeply')
  const { variables, declares } = readVariables(r)
  const commands: Operand[][] = []
  do commands.push(readCommand(r, depth))
  while (take(r, '|'))
  return { variables, declares, commands }
}

function take(r: Reader, text: string): boolean {
  const token = r.tokens[r.at]
  if (token?.kind !== 'mark' || token.text !== text) return false
  r.at++
  return true
}

/** `$x :=`, `$x =`, `$i, $x :=`; nothing is taken if it is none of these. */
function readVariables(r: Reader): { variables: string[]; declares: boolean } {
  const start = r.at
  const variables: string[] = []
  do {
    const token = r.tokens[r.at]
    if (token?.kind !== 'variable') break
    variables.push(token.text)
    r.at++
  } while (take(r, ','))
  if (variables.length > 0 && take(r, ':=')) return { variables, declares: true }
  if (variables.length > 0 && take(r, '=')) return { variables, declares: false }
  r.at = start
  return { variables: [], declares: false }
}

function readCommand(r: Reader, depth: number): Operand[] {
  const out: Operand[] = []
  for (let token = r.tokens[r.at]; token !== undefined; token = r.tokens[r.at]) {
    if (token.kind === 'mark' && (token.text === '|' || token.text === ')')) break
    out.push(readOperand(r, depth))
  }
  if (out.length === 0) throw new BuiltinError('template: missing value for command')
  return out
}

function readOperand(r: Reader, depth: number): Operand {
  const token = r.tokens[r.at++]
  switch (token?.kind) {
    case 'field':
      return { kind: 'field', path: token.text === '.' ? [] : token.text.slice(1).split('.') }
    case 'variable':
      return { kind: 'variable', name: token.text, path: readPath(r) }
    case 'word':
      if (token.text === 'true' || token.text === 'false' || token.text === 'nil') return { kind: 'literal', token }
      return { kind: 'function', name: token.text }
    case 'string':
    case 'number':
      return { kind: 'literal', token }
    case 'mark': {
      if (token.text !== '(') throw unexpected(token)
      const pipe = readPipe(r, depth + 1)
      if (!take(r, ')')) throw new BuiltinError('template: unclosed left paren')
      return { kind: 'pipe', pipe, path: readPath(r) }
    }
    default:
      throw unexpected(token)
  }
}

/** Fields that follow without a space, as in `$x.name`. */
function readPath(r: Reader): readonly string[] {
  const token = r.tokens[r.at]
  if (token?.kind !== 'field' || !token.adjacent || token.text === '.') return []
  r.at++
  return token.text.slice(1).split('.')
}
