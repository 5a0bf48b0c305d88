import { isGenerated } from '../syntax/ast.ts'
import type { Block, EnvReg, Op, Operand, Reg } from './ir.ts'

/** Numbers the registers of one function. */
export class Registers {
  count: number

  constructor(reserved: number) {
    this.count = reserved
  }

  next(): Reg {
    return this.count++
  }
}

/** Where operations go, and what variables mean there. */
export class Builder {
  readonly registers: Registers
  env: EnvReg
  /** The order of iteration can be seen: inside array comprehensions and queries. */
  ordered: boolean
  #ops: Op[]
  readonly #first: Op[]
  readonly #bound: Map<string, Operand>
  readonly #known: Map<string, Reg>
  /** A block that cannot go on: what follows is never reached. */
  dead = false
  /** The block has a scan. */
  scans = false

  constructor(registers: Registers, env: EnvReg, ordered: boolean, outer?: Builder) {
    this.registers = registers
    this.env = env
    this.ordered = ordered
    this.#first = this.#ops = []
    this.#bound = new Map(outer?.bound)
    this.#known = new Map(outer === undefined ? [] : outer.#known)
  }

  /** A block inside this one that sees its variables and keeps its own to itself. */
  nested(ordered: boolean): Builder {
    return new Builder(this.registers, this.env, ordered, this)
  }

  add(op: Op): void {
    this.#ops.push(op)
    if (op.op === 'fail') this.dead = true
  }

  /** Adds an operation that gives a value. */
  value(make: (out: Reg) => Op): Reg {
    const out = this.registers.next()
    this.add(make(out))
    return out
  }

  /**
   * The same for an operation that gives one value wherever it stands: looking a member up, or asking for a document. What was
   * asked before is not asked again.
   */
  pure(key: string, make: (out: Reg) => Op): Reg {
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const out = this.value(make)
    this.#known.set(key, out)
    return out
  }

  /** Opens a block that runs for each element: all that follows stands in it. */
  iterate(make: (body: Block) => Op): void {
    const ops: Op[] = []
    this.add(make({ ops }))
    this.#ops = ops
    this.scans = true
  }

  get block(): Block {
    return { ops: this.#first }
  }

  lookup(name: string): Operand | undefined {
    return this.#bound.get(name)
  }

  bind(name: string, to: Operand): void {
    this.#bound.set(name, to)
  }

  /** Variables that the text names, with what they hold here. */
  named(written: (name: string) => string): [string, Operand][] {
    const out: [string, Operand][] = []
    for (const [name, operand] of this.#bound) {
      const text = written(name)
      if (!isGenerated(text)) out.push([text, operand])
    }
    return out
  }

  get bound(): ReadonlyMap<string, Operand> {
    return this.#bound
  }
}
