import { describe, expect, test } from 'vitest'
import type { Grant } from '../agreement/agreement.ts'
import { checkGrant } from './check-grant.ts'

const grant = (conditions: Partial<Grant>): Grant => ({
  id: 'g',
  owner: 'clinic-a',
  resources: ['patients/key'],
  when: [],
  ...conditions,
})
const rego = (body: string, data?: NonNullable<Grant['rego']>['data']) =>
  grant({
    rego: {
      modules: { 'release.rego': `package release\n${body}` },
      allow: 'data.release.allow',
      ...(data === undefined ? {} : { data }),
    },
  })
const cel = (text: string) => grant({ cel: [text] })
const plain = (claim: string, value: string | number | boolean) =>
  grant({
    when: [
      { op: 'equals', claim, value },
      { op: 'at-least-class', value: 'simulated' },
    ],
  })
const found = (of: Grant) => checkGrant(of).map((f) => `${f.severity} ${f.check}`)

test('good conditions in each form leave nothing to say', () => {
  expect(checkGrant(plain('launch.network', 'none'))).toEqual([])
  expect(checkGrant(cel('assertion.launch.args.exists(a, a == "x") && assertion.launch.env["A"] == "1"'))).toEqual([])
  expect(
    checkGrant(
      rego(`import input.launch as l
allow if { l.network == "none"; some a in l.args; startswith(a, "/"); every r in input.boot.registers { r != "" }; ok(input.boot) }
ok(boot) if boot.resetCount < 3`),
    ),
  ).toEqual([])
})

describe('a claim that cannot exist is refused with a suggestion', () => {
  test.each<[string, Grant]>([
    ['in a plain condition', plain('launch.imge', 'x')],
    ['in CEL', cel('assertion.simulated && assertion.launch.imge == "x"')],
    ['in CEL, by index', cel('assertion.simulated && assertion["launch"]["imge"] == "x"')],
    ['in CEL, asked for with has', cel('assertion.simulated && has(assertion.launch.imge)')],
    ['in Rego', rego('allow if { input.simulated; input.launch.imge == "x" }')],
    ['in Rego, through an import', rego('import input.launch as l\nallow if { input.simulated; l.imge == "x" }')],
    ['in Rego, through a variable', rego('allow if { input.simulated; x := input.launch; x.imge == "x" }')],
    ['in Rego, in a helper', rego('allow if { input.simulated; helper }\nhelper if input.launch.imge == "x"')],
    ['in Rego, in an else', rego('allow if input.simulated\nelse if input.launch.imge == "x"')],
    ['in Rego, in a comprehension', rego('allow if { input.simulated; count([x | x := input.launch.imge]) == 0 }')],
    ['in Rego, by object.get', rego('allow if { input.simulated; object.get(input.launch, "imge", "x") == "x" }')],
    ['in Rego, under a negation', rego('allow if { input.simulated; not input.launch.imge }')],
  ])('%s', (_where, of) => {
    const [finding] = checkGrant(of)
    expect(finding).toMatchObject({
      severity: 'refuse',
      check: 'unknown-claim',
      message: 'there is no claim launch.imge',
      hint: 'did you mean launch.image?',
    })
  })

  test('its place is told', () => {
    const [finding] = checkGrant(rego('allow if {\n  input.simulated\n  input.launch.imge == "x"\n}'))
    expect(finding?.place).toMatchObject({ file: 'release.rego', row: 4 })
  })

  test('rules that the entry does not need may speak of other documents', () => {
    expect(found(rego('allow if input.simulated\nother if input.something == 1'))).toEqual([])
  })
})

