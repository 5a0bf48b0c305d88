import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compile, parseInput, toJson, type BackendChoice, type Input, type Policy } from '../index.ts'
import { planProgram } from './planner.ts'

const BOTH: readonly BackendChoice[] = ['generated', 'closures']

type Is = (a: string, b: string) => string
const equation: Is = (a, b) => `${a} == ${b}`
/** The same where nobody sees that it is an equation. */
const hidden: Is = (a, b) => `same(${a}, ${b})`

const constant = fc.constantFrom('1', '1.0', '2', '"1"', '"GET"', '"POST"', 'null', 'true', '[1]', '{"a": 1}')
/** Conditions, by how an equation is written. */
const clause = fc.oneof(
  { weight: 6, arbitrary: constant.map((c) => (is: Is) => is('input.a.b', c)) },
  constant.map((c) => (is: Is) => `${is(c, 'input.a.b')}; input.z`),
  constant.map((c) => (is: Is) => `${is('input.other', c)}; ${is('input.a.b', c)}`),
  fc.constant(() => 'input.z'),
  fc.constant(() => 'not input.z'),
)
const value = fc.constantFrom('"x"', '"x"', '"x"', '"y"')
const rules = fc.array(fc.tuple(clause, value), { minLength: 18, maxLength: 40 })
function programOf(clauses: readonly (readonly [(is: Is) => string, string])[], is: Is): string {
  const rule = (head: (v: string, i: number) => string): string =>
    clauses.map(([body, v], i) => `${head(v, i)} if { ${body(is)} }`).join('\n')
  const asked = clauses.map(([body, v]) => `f(_, a) := ${v} if { ${body(is).replaceAll('input.a.b', 'a.b')} }`)
  return `package t
same(a, b) if a == b
${rule(() => 'allow')}
${rule((v) => `complete := ${v}`)}
${rule((_, i) => `set contains ${i}`)}
${rule((v, i) => `partial[${v}] contains ${i}`)}
${asked.join('\n')}
called := f(1, input.a)
default otherwise := "none"
${rule((v) => `otherwise := ${v}`)}
otherwise := "e" if { input.a.b == "GET"; false } else := "f" if input.other == 2
`
}
const document = fc
  .record({ b: fc.option(constant), other: fc.option(constant), z: fc.option(fc.constant('true')) })
  .map(({ b, other, z }) => {
    const members = [`"a": {${b === null ? '' : `"b": ${b}`}}`]
    if (other !== null) members.push(`"other": ${other}`)
    if (z !== null) members.push(`"z": ${z}`)
    return `{${members.join(', ')}}`
  })

describe.each(BOTH)('a rule of many clauses, with %s code', (backend) => {
  test('has the value that trying every clause gives, or the same conflict', () => {
    const ask = (policy: Policy, rule: string, input: Input): string => {
      try {
        return toJson(policy.eval(`data.t.${rule}`, input).value ?? 'undefined')
      } catch (e) {
        return (e as { code: string }).code
      }
    }
    fc.assert(
      fc.property(rules, fc.array(document, { minLength: 5, maxLength: 5 }), (clauses, inputs) => {
        const policy = compile({ 'p.rego': programOf(clauses, equation) }, { backend })
        const slow = compile({ 'p.rego': programOf(clauses, hidden) }, { backend })
        for (const input of inputs.map((i) => parseInput(i))) {
          for (const rule of ['allow', 'complete', 'set', 'partial', 'called', 'otherwise']) {
            expect([rule, ask(policy, rule, input)]).toEqual([rule, ask(slow, rule, input)])
          }
        }
      }),
      { numRuns: 25, seed: 8 },
    )
  })
})

test('of a thousand clauses only those are tried that ask for what is there', () => {
  const clauses = Array.from({ length: 1000 }, (_, i) => `allow if { input.user.name == "u${i}"; input.level > ${i} }`)
  const { program: checked } = compile({ 'p.rego': `package t\n${clauses.join('\n')}\nallow if input.root` })
  const index = planProgram(checked).nodes.find((n) => n.path.join('.') === 't.allow')?.index
  expect(index?.select({ user: { name: 'u7' } })).toEqual([7, 1000])
  expect(index?.select({ user: { name: 'nobody' } })).toEqual([1000])
  expect(index?.select(undefined)).toEqual([1000])
})
