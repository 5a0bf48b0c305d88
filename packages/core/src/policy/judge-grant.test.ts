import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Grant } from '../agreement/agreement.ts'
import { claimPaths } from '../claims/claim-paths.ts'
import type { Claims } from '../claims/claims.ts'
import { agreement, goodClaims } from '../testing/agreement-fixture.ts'
import { judgeGrant } from './judge-grant.ts'

const at = new Date('2026-02-02T00:00:00Z')
const claims = goodClaims(agreement())
const grant = (conditions: Partial<Grant>): Grant => ({
  id: 'g',
  owner: 'clinic-a',
  resources: ['patients/key'],
  when: [],
  ...conditions,
})
const rego = (body: string, allow = 'data.release.allow', data?: Grant['rego'] extends infer R ? R : never) =>
  grant({ rego: { modules: { 'release.rego': `package release\n${body}` }, allow, ...data } })
const cel = (...expressions: string[]) => grant({ cel: expressions })
const codes = (of: Grant, about: Claims = claims) => judgeGrant(of, about, at).refusals.map((r) => r.code)
const refusal = (of: Grant, about: Claims = claims) => judgeGrant(of, about, at).refusals[0]

describe('Rego', () => {
  const images = `allow if { input.launch.image in {"${claims.launch.image}"}; input.class == "simulated" }`

  test('a rule that is true of the claims lets the grant apply, and says which rules it tried', () => {
    const { refusals, findings } = judgeGrant(
      rego(`allow if trusted\ntrusted if input.class == "simulated"`),
      claims,
      at,
    )
    expect(refusals).toEqual([])
    expect(findings.map((f) => [f.rule, f.held])).toEqual([
      ['data.release.allow', true],
      ['data.release.trusted', true],
    ])
  })

  test('a refusal names the expression that failed, where it stands, and the values that it saw', () => {
    const other = { ...claims, launch: { ...claims.launch, image: `sha256:${'2b'.repeat(32)}` } }
    expect(refusal(rego(images), other)).toMatchObject({
      code: 'policy.condition',
      stage: 'policy',
      expected: expect.stringContaining('grant g: release.rego:2 input.launch.image in'),
      actual: expect.stringContaining('2b2b2b'),
    })
  })

  test('HD-07 HD-13 data lists and named rules: each rule’s result is told, and exactly what failed', () => {
    const named = rego(
      `allow if { image_digest; class_ok; output }
image_digest if input.launch.image in data.allowed.images
class_ok if input.class in data.allowed.classes
output if input.launch.output == "closed"`,
      'data.release.allow',
      { data: { allowed: { images: ['sha256:other'], classes: ['simulated'] } } } as never,
    )
    const { findings, refusals } = judgeGrant(named, claims, at)
    const tried = Object.fromEntries(findings.map((f) => [f.rule, f.held]))
    expect(tried).toEqual({ 'data.release.allow': false, 'data.release.image_digest': false })
    expect(refusals.map((r) => r.expected).join()).toContain('input.launch.image in data.allowed.images')
  })

  test('HD-08 several digests and classes may be allowed', () => {
    expect(codes(rego(`allow if input.launch.image in {"sha256:x", "${claims.launch.image}"}`))).toEqual([])
  })

  test.each<[string, Grant, string]>([
    ['is false', rego('default allow := false\nallow if input.class == "hardware"'), 'policy.condition'],
    ['is undefined', rego('allow if input.class == "hardware"'), 'policy.condition'],
    ['is truthy but not true', rego('allow := input.class'), 'policy.error'],
    ['is an object that says allow', rego('allow := {"allow": input.simulated}'), 'policy.error'],
    ['conflicts', rego('allow := true if input.simulated\nallow := false if input.simulated'), 'policy.error'],
    [
      'has a built-in fail',
      rego('allow if { input.simulated; not bad }\nbad if semver.compare(input.machine, "1.0.0") == 1'),
      'policy.error',
    ],
    [
      'F07 runs over its steps',
      rego(
        'allow if { input.simulated; some i in numbers.range(1, 5000); some j in numbers.range(1, 5000); i * j == -1 }',
      ),
      'policy.bound',
    ],
    ['F05 does not parse', rego('allow if {'), 'policy.invalid'],
    ['F05 is not there', rego('alow if input.simulated'), 'policy.invalid'],
    [
      'F06 would reach out',
      rego('allow if { input.simulated; http.send({"method": "get", "url": "http://x"}).status_code == 200 }'),
      'policy.invalid',
    ],
    ['F06 would be random', rego('allow if { input.simulated; rand.intn("x", 2) == 1 }'), 'policy.invalid'],
    [
      'F06 asks for signatures, which nobody lends it',
      rego('allow if { input.simulated; io.jwt.verify_es256(input.machine, "key") }'),
      'policy.invalid',
    ],
    ['names a claim that cannot exist', rego('allow if input.launch.imge == "x"'), 'policy.invalid'],
    [
      'F01 only excludes',
      rego('default allow := false\nallow if not bad\nbad if input.launch.debug'),
      'policy.no-evidence',
    ],
    ['F19 allows everything', rego('allow := true'), 'policy.no-evidence'],
  ])('a rule that %s does not release', (_what, of, code) => {
    expect(codes(of)).toContain(code)
  })

  test('time is the decision’s, so a replay sees the same', () => {
    const until = rego('allow if { input.simulated; time.now_ns() < time.parse_rfc3339_ns("2026-02-03T00:00:00Z") }')
    expect(judgeGrant(until, claims, at).refusals).toEqual([])
    expect(judgeGrant(until, claims, new Date('2026-02-04T00:00:00Z')).refusals).toHaveLength(1)
  })
})