describe('F03 a comparison of two types is refused', () => {
  test.each<[string, Grant]>([
    ['text with number, plain', plain('boot.resetCount', '1')],
    ['flag with text, plain', plain('simulated', 'true')],
    ['number with text by order, Rego', rego('allow if { input.simulated; input.boot.resetCount >= "3" }')],
    ['number with text, Rego', rego('allow if { input.simulated; input.boot.resetCount == "3" }')],
    ['text in numbers, Rego', rego('allow if { input.simulated; input.machine in {1, 2} }')],
    ['number in a list of texts, CEL', cel('assertion.simulated && 1 in assertion.launch.args')],
    ['number with text, CEL', cel('assertion.simulated && assertion.boot.resetCount < "3"')],
    ['something in a text, Rego', rego('allow if { input.simulated; "x" in input.machine }')],
  ])('%s', (_what, of) => {
    expect(found(of)).toContain('refuse type')
  })

  test('a value that a claim never has is refused with a suggestion', () => {
    for (const of of [
      plain('class', 'hardwre'),
      cel('assertion.class == "hardwre"'),
      rego('allow if input.class in {"hardwre"}'),
    ])
      expect(checkGrant(of)[0]).toMatchObject({ check: 'unknown-value', hint: 'did you mean "hardware"?' })
  })
})

describe('traps', () => {
  test('a negated call of something that may be missing is silent: told, with the way out', () => {
    const deny = 'allow if { input.simulated; not deny }\ndeny if not input.launch.env.MODE in {"strict"}'
    expect(checkGrant(rego(deny))).toMatchObject([
      { severity: 'warn', check: 'negation', place: { row: 3 }, hint: expect.stringContaining('future.keywords.not') },
    ])
    expect(found(rego('allow if { input.simulated; not startswith(input.machine, "x") }'))).toEqual(['warn negation'])
    expect(found(rego(`import future.keywords.not\n${deny}`))).toEqual([])
    expect(found(rego('allow if { input.simulated; not input.launch.env.MODE == "open" }'))).toEqual([])
  })

  test('base data where a rule stands is refused', () => {
    expect(found(rego('allow if input.simulated', { release: { allow: true } }))).toContain('refuse shadowed')
    expect(found(rego('allow if input.class in data.classes', { classes: ['simulated'] }))).toEqual([])
  })
})

describe('F18 F19 a release without evidence is refused', () => {
  test.each<[string, Grant, string]>([
    ['Rego that is always true', rego('allow := true'), 'no-evidence'],
    ['Rego that only excludes', rego('allow if not input.launch.debug'), 'no-evidence'],
    [
      'Rego over evidence of its own',
      rego('allow if ok with input as {"class": "hardware"}\nok if input.class == "hardware"'),
      'no-evidence',
    ],
    ['Rego that reads names', rego('allow if input.launch.imageReference == "overlap"'), 'names-only'],
    [
      'Rego whose reading of evidence has no part in it',
      rego('allow if input.machine == "m"\nother if input.class == "tpm"'),
      'names-only',
    ],
    ['CEL that is always true', cel('1 == 1'), 'no-evidence'],
    ['CEL that is true whatever it reads', cel('assertion.simulated == true || true'), 'no-evidence'],
    ['a plain condition on a name', grant({ when: [{ op: 'equals', claim: 'anchor', value: 'acme' }] }), 'names-only'],
  ])('%s', (_what, of, check) => {
    expect(checkGrant(of).filter((f) => f.severity === 'refuse')).toMatchObject([{ check }])
  })

  test('unless it says so in words', () => {
    const said = { dangerouslyReleaseToAnySimulatedGuest: true } as const
    expect(found({ ...cel('1 == 1'), ...said })).toEqual(['warn negation'])
    expect(found({ ...rego('allow := true'), ...said })).toEqual(['warn negation'])
  })
})

describe('F05 what does not compile is refused with its place', () => {
  test.each<[string, Grant, string]>([
    ['a typo', rego('allow if {\n  input.simulated ==\n}'), 'compile'],
    ['an unsafe variable', rego('allow if x == y'), 'compile'],
    ['an unknown function', rego('allow if strtswith(input.machine, "x")'), 'compile'],
    ['recursion', rego('allow if allow2\nallow2 if allow'), 'compile'],
    ['a missing entry', rego('alow if input.simulated'), 'entry'],
    ['a function as entry', rego('allow(x) if x == input.class'), 'entry'],
    ['CEL that does not parse', cel('assertion.class =='), 'compile'],
  ])('%s', (_what, of, check) => {
    const findings = checkGrant(of)
    expect(findings.length).toBeGreaterThan(0)
    for (const finding of findings) expect(finding).toMatchObject({ severity: 'refuse', check })
  })
})
