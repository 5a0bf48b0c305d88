import { describe, expect, test } from 'vitest'
import { missingVectors, readVectorText } from '@vouchsafe/testkit'
import {
  compile,
  equal,
  fromJson,
  parseInput,
  readInput,
  RegoError,
  toJson,
  type BackendChoice,
  type EvalOptions,
  type PolicyOptions,
} from './index.ts'

const BACKENDS: readonly BackendChoice[] = ['generated', 'closures']

function thrown(run: () => unknown): RegoError {
  try {
    run()
  } catch (e) {
    if (e instanceof RegoError) return e
    throw e
  }
  throw new Error('nothing was thrown')
}

describe.each(BACKENDS)('a policy evaluated by %s', (backend) => {
  const policyOf = (text: string, options: PolicyOptions = {}): ReturnType<typeof compile> =>
    compile({ 'policy.rego': `package t\n\n${text}\n` }, { backend, ...options })
  const value = (text: string, input?: unknown, options: PolicyOptions = {}, run: EvalOptions = {}): unknown => {
    const found = policyOf(text, options).eval('data.t.p', input, run).value
    return found === undefined ? undefined : JSON.parse(toJson(found))
  }

  test('gives the value of a query that is one expression, also if it is false', () => {
    expect(value('p := input.x', { x: false })).toBe(false)
    expect(value('p := input.x', {})).toBeUndefined()
    expect(value('p := input', undefined)).toBeUndefined()
    expect(value('p := input', null)).toBeNull()
  })

  test('gives the bindings of a query with variables', () => {
    const { rows } = policyOf('p := {"a": 1, "b": 2}').eval('data.t.p[k] = v; v > 1')
    expect(rows.map((r) => r.bindings)).toEqual([{ k: 'b', v: 2 }])
  })

  test('lists the rules that can be asked for', () => {
    const policy = policyOf('p := 1\nq.r := 2\nf(x) := x')
    expect(policy.rules).toEqual(['data.t.p', 'data.t.q.r'])
  })

  test('reads base data anew without compiling again', () => {
    const policy = policyOf('p := data.limit', { data: { limit: 1 } })
    expect(policy.eval('data.t.p').value).toBe(1)
    expect(policy.withData({ limit: 2 }).eval('data.t.p').value).toBe(2)
    expect(policy.eval('data.t.p').value).toBe(1)
  })

  test('takes an input that was checked once', () => {
    const policy = policyOf('p := input.n + 1')
    expect(policy.eval('data.t.p', readInput({ n: 1 })).value).toBe(2)
    expect(policy.eval('data.t.p', parseInput('{"n": 9007199254740993}')).value).toBe(9007199254740994n)
  })

  test('replaces functions and rules for a query only, even where the program has no such `with`', () => {
    const policy = policyOf('p := lower(q)\nq := input.x\nf(x) := x\nr := f(1)')
    expect(policy.eval('data.t.p with data.t.q as "ABC"').value).toBe('abc')
    expect(policy.eval('data.t.p with lower as "z" with input.x as "Q"').value).toBe('z')
    expect(policy.eval('data.t.r with data.t.f as 7').value).toBe(7)
    expect(policy.eval('data.t.r').value).toBe(1)
  })

  test('prints where the host says', () => {
    const lines: string[] = []
    const policy = policyOf('p if print("x is", input.x, input.y)', { print: true })
    policy.eval('data.t.p', { x: [1] }, { onPrint: (line, at) => lines.push(`${at.row}: ${line}`) })
    expect(lines).toEqual(['3: x is [1] <undefined>'])
  })

  describe('conflicts and failing built-ins', () => {
    test('end the evaluation, or are undefined', () => {
      expect(thrown(() => value('p := 1\np := 2')).code).toBe('eval_conflict_error')
      expect(thrown(() => value('p := f(1)\nf(x) := 1\nf(x) := 2')).code).toBe('eval_conflict_error')
      expect(thrown(() => value('p[k] := v if some [k, v] in [["a", 1], ["a", 2]]')).code).toBe('eval_conflict_error')
      expect(thrown(() => value('p := {k: v | some [k, v] in [["a", 1], ["a", 2]]}')).code).toBe('eval_conflict_error')
      expect(value('p := 1 / 0')).toBeUndefined()
    })

    test('end it in strict mode, with the place', () => {
      const e = thrown(() => value('p := 1 / input.n', { n: 0 }, {}, { strictBuiltinErrors: true }))
      expect([e.code, e.message]).toEqual([
        'eval_builtin_error',
        'policy.rego:3: eval_builtin_error: div: divide by zero',
      ])
    })

    test('are not remembered as undefined from one mode to the other', () => {
      const policy = policyOf('p := q\nq := 1 / 0')
      expect(policy.eval('data.t.p').value).toBeUndefined()
      expect(thrown(() => policy.eval('data.t.p', undefined, { strictBuiltinErrors: true })).code).toBe(
        'eval_builtin_error',
      )
      expect(policy.eval('data.t.p').value).toBeUndefined()
    })
  })

  describe('F07 bounds', () => {
    const product = 'p := count([1 | some a in input; some b in input; some c in input])'
    const input = Array.from({ length: 100 }, (_, i) => i)

    test('on steps end the evaluation with an error, never with undefined', () => {
      expect(thrown(() => value(product, input, {}, { maxSteps: 5000 })).code).toBe('bound_steps')
      expect(value(product, input)).toBe(1_000_000)
    })

    test('on memory do the same', () => {
      expect(
        thrown(() => value('p := [1 | some a in input; some b in input]', input, {}, { maxMemory: 500 })).code,
      ).toBe('bound_memory')
      expect(thrown(() => value('p := numbers.range(0, 1000000000)')).code).toMatch(/^bound_/)
    })

    test('on depth do the same', () => {
      const chain = Array.from({ length: 3000 }, (_, i) => `r${i} := r${i + 1}`).join('\n')
      expect(thrown(() => value(`${chain}\nr3000 := input\np := r0`, 1)).code).toBe('bound_depth')
    })

    test('let the host interrupt', () => {
      let asked = 0
      const e = thrown(() => value(product, input, {}, { interrupt: () => ++asked === 3 }))
      expect([e.code, asked]).toEqual(['eval_cancel_error', 3])
    })
  })

  describe('host functions', () => {
    test('answer at once, and are asked once for the same operands', () => {
      const asked: unknown[] = []
      const functions = { lookup: { args: 1, call: (k: unknown) => (asked.push(k), `${String(k)}!`) } }
      expect(value('p := [lookup("a"), lookup("b"), lookup("a")]', {}, { functions })).toEqual(['a!', 'b!', 'a!'])
      expect(asked).toEqual(['a', 'b'])
    })

    test('may answer later', async () => {
      let calls = 0
      const functions = {
        lookup: {
          args: 1,
          call: async (k: unknown) => {
            calls++
            return Promise.resolve(`${String(k)}!`)
          },
        },
      }
      const policy = policyOf('p := [lookup(x) | some x in ["a", "b"]]', { functions })
      expect((await policy.evalAsync('data.t.p')).value).toEqual(['a!', 'b!'])
      expect(calls).toBe(2)
      expect(thrown(() => policy.eval('data.t.p')).code).toBe('host_function')
    })

    test('K04 end the decision when they fail, they are never undefined', async () => {
      const functions = { lookup: { args: 0, call: () => Promise.reject(new Error('store is down')) } }
      const policy = policyOf('p if not lookup()', { functions })
      await expect(policy.evalAsync('data.t.p')).rejects.toThrow(
        expect.objectContaining({ code: 'host_function', message: expect.stringContaining('store is down') }),
      )
    })

    test('are undefined if that is their answer', () => {
      const functions = { lookup: { args: 0, call: () => undefined } }
      expect(value('p := lookup()', {}, { functions })).toBeUndefined()
      expect(value('p if not lookup()', {}, { functions })).toBe(true)
    })
  })

  test('F06 has no built-in that reaches out, unless the host lends it', () => {
    for (const call of [
      'http.send({"method": "get", "url": "http://x"})',
      'net.lookup_ip_addr("x")',
      'opa.runtime()',
    ]) {
      const e = thrown(() => policyOf(`p := ${call}`, { host: {} }))
      expect([e.code, e.message]).toEqual(['rego_type_error', expect.stringContaining('undefined function')])
    }
    expect(thrown(() => value('p := time.now_ns()')).code).toBe('host_function')
    expect(thrown(() => value('p := rand.intn("x", 10)')).code).toBe('host_function')
    expect(value('p := time.now_ns()', undefined, {}, { timeNs: 5n })).toBe(5)
  })

  test('refuses built-ins that the host forbids', () => {
    const e = thrown(() => policyOf('p := regex.match("a", "b")', { forbidden: ['regex.match'] }))
    expect(e.message).toContain('unsafe built-in function calls in expression: regex.match')
  })

  describe('K06 names of JavaScript', () => {
    const names = [
      '__proto__',
      'constructor',
      'toString',
      'hasOwnProperty',
      'length',
      'map',
      '0',
      'size',
      'key',
      'text',
      'then',
    ]

    test.each(names)('%s is a claim like any other, and absent where it is absent', (name) => {
      const key = JSON.stringify(name)
      expect(value(`p := input[${key}]`, JSON.parse(`{${key}: 1}`))).toBe(1)
      expect(value(`p := input[${key}]`, {})).toBeUndefined()
      expect(value(`p := input.a[${key}]`, { a: [1, 2] })).toBeUndefined()
      expect(value(`p := input.a[${key}]`, { a: 'text' })).toBeUndefined()
      expect(value(`p := {"s": {${key}}}.s[${key}]`)).toBe(name)
      expect(value(`p := {${key}: 1, 2: 3}[${key}]`)).toBe(1)
      expect(value(`p[${key}] := 1`)).toEqual(JSON.parse(`{${key}: 1}`))
    })

    test('added to a prototype are not claims', () => {
      const policy = policyOf('p := input.isAdmin\nq := input.list.isAdmin\nr := data.x.isAdmin', { data: { x: {} } })
      const ask = (): unknown[] => ['p', 'q', 'r'].map((r) => policy.eval(`data.t.${r}`, { list: [] }).value)
      expect(ask()).toEqual([undefined, undefined, undefined])
      for (const prototype of [Object.prototype, Array.prototype] as unknown as Record<string, unknown>[]) {
        prototype['isAdmin'] = true
        try {
          expect(ask()).toEqual([undefined, undefined, undefined])
        } finally {
          delete prototype['isAdmin']
        }
      }
    })
  })

  test('F08 takes texts of a policy and a query as texts, whatever they hold', () => {
    const evil = '"];throw new Error(`x`);//\\u2028\n${1}'
    const key = JSON.stringify(evil)
    expect(value(`p := {${key}: input[${key}]}`, { [evil]: evil })).toEqual({ [evil]: evil })
  })

  describe.skipIf(missingVectors())('on the benchmark policies', () => {
    test.each([
      '01-claims-allowlist',
      '02-trust-vector',
      '03-resource-release',
      '04-event-log',
      '05-container-enforcer',
      '06-pod-policy',
    ])('%s gives what OPA gives', (name) => {
      const at = (file: string): string => readVectorText(`rego-bench/${name}/${file}`)
      const spec = JSON.parse(at('cases.json')) as {
        policy: string
        cases: { name: string; query: string; input: string; data: string; expected?: unknown; undefined?: boolean }[]
      }
      const policy = compile({ 'policy.rego': at(spec.policy) }, { backend })
      for (const c of spec.cases) {
        const { value: found } = policy.withData(fromJson(at(c.data))).eval(c.query, parseInput(at(c.input)))
        const plain = found === undefined ? undefined : fromJson(toJson(found))
        const wanted = c.undefined === true ? undefined : fromJson(JSON.stringify(c.expected))
        const same = plain === undefined || wanted === undefined ? plain === wanted : equal(plain, wanted)
        expect([c.name, c.query, same]).toEqual([c.name, c.query, true])
      }
    })
  })
})