describe('CEL', () => {
  test('expressions over nested claims, lists and text hold, and each term leaves a finding', () => {
    const of = cel(
      'assertion.class == "simulated" && "/app/run" in assertion.launch.args',
      'assertion.launch.image.startsWith("sha256:") && assertion.boot.resetCount + 1 == 2',
      'assertion.launch.args.all(a, a.size() < 100) && has(assertion.launch.env) && assertion.boot.registers["0"].matches("^a+$")',
    )
    const { findings, refusals } = judgeGrant(of, claims, at)
    expect(refusals).toEqual([])
    expect(findings).toHaveLength(7)
    expect(findings.every((f) => f.held && f.form === 'cel')).toBe(true)
  })

  test('a refusal names the term and the claims that it read', () => {
    expect(refusal(cel('assertion.simulated && assertion.launch.network == "host"'))).toMatchObject({
      code: 'policy.condition',
      expected: 'grant g: assertion.launch.network == "host" is true',
      actual: 'it is false; assertion.launch.network is "none"',
    })
  })

  test.each<[string, string, string]>([
    ['fails', 'assertion.simulated && 1 / 0 == 1', 'policy.error'],
    ['is no boolean', 'assertion.class', 'policy.error'],
    ['reads a variable that was not set', 'assertion.launch.env["X"] == "1"', 'policy.error'],
    [
      'F07 runs over its steps',
      `assertion.simulated && ${'[1,2,3,4,5,6,7,8,9,10].exists(x, '.repeat(7)}false${')'.repeat(7)}`,
      'policy.bound',
    ],
    [
      'F07 doubles a text without end',
      `assertion.simulated && ["x"]${'.map(a, a + a)'.repeat(60)}.size() == 1`,
      'policy.bound',
    ],
    ['F05 does not parse', 'assertion.class ==', 'policy.invalid'],
    ['F05 calls an unknown function', 'assertion.class.nope()', 'policy.invalid'],
    ['F05 reads an unknown variable', 'request.path == "x"', 'policy.invalid'],
    ['names a claim that cannot exist', 'assertion.launch.imge == "x"', 'policy.invalid'],
    ['F03 compares text with a number', 'assertion.boot.resetCount == "1"', 'policy.invalid'],
    ['F19 is always true', 'true', 'policy.no-evidence'],
    ['F01 only excludes', '!has(assertion.launch.debug) || true', 'policy.no-evidence'],
    [
      'F18 reads only names',
      'assertion.machine == "tpm:machine" && assertion.launch.imageReference == "overlap"',
      'policy.no-evidence',
    ],
  ])('an expression that %s does not release', (_what, text, code) => {
    expect(codes(cel(text))).toContain(code)
  })

  test('a catastrophic pattern stays linear (F07)', () => {
    const long = { ...claims, machine: 'a'.repeat(50_000) }
    const started = performance.now()
    expect(codes(cel('assertion.simulated && assertion.machine.matches("^(a+)+b$")'), long)).not.toEqual([])
    expect(performance.now() - started).toBeLessThan(2_000)
  })
})

test('all forms of a grant must hold', () => {
  const when = [{ op: 'at-least-class' as const, value: 'simulated' as const }]
  const yes = rego('allow if input.simulated').rego
  const no = rego('allow if not input.simulated == true').rego
  expect(codes(grant({ when, rego: yes, cel: ['assertion.simulated'] }))).toEqual([])
  expect(codes(grant({ when, rego: yes, cel: ['!assertion.simulated'] }))).not.toEqual([])
  expect(codes(grant({ when, rego: no, cel: ['assertion.simulated'] }))).not.toEqual([])
  expect(codes(grant({ when: [{ op: 'at-least-class', value: 'hardware' }], rego: yes }))).not.toEqual([])
})

