import fc from 'fast-check'
import { missingVectors, readVectorText } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import {
  adopt,
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
} from '../value/index.ts'
import { Exhausted, testContext } from './context.fixture.ts'
import { BUILTINS, BuiltinError, type Builtin, type TypeDecl } from './index.ts'

fc.configureGlobal({ seed: 11, numRuns: 60 })

function builtin(name: string): Builtin {
  const found = BUILTINS.get(name)
  if (found === undefined) throw new Error(`no built-in ${name}`)
  return found
}

function call(name: string, ...args: Value[]): Value | undefined {
  return builtin(name).call(testContext(), ...args)
}

/** What a call with too much to do ends with. */
function boundOf(name: string, ...args: Value[]): string {
  try {
    builtin(name).call(testContext(), ...args)
  } catch (error) {
    if (error instanceof Exhausted) return error.message
    throw error
  }
  return 'none'
}

describe.skipIf(missingVectors())('declarations', () => {
  type Json = { readonly [name: string]: unknown }
  const capabilities = missingVectors()
    ? []
    : (JSON.parse(readVectorText('opa-conformance/capabilities.json')) as { builtins: Json[] }).builtins

  function toCapability(t: TypeDecl | undefined): unknown {
    if (t === undefined) return undefined
    switch (t.kind) {
      case 'array':
        return { type: 'array', static: t.static?.map(toCapability), dynamic: toCapability(t.dynamic) }
      case 'set':
        return { type: 'set', of: toCapability(t.of) }
      case 'object':
        return {
          type: 'object',
          static: t.static?.map((s) => ({ key: s.key, value: toCapability(s.value) })),
          dynamic: t.dynamic && { key: toCapability(t.dynamic.key), value: toCapability(t.dynamic.value) },
        }
      case 'union':
        return { type: 'any', of: t.of.map(toCapability) }
      default:
        return { type: t.kind }
    }
  }

  /** Alternatives and members in a fixed order, without what is undefined or only described. */
  function canonical(v: unknown): string {
    return JSON.stringify(v, (key, x: unknown) => {
      if (key === 'description') return undefined
      if (Array.isArray(x) && (key === 'of' || key === 'static')) return x.map(canonical).sort()
      if (typeof x !== 'object' || x === null || Array.isArray(x)) return x
      return Object.fromEntries(Object.entries(x).sort(([a], [b]) => (a < b ? -1 : 1)))
    })
  }

  test('are those of OPA, all of them', () => {
    expect(new Set(BUILTINS.keys())).toEqual(new Set(capabilities.map((b) => b['name'])))
    for (const want of capabilities) {
      const b = builtin(String(want['name']))
      const decl = want['decl'] as Json
      // nested lists are compared as texts: `canonical` sorts them on the way
      expect(canonical(b.decl.args.map(toCapability)), b.name).toBe(canonical(decl['args'] ?? []))
      expect(canonical(toCapability(b.decl.result)), b.name).toBe(canonical(decl['result']))
      expect(b.infix, b.name).toBe(want['infix'])
      expect(b.deprecated, b.name).toBe(want['deprecated'])
      expect(b.nondeterministic, b.name).toBe(want['nondeterministic'])
    }
  })
})

describe('any operands', () => {
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
      .map((t) => numberFromText(t)!),
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

  const callable = [...BUILTINS.values()].filter((b) => b.compiled === undefined && b.host === undefined)

  test.each(callable.map((b) => [b.name, b] as const))(
    'K04 %s answers with a value, undefined or a built-in error, and changes nothing',
    (_name, b) => {
      const operands = fc.tuple(
        ...b.decl.args.map((t) => fc.oneof({ weight: 5, arbitrary: ofType(t) }, { weight: 1, arbitrary: any })),
      )
      fc.assert(
        fc.property(operands, (args) => {
          const before = args.map(formatValue)
          try {
            const out = b.call(testContext(), ...args)
            if (out !== undefined) {
              // a value through and through: it can be printed, typed, ordered and read back
              expect(typeName(out)).toBeTypeOf('string')
              expect(compare(out, out)).toBe(0)
              fromJson(toJson(out))
            }
          } catch (error) {
            if (!(error instanceof BuiltinError) && !(error instanceof Exhausted) && !(error instanceof Promise))
              throw error
            if (error instanceof Promise) error.catch(() => undefined)
          }
          expect(args.map(formatValue)).toEqual(before)
        }),
      )
    },
  )
})

