import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compile, parseInput, toJson, type BackendChoice, type Policy } from '../index.ts'

const BOTH: readonly BackendChoice[] = ['generated', 'closures']

const keyText = fc.constantFrom('1', '1.0', '"1"', '2', 'null', 'true', '[1]', '[1.0]', '{"a":1}', '1e0', '123456789012345678901', '"a"') // prettier-ignore
const element = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(keyText, fc.nat(3)).map(([k, n]) => `{"k":{"k":${k}},"n":${n}}`) },
  fc.constantFrom('{}', '{"k":1}', '7', '"s"', '[]', '{"k":{"k":1,"x":2},"n":1}'),
)
const documents = fc
  .tuple(fc.array(element, { minLength: 16, maxLength: 40 }), fc.array(keyText, { minLength: 26, maxLength: 40 }))
  .map(([xs, keys]) => `{"xs":[${xs.join(',')}],"keys":[${keys.join(',')}],"wanted":${keys[0]}}`)

const JOINS = `package t

pairs := [[i, j] | some i, k in input.keys; some j, x in input.xs; x.k.k == k]
reversed := [x.n | some k in input.keys; some x in input.xs; k = x.k.k; x.n > 0]
grouped[i] contains x.n if { some i, k in input.keys; some x in input.xs; x.k.k == k }
elements := [k | some k in input.keys; some x in input.keys; x == k]
distinct := {x | some x in input.xs}
from_set := [x.n | some k in input.keys; some x in distinct; x.k.k == k]
by_name := {sprintf("%d", [i]): x | some i, x in input.xs}
from_object := [name | some k in input.keys; some name, x in by_name; x.k.k == k]
outside := [x.n | some k in input.keys; some x in input.xs; is_number(x.n); x.k.k == input.wanted; x.n != k]
missing := [x | some k in input.keys; some x in input.xs; x.k.k == input.nothing; x.n == k]
all_known if every k in input.keys { some x in input.xs; x.k.k == k }
found(k) := [j | some j, x in input.xs; x.k.k == k]
by_function := [found(k) | some k in input.keys]
elsewhere := [xs | some k in input.keys; xs := by_function with input.keys as [k] with input.xs as array.slice(input.xs, 0, 17)]
`

/** The same where nobody sees that it is an equation. */
const LOOKING_AT_ALL = `${JOINS.replaceAll(/([a-z.]+) ==? ([a-z.]+)/g, 'same($1, $2)')}
same(a, b) if a == b
`

describe.each(BOTH)('a scan for elements with a known value, with %s code', (backend) => {
  test('finds what looking at every element finds, in the same order', () => {
    const policy = compile({ 'p.rego': JOINS }, { backend })
    const slow = compile({ 'p.rego': LOOKING_AT_ALL }, { backend })
    const answer = (p: Policy, input: string): string => toJson(p.eval('data.t', parseInput(input)).value ?? null)
    fc.assert(
      fc.property(documents, (input) => {
        expect(answer(policy, input)).toBe(answer(slow, input))
      }),
      { numRuns: 100, seed: 4 },
    )
  })

  test('F07 takes steps in proportion to the elements, not to their square', () => {
    const text = `package t
groups := [ns | some k in {e.k | some e in input}; ns := [e.n | some e in input; e.k == k]]
joined := [a.n | some a in input; some b in input; a.n == b.next]
`
    const policy = compile({ 'p.rego': text }, { backend })
    const n = 4_000
    const input = Array.from({ length: n }, (_, i) => ({ k: `k${i % (n - 1)}`, n: i, next: i + 1 }))
    for (const query of ['data.t.groups', 'data.t.joined']) {
      const { value } = policy.eval(query, input, { maxSteps: 50 * n })
      expect(JSON.parse(toJson(value ?? null))).toHaveLength(n - 1)
    }
  })

  test('changes nothing about which error ends a decision', () => {
    const policy = compile({ 'p.rego': 'package t\np := x.v if { some x in input.xs; x.k == input.k }\n' }, { backend })
    const xs = Array.from({ length: 40 }, (_, v) => ({ k: v >> 1, v }))
    expect(() => policy.eval('data.t.p', { xs, k: 3 })).toThrow(
      expect.objectContaining({ code: 'eval_conflict_error' }),
    )
    expect(policy.eval('data.t.p', { xs, k: 99 }).value).toBeUndefined()
    expect(policy.eval('data.t.p', { xs }).value).toBeUndefined()
  })
})
