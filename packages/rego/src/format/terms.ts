import { refName, type Body, type CallTerm, type RefTerm, type Term, type With } from '../syntax/ast.ts'
import type { Printer } from './printer.ts'

/** How tightly infix operators bind, loosest first. */
const PRECEDENCE: ReadonlyMap<string, readonly [symbol: string, level: number]> = new Map([
  ['internal.member_2', ['in', 1]],
  ['internal.member_3', ['in', 1]],
  ['equal', ['==', 2]],
  ['neq', ['!=', 2]],
  ['lt', ['<', 2]],
  ['gt', ['>', 2]],
  ['lte', ['<=', 2]],
  ['gte', ['>=', 2]],
  ['or', ['|', 3]],
  ['and', ['&', 4]],
  ['plus', ['+', 5]],
  ['minus', ['-', 5]],
  ['mul', ['*', 6]],
  ['div', ['/', 6]],
  ['rem', ['%', 6]],
])
const TIGHTEST = 7

export type BodyPrinter = (body: Body) => void

/** Prints terms. Collections that were written over several lines stay so, one element a line. */
export class TermPrinter {
  readonly #p: Printer
  readonly #body: BodyPrinter

  constructor(p: Printer, body: BodyPrinter) {
    this.#p = p
    this.#body = body
  }

  /** @param level - Operators that bind more loosely than this need parentheses. */
  term(t: Term, level = 0): void {
    const p = this.#p
    switch (t.kind) {
      case 'null':
        return p.write('null')
      case 'boolean':
        return p.write(String(t.value))
      case 'number':
        return p.write(t.text)
      case 'string':
        // a step of a reference may be written as a name
        return p.write(/^["`]/.test(t.loc.text) ? t.loc.text : JSON.stringify(t.value))
      case 'template':
        return p.write(t.loc.text)
      case 'var':
        return p.write(t.name.startsWith('$') ? '_' : t.name)
      case 'ref':
        return this.ref(t)
      case 'call':
        return this.#call(t, level)
      case 'array':
        return this.#list('[', t.items, ']', t)
      case 'set':
        return t.items.length === 0 ? p.write('set()') : this.#list('{', t.items, '}', t)
      case 'object':
        return this.#object(t)
      case 'array-comprehension':
        return this.#comprehension('[', () => this.term(t.term, 4), t.body, ']', t)
      case 'set-comprehension':
        return this.#comprehension('{', () => this.term(t.term, 4), t.body, '}', t)
      case 'object-comprehension': {
        const head = (): void => {
          this.term(t.key, 1)
          p.write(': ')
          this.term(t.value, 4)
        }
        return this.#comprehension('{', head, t.body, '}', t)
      }
    }
  }

  ref(t: RefTerm): void {
    const p = this.#p
    this.term(t.head, TIGHTEST)
    for (const step of t.path) {
      if (step.kind === 'string' && /^[A-Za-z_][A-Za-z0-9_]*$/.test(step.value) && !/^["`]/.test(step.loc.text)) {
        p.write(`.${step.value}`)
      } else if (step.kind === 'string' && /^[A-Za-z_][A-Za-z0-9_]*$/.test(step.value)) {
        p.write(`.${step.value}`)
      } else {
        p.write('[')
        this.term(step)
        p.write(']')
      }
    }
  }

  #call(t: CallTerm, level: number): void {
    const name = refName(t.op) ?? ''
    const infix = PRECEDENCE.get(name)
    const [a, b, c] = t.args
    if (infix === undefined || a === undefined || b === undefined || !isInfix(t)) {
      this.ref(t.op)
      return this.#list('(', t.args, ')', t)
    }
    const [symbol, own] = infix
    const p = this.#p
    if (name === 'minus' && a.kind === 'number' && a.loc === t.op.loc) {
      p.write('-')
      return this.term(b, TIGHTEST)
    }
    if (own < level) p.write('(')
    this.term(a, own)
    if (c !== undefined) p.write(', ')
    else p.write(` ${symbol} `)
    this.term(b, own + 1)
    if (c !== undefined) {
      p.write(` ${symbol} `)
      this.term(c, own + 1)
    }
    if (own < level) p.write(')')
  }

  /** The arguments or elements of something in brackets. */
  #list(open: string, items: readonly Term[], close: string, whole: Term): void {
    this.#items(
      open,
      items.map((item) => ({ at: item.loc, print: () => this.#element(item) })),
      close,
      whole,
    )
  }

  /** `k, v in xs` as an element needs parentheses. */
  #element(item: Term): void {
    const pair = item.kind === 'call' && refName(item.op) === 'internal.member_3'
    this.term(item, pair ? TIGHTEST : 0)
  }

  #object(t: Term & { kind: 'object' }): void {
    const entries = t.entries.map(([k, v]) => ({
      at: k.loc,
      print: () => {
        this.#element(k)
        this.#p.write(': ')
        this.#element(v)
      },
    }))
    this.#items('{', entries, '}', t)
  }

  #items(
    open: string,
    items: readonly { readonly at: Term['loc']; readonly print: () => void }[],
    close: string,
    whole: Term,
  ): void {
    const p = this.#p
    p.write(open)
    const [first] = items
    const many = first !== undefined && (first.at.row > whole.loc.row || p.hasComment(whole.loc.start, whole.loc.end))
    if (!many) {
      for (const [i, item] of items.entries()) {
        if (i > 0) p.write(', ')
        item.print()
      }
      return p.write(close)
    }
    p.newline()
    p.indented(() => {
      for (const item of items) {
        p.commentsBefore(item.at.start)
        item.print()
        p.write(',')
        p.commentBehind(rowOf(whole, item.at))
        if (!p.atLineStart) p.newline()
      }
      p.commentsBefore(whole.loc.end)
    })
    p.write(close)
  }

  #comprehension(open: string, head: () => void, body: Body, close: string, whole: Term): void {
    const p = this.#p
    p.write(open)
    head()
    p.write(' |')
    const [first] = body
    if (first === undefined) return p.write(close)
    if (first.loc.row === whole.loc.row && !p.hasComment(whole.loc.start, whole.loc.end) && oneLine(whole)) {
      p.write(' ')
      this.#body(body)
      return p.write(close)
    }
    p.newline()
    p.indented(() => {
      this.#body(body)
      if (!p.atLineStart) p.newline()
      p.commentsBefore(whole.loc.end)
    })
    p.write(close)
  }

  withs(withs: readonly With[]): void {
    for (const w of withs) {
      this.#p.write(' with ')
      this.term(w.target)
      this.#p.write(' as ')
      this.term(w.value)
    }
  }
}

function oneLine(t: Term): boolean {
  return !t.loc.text.includes('\n')
}

/** The row on which an item ends, where a comment behind it would stand. */
function rowOf(whole: Term, item: Term['loc']): number {
  void whole
  return item.source.row(Math.max(item.start, item.end - 1))
}

/** Written with the operator's sign, not as a call of its function. */
function isInfix(t: CallTerm): boolean {
  return !/^[a-z]+(\.|$)/.test(t.op.loc.text) || t.op.loc.text === 'in'
}
