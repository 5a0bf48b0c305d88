import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compile, formatExplanation, formatValue, withChanges, type Explanation, type Fact } from '../index.ts'

function explain(text: string, input: unknown, data: unknown = {}, query = 'data.t.allow'): Explanation {
  const { explanation } = compile({ 'policy.rego': text }, { data }).eval(query, input, { explain: true })
  if (explanation === undefined) throw new Error('no explanation')
  return explanation
}

const ACCESS = `package t

default allow := false

allow if {
	input.user.role == "admin"
	input.tcb.svn >= 7
	not revoked
	some d in input.digests
	d in data.good
}

allow if {
	input.override
	regex.match("^[a-z]{3}-[0-9]+$", input.ticket)
}

revoked if input.id in data.revoked
`
const DATA = { good: ['aa', 'bb'], revoked: ['x1'] }
const facts = (set: readonly Fact[] | undefined): string[] =>
  (set ?? []).map((f) => `${f.text} = ${f.to === undefined ? 'nothing' : formatValue(f.to)}`)

describe('an explanation', () => {
  test('names the first expression that failed in each body, and what its references gave', () => {
    const e = explain(ACCESS, { user: { role: 'admin' }, tcb: { svn: 5 }, digests: ['aa'], id: 'a' }, DATA)
    const [allow] = e.rules
    expect(allow?.path).toBe('data.t.allow')
    expect(allow?.bodies.map((b) => [b.failed?.text, b.failed?.location.row, b.failed?.reads])).toEqual([
      ['input.tcb.svn >= 7', 7, [{ text: 'input.tcb.svn', value: 5 }]],
      ['input.override', 14, [{ text: 'input.override', value: undefined }]],
    ])
  })

  test('names the one fact that would change the decision', () => {
    const e = explain(ACCESS, { user: { role: 'admin' }, tcb: { svn: 5 }, digests: ['aa'], id: 'a' }, DATA)
    expect(e.decision).toBe(false)
    expect(e.complete).toBe(true)
    expect(e.flips.map(facts)).toEqual([['input.tcb.svn = 7']])
    expect(e.flip?.[0]?.from).toBe(5)
  })

  test('names several facts together where one alone changes nothing', () => {
    const e = explain(ACCESS, { user: { role: 'guest' }, tcb: { svn: 9 }, digests: ['zz'], id: 'x1' }, DATA)
    expect(facts(e.flip)).toEqual(['input.override = true', 'input.ticket = "aaa-0"'])
  })

  test('names every single fact on which a yes depends', () => {
    const e = explain(ACCESS, { user: { role: 'admin' }, tcb: { svn: 8 }, digests: ['bb'], id: 'a' }, DATA)
    expect(e.decision).toBe(true)
    expect(e.flips.map(facts)).toEqual(
      expect.arrayContaining([
        ['input.user.role = "other"'],
        ['input.tcb.svn = 6'],
        ['input.id = "x1"'],
        ['input.digests[0] = "other"'],
      ]),
    )
  })

  test('tells which element of `every` failed', () => {
    const text = 'package t\nallow if every x in input.list { x > 3 }\n'
    const e = explain(text, { list: [5, 2, 7] })
    expect(e.rules[0]?.bodies[0]?.failed?.inside).toMatchObject({ text: 'x > 3', variables: { x: 2 } })
    expect(e.flips.map(facts)).toContainEqual(['input.list[1] = 4'])
  })

  test('follows facts through functions and helper rules', () => {
    const text = `package t
allow if at_least(level, 3)
level := input.claims.level
at_least(x, y) if x >= y
`
    expect(facts(explain(text, { claims: { level: 1 } }).flip)).toEqual(['input.claims.level = 3'])
  })

  test('marks answers that came from outside', () => {
    const policy = compile(
      { 'p.rego': 'package t\nallow if reference("svn") == input.svn\n' },
      { functions: { reference: { args: 1, call: () => 7 } } },
    )
    const { explanation } = policy.eval('data.t.allow', { svn: 6 }, { explain: true })
    expect(explanation?.outside).toEqual([{ name: 'reference', args: ['svn'], value: 7 }])
    expect(facts(explanation?.flip)).toEqual(['input.svn = 7'])
  })

  test('says so where no change of the input helps', () => {
    const e = explain('package t\nallow if data.never\n', {})
    expect(e.flip).toBeUndefined()
    expect(formatExplanation(e)).toContain('no change of the input was found')
  })

  test('gives the decision of a set of reasons that the caller names', () => {
    const text = 'package t\ndeny contains "old" if input.svn < 3\ndeny contains "debug" if input.debug\n'
    const policy = compile({ 'p.rego': text })
    const decide = (v: unknown): boolean => formatValue(v as never) === 'set()'
    const { explanation } = policy.eval('data.t.deny', { svn: 2, debug: true }, { explain: { decide } })
    expect(facts(explanation?.flip)).toEqual(['input.debug = false', 'input.svn = 3'])
  })
})