test('F18 a machine’s name alone grants nothing, and narrows what stands on a fact', () => {
  const named = { op: 'equals' as const, claim: 'machine', value: 'tpm:machine' }
  expect(codes(grant({ when: [named] }))).toEqual(['policy.no-evidence'])
  expect(codes(grant({ when: [named, { op: 'at-least-class', value: 'simulated' }] }))).toEqual([])
})

test('F19 “release to any guest” has to be said in words, and means simulated guests only', () => {
  const open = rego('allow if input.machine != ""').rego
  const said = grant({ rego: open, dangerouslyReleaseToAnySimulatedGuest: true })
  expect(codes(grant({ rego: open }))).toEqual(['policy.no-evidence'])
  expect(codes(said)).toEqual([])
  expect(codes(said, { ...claims, class: 'tpm', simulated: false })).toEqual(['policy.no-evidence'])
})

test('F04 policies of two grants with the same package and file names know nothing of each other', () => {
  const strict = rego('allow if input.class == "hardware"')
  const open = rego('allow if input.class == "simulated"')
  expect(codes(strict)).not.toEqual([])
  expect(codes(open)).toEqual([])
  expect(codes(strict)).not.toEqual([])
})

/** A claim of the fixture, taken away or replaced, wherever it is. */
function without(path: string, replacement?: unknown): Claims {
  const copy = structuredClone(claims) as unknown as Record<string, unknown>
  const steps = path.split('.')
  const last = steps.pop()!
  const at = steps.reduce<Record<string, unknown>>((o, s) => o[s] as Record<string, unknown>, copy)
  if (replacement === undefined) delete at[last]
  else at[last] = replacement
  return copy as unknown as Claims
}

const PATHS = [
  ...claimPaths().map(([path]) => path),
  ...Object.keys(claims.boot.registers).map((n) => `boot.registers.${n}`),
]

test('F01 gate 3: taking any claim away never turns a denial into a release, in grants, Rego and CEL', () => {
  const polarity = fc.constantFrom('positive', 'negative')
  const leaves = claimPaths().filter(
    ([, claim]) => claim.kind === 'text' || claim.kind === 'flag' || claim.kind === 'integer',
  )
  const leaf = fc.constantFrom(...leaves.map(([path, claim]) => ({ path, kind: claim.kind })))
  const asked = fc.array(fc.record({ leaf, polarity, same: fc.boolean() }), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(asked, fc.constantFrom('plain', 'rego', 'cel'), fc.constantFrom(...PATHS), (terms, form, gone) => {
      const value = (path: string, same: boolean) => {
        const actual = path.split('.').reduce<unknown>((o, s) => (o as Record<string, unknown>)[s], claims)
        if (same) return actual
        return typeof actual === 'string' ? `${actual}x` : typeof actual === 'number' ? actual + 1 : !actual
      }
      const texts = terms.map((t) => ({ ...t, text: JSON.stringify(value(t.leaf.path, t.same)) }))
      const of =
        form === 'plain'
          ? grant({
              when: terms.map((t) => ({
                op: 'equals',
                claim: t.leaf.path,
                value: value(t.leaf.path, t.same) as string,
              })),
            })
          : form === 'cel'
            ? cel(
                texts
                  .map((t) =>
                    t.polarity === 'positive'
                      ? `assertion.${t.leaf.path} == ${t.text}`
                      : `!(assertion.${t.leaf.path} != ${t.text})`,
                  )
                  .join(' && '),
              )
            : rego(
                `allow if { ${texts.map((t, i) => (t.polarity === 'positive' ? `input.${t.leaf.path} == ${t.text}` : `not deny_${i}`)).join('; ')} }
${texts.map((t, i) => `deny_${i} if input.${t.leaf.path} != ${t.text}`).join('\n')}`,
              )
      const before = judgeGrant(of, claims, at).refusals.length > 0
      const after = judgeGrant(of, without(gone), at).refusals
      expect(after.map((r) => r.code)).toEqual(['policy.claims'])
      if (before) expect(after.length).toBeGreaterThan(0)
    }),
    { numRuns: 300, seed: 4 },
  )
})

test('F01 F03 claims that are missing, of another type, or unknown are not asked about', () => {
  const open = rego('allow if input.simulated')
  for (const path of PATHS) expect(codes(open, without(path))).toEqual(['policy.claims'])
  expect(codes(open, without('boot.resetCount', '1'))).toEqual(['policy.claims'])
  expect(codes(open, without('class', 'hardwre'))).toEqual(['policy.claims'])
  expect(codes(open, without('launch.args', ['a', 1]))).toEqual(['policy.claims'])
  expect(codes(open, without('extra', 1))).toEqual(['policy.claims'])
  expect(codes(open)).toEqual([])
})
