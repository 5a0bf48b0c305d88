import fc from 'fast-check'
import { missingVectors, readVectorText } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { adopt, compare, formatValue, numberFromText, toJson, type Value } from '../value/index.ts'
import { CALLABLE, callWithAnything } from './testing/anything.ts'
import { Exhausted, testContext } from './testing/context.ts'
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
  test.each(CALLABLE.map((b) => [b.name, b] as const))(
    'K04 %s answers with a value, undefined or a built-in error, and changes nothing',
    (_name, b) => callWithAnything(b),
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

describe('K09 F07 a search in a text made to hurt', () => {
  /** Steps that a call counts. */
  const steps = (name: string, ...args: Value[]): number => {
    let spent = 0
    builtin(name).call({ ...testContext(), spend: (n) => (spent += n), reserve: () => undefined }, ...args)
    return spent
  }
  const looking: readonly (readonly [string, (pattern: string, text: string) => Value[]])[] = [
    ['regex.match', (pattern, text) => [pattern, text]],
    ['regex.find_n', (pattern, text) => [pattern, text, -1]],
    ['regex.find_all_string_submatch_n', (pattern, text) => [pattern, text, -1]],
    ['regex.split', (pattern, text) => [pattern, text]],
    ['regex.replace', (pattern, text) => [text, pattern, 'x']],
  ]

  test.each(looking)('by %s costs in proportion to the text', (name, args) => {
    for (const pattern of ['(a+)+$', '(a|aa)+b', '(a|a)*', '(.*)*x', 'a?a?a?a?aaaa', '(a*)*b', '[ab]+']) {
      const text = (n: number): string => `${'a'.repeat(n)}!`
      const growth = steps(name, ...args(pattern, text(8_000))) / steps(name, ...args(pattern, text(1_000)))
      expect([pattern, growth]).toEqual([pattern, expect.closeTo(8, 0)])
    }
  })

  test.each(looking.slice(1))('by %s ends at its bound where each match looks at all that is left', (name, args) => {
    const started = performance.now()
    for (const pattern of ['a.*b|a', '(a*)*b|aaa']) {
      expect(boundOf(name, ...args(pattern, 'a'.repeat(100_000)))).toBe('steps')
    }
    expect(performance.now() - started).toBeLessThan(10_000)
  })
})

describe('nesting', () => {
  const n = 50_000

  test.each<[string, ...Value[]]>([
    ['json.unmarshal', '['.repeat(n) + ']'.repeat(n)],
    ['yaml.unmarshal', '['.repeat(n) + ']'.repeat(n)],
    ['yaml.unmarshal', '- '.repeat(n)],
    ['graphql.parse_query', '{a'.repeat(n)],
    ['graphql.parse_schema', `type A { a: ${'['.repeat(n)}`],
    ['glob.match', '{'.repeat(n), null, 'a'],
    ['strings.render_template', '{{if 1}}'.repeat(n), {}],
    ['json.match_schema', {}, `${'{"not":'.repeat(900)}true${'}'.repeat(900)}`],
    ['json.match_schema', {}, { allOf: [{ $ref: '#' }] }],
  ])('F07 %s refuses what nests without end, wherever it is called from', (name, ...args) => {
    expect(() => builtin(name).call(testContext({}, { steps: Infinity, memory: Infinity }), ...args)).toThrow(
      BuiltinError,
    )
  })

  test('F16 yaml.unmarshal refuses aliases that multiply, and names given twice', () => {
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]']
    for (const [is, of] of ['ba', 'cb', 'dc', 'ed']) bomb.push(`${is}: &${is} [${`*${of},`.repeat(9)}]`)
    expect(() => call('yaml.unmarshal', bomb.join('\n'))).toThrow(/aliases/)
    expect(() => call('yaml.unmarshal', 'a: 1\na: 2\n')).toThrow(/unique/)
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