test('falls back to closures where making code is forbidden', () => {
  const original = globalThis.Function
  const forbidden = function forbidden(): never {
    throw new EvalError('unsafe-eval')
  }
  globalThis.Function = forbidden as unknown as FunctionConstructor
  try {
    expect(compile({ 'p.rego': 'package t\np := input.x' }).eval('data.t.p', { x: 1 }).value).toBe(1)
    expect(() => compile({ 'p.rego': 'package t\np := 1' }, { backend: 'generated' }).eval('data.t.p')).toThrow(
      EvalError,
    )
  } finally {
    globalThis.Function = original
  }
})

test('names the unsafe variable that is the cause, not those that wait for it', () => {
  const body = 'first := users[0]\n\ttitle := upper(first.title)\n\ttitle == "CEO"'
  expect(thrown(() => compile({ 'p.rego': `package t\np if {\n\t${body}\n}` })).diagnostics).toEqual([
    expect.objectContaining({ message: 'var users is unsafe', location: expect.objectContaining({ row: 3, col: 2 }) }),
  ])
  const circle = thrown(() => compile({ 'p.rego': 'package t\np if { a = b + 1; b = a + 1 }' }))
  expect(circle.diagnostics.map((d) => d.message)).toEqual(['var b is unsafe', 'var a is unsafe'])
})

test('refuses input and data that are not JSON', () => {
  const policy = compile({ 'p.rego': 'package t\np := input' })
  for (const bad of [Number.NaN, () => 1, new Date(), { a: 2 ** 60 }, Symbol('x')]) {
    expect(thrown(() => policy.eval('data.t.p', bad)).code).toBe('input_malformed')
  }
  expect(thrown(() => compile({}, { data: [1] })).code).toBe('input_malformed')
  expect(thrown(() => parseInput('{"a": 1, "a": 2}')).code).toBe('input_malformed')
})