// Policies of random conditions over a few facts, and inputs that may or may not have them.
const STRINGS = ['red', 'green', 'blue']
const NUMBERS = [1, 2, 3, 4]
const strings = fc.constantFrom(...STRINGS)
const numbers = fc.constantFrom(...NUMBERS)
const condition = fc.oneof(
  fc.tuple(fc.constantFrom('s', 't'), strings).map(([f, c]) => `input.${f} == "${c}"`),
  strings.map((c) => `input.s != "${c}"`),
  fc.tuple(fc.constantFrom('>=', '<', '>', '<=', '==', '!='), numbers).map(([op, n]) => `input.n ${op} ${n}`),
  fc.constantFrom('input.b', 'not input.b', 'not input.s == "red"', 'not input.m.x'),
  fc.tuple(strings, strings).map(([a, c]) => `input.s in ["${a}", "${c}"]`),
  strings.map((c) => `"${c}" in input.l`),
  strings.map((c) => `some e in input.l\n\te == "${c}"`),
  strings.map((c) => `every e in input.l { e != "${c}" }`),
  strings.map((c) => `startswith(input.s, "${c.slice(0, 2)}")`),
  numbers.map((n) => `input.m.x == ${n}`),
  fc.constantFrom('helper', 'not helper', 'count(input.l) == 2', 'above(input.n, 2)'),
)
const policyText = fc
  .tuple(fc.array(fc.array(condition, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }), condition)
  .map(([bodies, helper]) => {
    const rules = bodies.map((b) => `allow if {\n\t${b.map((c, i) => renamed(c, i)).join('\n\t')}\n}`)
    const inner = helper.includes('helper') ? 'input.b' : helper
    return `package t\n\ndefault allow := false\n\n${rules.join('\n\n')}\n\nhelper if {\n\t${inner}\n}\n\nabove(x, y) if x > y\n`
  })
/** Two `some e` in one body would be one variable. */
const renamed = (c: string, i: number): string => (c.startsWith('some') ? c.replaceAll(/\be\b/g, `e${i}`) : c)
const inputs = fc.record(
  {
    s: strings,
    t: strings,
    n: numbers,
    b: fc.boolean(),
    l: fc.array(strings, { maxLength: 2 }),
    m: fc.record({ x: numbers }, { requiredKeys: [] }),
  },
  { requiredKeys: [] },
)
/** Changes of one fact, as an outsider would try them. */
const change = fc.oneof(
  fc.record({ path: fc.constantFrom(['s'], ['t']), to: fc.option(strings, { nil: undefined }) }),
  fc.record({ path: fc.constantFrom(['n'], ['m', 'x']), to: fc.option(numbers, { nil: undefined }) }),
  fc.record({ path: fc.constant(['b']), to: fc.option(fc.boolean(), { nil: undefined }) }),
  fc.record({ path: fc.constant(['l']), to: fc.option(fc.array(strings, { maxLength: 2 }), { nil: undefined }) }),
)

describe('F13 the facts that an explanation names', () => {
  test('change the decision exactly: all of them do, fewer do not, others do not', () => {
    let explained = 0
    fc.assert(
      fc.property(policyText, inputs, fc.array(change, { minLength: 12, maxLength: 12 }), (text, input, others) => {
        const policy = compile({ 'policy.rego': text }, { backend: 'closures' })
        const decide = (i: unknown): boolean => policy.eval('data.t.allow', i).value === true
        const before = decide(input)
        const { explanation } = policy.eval('data.t.allow', input, { explain: { maxTries: 400 } })
        if (explanation === undefined) throw new Error('no explanation')
        expect(explanation.decision).toBe(before)
        const { flips, complete } = explanation
        for (const set of flips) {
          explained++
          const apply = (some: readonly Fact[]): unknown => withChanges(input as never, some)
          expect([text, facts(set), decide(apply(set))]).toEqual([text, facts(set), !before])
          for (const left of set) {
            const fewer = set.filter((f) => f !== left)
            if (fewer.length > 0) expect(decide(apply(fewer))).toBe(before)
          }
        }
        const size = flips[0]?.length ?? Infinity
        for (const other of others) {
          const isNamed = flips.some((set) => set.length === 1 && set.some((f) => f.path[0] === other.path[0]))
          if (isNamed || (size === Infinity && !complete)) continue
          const after = decide(withChanges(input as never, [other]))
          expect([text, input, other, after]).toEqual([text, input, other, before])
        }
      }),
      { numRuns: 1000, seed: 11 },
    )
    expect(explained).toBeGreaterThan(1000)
  }, 60_000)
})
