import type { Op, Operand } from '../../plan/ir.ts'

type Call = Op & { op: 'builtin' }
type Read = (o: Operand) => string

const COMPARISONS: ReadonlyMap<string, string> = new Map([
  ['lt', '<'],
  ['lte', '<='],
  ['gt', '>'],
  ['gte', '>='],
])

/** A call that is only asked for its truth, as a condition; undefined if it has no short form. */
export function conditionOf(op: Call, read: Read): string | undefined {
  const [a, b] = op.args.map(read)
  const { name } = op.builtin
  const comparison = COMPARISONS.get(name)
  if (comparison !== undefined) {
    return `typeof ${a} === 'number' && typeof ${b} === 'number' ? ${a} ${comparison} ${b} : order(${a}, ${b}) ${comparison} 0`
  }
  switch (name) {
    case 'equal':
    case 'eq':
      return equality(op.args, read)
    case 'neq':
      return `!(${equality(op.args, read)})`
    case 'internal.member_2':
      return `typeof ${a} === 'string' && Array.isArray(${b}) ? ${b}.includes(${a}) : isMember(${a}, ${b})`
    default:
      return undefined
  }
}

/** `a == b` as a condition. Of unequal primitives and boxed numbers, only the latter need a closer look. */
export function equality(args: readonly Operand[], read: Read): string {
  const [a, b] = args.map(read)
  const exact = args.some((o) => {
    if (typeof o !== 'object') return false
    return o.value === null || typeof o.value === 'string' || typeof o.value === 'boolean'
  })
  if (exact) return `${a} === ${b}`
  return `${a} === ${b} || ((typeof ${a} === 'object' || typeof ${b} === 'object') && equal(${a}, ${b}))`
}

/** A call as an expression, with a fast path for the usual operands; undefined if there is none. */
export function inlineCall(op: Call, read: Read, rest: string, env: string): string | undefined {
  const condition = conditionOf(op, read)
  if (condition !== undefined) return `(${condition})`
  const args = op.args.map(read)
  const [a, b] = args
  const slow = `call${args.length}(${env}, ${rest}, ${args.join(', ')})`
  switch (op.builtin.name) {
    case 'startswith':
      return `typeof ${a} === 'string' && typeof ${b} === 'string' ? ${a}.startsWith(${b}) : ${slow}`
    case 'endswith':
      return `typeof ${a} === 'string' && typeof ${b} === 'string' ? ${a}.endsWith(${b}) : ${slow}`
    case 'contains':
      return `typeof ${a} === 'string' && typeof ${b} === 'string' ? ${a}.includes(${b}) : ${slow}`
    case 'is_string':
      return `typeof ${a} === 'string'`
    case 'is_array':
      return `Array.isArray(${a})`
    case 'is_null':
      return `${a} === null`
    default:
      return undefined
  }
}
