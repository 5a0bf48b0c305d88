import fc from 'fast-check'
import {
  bytesToText,
  compare,
  formatValue,
  fromJson,
  numberFromText,
  objectOf,
  RegoSet,
  toJson,
  typeName,
  type Value,
} from '../../value/index.ts'
import { BUILTINS, BuiltinError, type Builtin, type TypeDecl } from '../index.ts'
import { Exhausted, testContext } from './context.ts'

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 8 }).map((s) => s.toWellFormed()),
  fc.uint8Array({ maxLength: 6 }).map(bytesToText),
  fc.constantFrom(
    '',
    'a.b.c',
    '{"a":[1]}',
    '10.0.0.0/8',
    '2006-01-02',
    '%[3]*.[2]*[1]f',
    '(a+)+$',
    '[',
    '{{.a}}',
    '1.2.3',
    'a: &x [*x]',
  ),
)
const number = fc.oneof(
  fc.constantFrom<Value>(0, -1, 2, 10, 1.5, 2n ** 70n, -(2n ** 80n)),
  fc
    .constantFrom('1.0', '1e3', '-0', '1e400', '1e-400', '0.1000000000000000000000001')
    .map((t) => numberFromText(t) ?? 0),
  fc.integer(),
)
const any: fc.Arbitrary<Value> = fc.letrec<{ v: Value }>((tie) => ({
  v: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<Value>(null, true, false),
    text,
    number,
    fc.array(tie('v'), { maxLength: 3 }),
    fc.array(tie('v'), { maxLength: 3 }).map((vs) => RegoSet.of(vs)),
    fc.array(fc.tuple(tie('v'), tie('v')), { maxLength: 3 }).map((es) => objectOf(es)),
  ),
})).v

function ofType(t: TypeDecl): fc.Arbitrary<Value> {
  switch (t.kind) {
    case 'any':
      return any
    case 'null':
      return fc.constant(null)
    case 'boolean':
      return fc.boolean()
    case 'number':
      return number
    case 'string':
      return text
    case 'array':
      return t.static === undefined
        ? fc.array(ofType(t.dynamic ?? { kind: 'any' }), { maxLength: 4 })
        : fc.tuple(...t.static.map(ofType))
    case 'set':
      return fc.array(ofType(t.of), { maxLength: 4 }).map((vs) => RegoSet.of(vs))
    case 'object': {
      const fixed = fc.tuple(...(t.static ?? []).map((s) => ofType(s.value).map((v) => [s.key, v] as const)))
      const member: fc.Arbitrary<readonly [Value, Value]> =
        t.dynamic === undefined ? fc.constant(['x', 1]) : fc.tuple(ofType(t.dynamic.key), ofType(t.dynamic.value))
      const free = fc.array(member, { maxLength: 3 })
      return fc.tuple(fixed, free).map(([a, b]) => objectOf([...a, ...b]))
    }
    case 'union':
      return fc.oneof(...t.of.map(ofType))
  }
}

/** Built-ins that can be called without host and compiler. */
export const CALLABLE: readonly Builtin[] = [...BUILTINS.values()].filter(
  (b) => b.compiled === undefined && b.host === undefined,
)

/** Throws unless calls with operands of any kind end in a value, in undefined, or in an error of the built-in. */
export function callWithAnything(b: Builtin, parameters: { readonly numRuns?: number } = {}): void {
  const operands = b.decl.args.map((t) => fc.oneof({ weight: 5, arbitrary: ofType(t) }, { weight: 1, arbitrary: any }))
  fc.assert(
    fc.property(fc.tuple(...operands), (args) => {
      const before = args.map(formatValue).join()
      try {
        checkValue(b.call(testContext(), ...args))
      } catch (error) {
        // a promise is the answer of WebCrypto, which comes later
        if (error instanceof Promise) error.catch(() => undefined)
        else if (!(error instanceof BuiltinError || error instanceof Exhausted)) throw error
      }
      if (args.map(formatValue).join() !== before) throw new Error(`${b.name} changed an operand`)
    }),
    parameters,
  )
}

/** A value through and through: it can be typed, ordered, printed and read back. */
function checkValue(v: Value | undefined): void {
  if (v === undefined) return
  if (compare(v, v) !== 0 || typeName(v) === undefined) throw new Error('not a value')
  fromJson(toJson(v))
}