describe('bounds', () => {
  test.each<[string, string, ...Value[]]>([
    ['memory', 'numbers.range', 1, 1_000_000_000_000],
    ['memory', 'numbers.range_step', 0, 1_000_000_000_000, 2],
    ['memory', 'net.cidr_expand', '::/0'],
    ['memory', 'sprintf', '%999999d%999999d', [1, 1]],
    ['memory', 'replace', 'a'.repeat(2000), 'a', 'b'.repeat(1000)],
    ['memory', 'replace', 'a'.repeat(2000), '', 'b'.repeat(1000)],
    ['memory', 'strings.replace_n', { a: 'b'.repeat(1000) }, 'a'.repeat(2000)],
    ['memory', 'regex.replace', 'a'.repeat(2000), 'a', 'b'.repeat(1000)],
    ['memory', 'concat', 'x'.repeat(1000), Array.from({ length: 2000 }, () => '')],
    ['steps', 'walk', Array.from({ length: 1001 }, () => Array.from({ length: 1000 }, () => 0))],
    ['steps', 'regex.match', 'a{900}b{90}', 'a'.repeat(1_000_000)],
    [
      'steps',
      'strings.any_prefix_match',
      Array.from({ length: 2000 }, () => 'a'),
      Array.from({ length: 2000 }, () => 'b'),
    ],
    [
      'steps',
      'strings.render_template',
      '{{range .a}}{{range $.a}}{{end}}{{end}}',
      { a: Array.from({ length: 2000 }, () => 1) },
    ],
  ])('F07 the %s bound stops %s before the result is built', (bound, name, ...args) => {
    expect(boundOf(name, ...args)).toBe(bound)
  })

  test('F07 numbers stop growing', () => {
    expect(() => call('bits.lsh', 1, 10_000_000)).toThrow(/operand 2 must be at most/)
    expect(() => call('mul', numberFromText('1e9000')!, numberFromText('1e9000')!)).not.toThrow()
    expect(() => call('mul', numberFromText('1e20000')!, 2)).toThrow(/out of range/)
    expect(() => call('div', 1, numberFromText('1e-999999999')!)).toThrow(/out of range/)
    expect(compare(numberFromText('1e999999999')!, numberFromText('1e999999998')!)).toBe(1)
  })
})

describe('patterns', () => {
  const evil = `${'a'.repeat(30_000)}!`

  test.each<[string, ...Value[]]>([
    ['regex.match', '^(a+)+$', evil],
    ['regex.match', '(a|aa)+$', evil],
    ['regex.match', '(.*)*b', evil],
    ['regex.split', '(a*)*b', evil],
    ['regex.template_match', '{(a+)+}', evil, '{', '}'],
    ['glob.match', '*a*a*a*a*a*b', null, evil],
    ['json.match_schema', { v: evil }, { properties: { v: { pattern: '^(a+)+$' } } }],
    ['json.match_schema', { v: `${'/a'.repeat(20_000)}~` }, { properties: { v: { format: 'json-pointer' } } }],
    ['graphql.is_valid', `${'#'.repeat(20_000)}\nx`, 'type Query { a: Int }'],
    ['uri.is_valid', `http://${'a'.repeat(20_000)}%`],
    ['semver.is_valid', `1.2.3-${'a-'.repeat(20_000)}!`],
    ['time.parse_duration_ns', `${'1h'.repeat(10_000)}x`],
    ['units.parse', `${'1e+'.repeat(10_000)}`],
    ['base64.is_valid', `${'='.repeat(20_000)}a`],
  ])('K09 %s takes no more than linear time on texts made to hurt', (name, ...args) => {
    const start = performance.now()
    try {
      builtin(name).call(testContext({}, { steps: Infinity, memory: Infinity }), ...args)
    } catch (error) {
      if (!(error instanceof BuiltinError)) throw error
    }
    expect(performance.now() - start).toBeLessThan(2000)
  })
})

describe('the outside', () => {
  test.each<[string, ...Value[]]>([
    ['http.send', { method: 'get', url: 'http://example.com' }],
    ['net.lookup_ip_addr', 'example.com'],
    ['opa.runtime'],
  ])('F06 %s ends the decision where the host lends nothing', (name, ...args) => {
    expect(() => call(name, ...args)).toThrow(/the host does not provide it/)
    expect(() => call(name, ...args)).not.toThrow(BuiltinError)
  })

  test('F06 random answers follow from the seed and the operands alone', () => {
    const other = { ...testContext(), seed: new Uint8Array(32).fill(2) }
    for (const [name, ...args] of [
      ['rand.intn', 'k', 1_000_000_007],
      ['uuid.rfc4122', 'k'],
    ] as const) {
      expect(call(name, ...args)).toEqual(call(name, ...args))
      expect(call(name, ...args)).not.toEqual(builtin(name).call(other, ...args))
    }
    expect(call('uuid.rfc4122', 'k')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })
})

describe('names that objects inherit', () => {
  test.each(['__proto__', 'constructor', 'toString'])('K06 %s is a name like any other', (name) => {
    const o = adopt(JSON.parse(`{"a": 1, "${name}": {"b": 2}}`) as unknown)
    const bare = adopt({ a: 1 })
    expect(formatValue(call('object.get', bare, name, 'none')!)).toBe('"none"')
    expect(formatValue(call('object.get', o, [name, 'b'], 'none')!)).toBe('2')
    expect(formatValue(call('object.remove', o, [name])!)).toBe('{"a": 1}')
    expect(formatValue(call('object.filter', o, [name])!)).toBe(`{"${name}": {"b": 2}}`)
    expect(formatValue(call('object.union', bare, call('object.filter', o, [name])!)!)).toBe(formatValue(o))
    expect(formatValue(call('json.filter', o, [`${name}/b`])!)).toBe(`{"${name}": {"b": 2}}`)
    expect(formatValue(call('json.remove', o, [name])!)).toBe('{"a": 1}')
    expect(formatValue(call('json.patch', bare, [{ op: 'add', path: name, value: { b: 2 } }])!)).toBe(formatValue(o))
    expect(formatValue(call('urlquery.decode_object', `${name}=1`)!)).toBe(`{"${name}": ["1"]}`)
    expect(formatValue(call('json.unmarshal', toJson(o))!)).toBe(formatValue(o))
    expect(formatValue(call('yaml.unmarshal', `a: 1\n${name}: {b: 2}\n`)!)).toBe(formatValue(o))
    expect(({} as Record<string, unknown>)['b']).toBeUndefined()
  })
})
