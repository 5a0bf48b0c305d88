import { generateKeyPairSync, sign } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../node/index.ts'
import type { Grant } from '../agreement/agreement.ts'
import { signEnvelope } from '../agreement/envelope.ts'
import { type FiledSet, openNamedSets } from '../agreement/reference/named-set.ts'
import { REFERENCE_TYPE, type ReferenceEntry } from '../agreement/reference/reference-set.ts'
import { utf8 } from '../base/encoding.ts'
import { formatOwnerKey } from '../base/keys.ts'
import { agreement, goodClaims } from '../testing/agreement-fixture.ts'
import { assertPolicies } from './assert-policies.ts'
import { checkGrant } from './check-grant.ts'
import { judgeGrant } from './judge-grant.ts'

const at = new Date('2026-06-01T00:00:00Z')
const claims = goodClaims(agreement())
const boot = claims.boot.registers['0'] ?? ''
const [vendor, other] = [newSigner(), newSigner()]

function newSigner() {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const key = formatOwnerKey(new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)))
  return { key, sign: (m: Uint8Array) => new Uint8Array(sign(null, m, privateKey)) }
}

type Kind = ReferenceEntry extends infer E
  ? E extends ReferenceEntry
    ? Omit<E, 'id' | 'notAfter' | 'provenance'>
    : never
  : never
function entry(id: string, of: Kind, notAfter = '2027-01-01T00:00:00Z'): ReferenceEntry {
  return { ...of, id, notAfter, provenance: { how: 'added', source: 'test', inputs: {} } } as ReferenceEntry
}
const value = (id: string, json: unknown, notAfter?: string) =>
  entry(id, { kind: 'value', value: json } as Kind, notAfter)

/** A set as a broker keeps it. */
function filed(name: string, entries: readonly ReferenceEntry[], by = vendor, ended: string[] = []): FiledSet {
  const set = { vouchsafe: 'reference/v1', name, version: 1, previous: null, issued: at.toISOString(), entries }
  const { payloadType, payload, signatures } = signEnvelope(REFERENCE_TYPE, utf8(JSON.stringify(set)), by.key, by.sign)
  return { set: name, version: { payloadType, payload, signatures: signatures.map((s) => ({ ...s })) }, ended }
}

/** The sets as an agreement would open them that names each of them by the vendor's key. */
const opened = (sets: readonly FiledSet[], names = sets.map(({ set }) => set)) =>
  openNamedSets(
    names.map((set) => ({ set, signer: vendor.key, atLeast: 1 })),
    sets,
    at,
    nodeCrypto,
  )

const grant = (rego: string): Grant => ({
  id: 'g',
  owner: 'clinic-a',
  resources: ['patients/key'],
  when: [],
  rego: { modules: { 'release.rego': `package release\n${rego}` }, allow: 'data.release.allow' },
})
const judge = async (rego: string, ...sets: readonly FiledSet[]) =>
  judgeGrant(grant(rego), claims, at, await opened(sets))
const asks = (name: string) => `allow if input.boot.registers["0"] in query_reference_value("${name}")`

describe('KB-11 a Rego policy asks for reference values as policies for Trustee do', () => {
  test('and is told what a set says that the agreement names; the finding says what and by whom', async () => {
    const { refusals, findings, until } = await judge(asks('firmware'), filed('boots', [value('firmware', [boot])]))
    expect(refusals).toEqual([])
    expect(until).toBe('2027-01-01T00:00:00Z')
    expect(findings).toContainEqual({
      grant: 'g',
      form: 'rego',
      rule: 'query_reference_value("firmware")',
      held: true,
      expected: 'a value that holds, in a set that the agreement names',
      actual: `["${boot}"] in boots, version 1, of ${vendor.key}, until 2027-01-01T00:00:00Z`,
    })
  })

  test.each<[string, Kind, string]>([
    ['a list of texts', { kind: 'value', value: [boot] }, `input.boot.registers["0"] in query_reference_value("v")`],
    ['a number', { kind: 'value', value: 1 }, `input.boot.resetCount >= query_reference_value("v")`],
    ['true or false', { kind: 'value', value: false }, `input.hostExcluded == query_reference_value("v")`],
    ['an object', { kind: 'value', value: { a: [boot] } }, `input.boot.registers["0"] in query_reference_value("v").a`],
    ['a component', { kind: 'component', digests: [boot] }, `input.boot.registers["0"] in query_reference_value("v")`],
    [
      'a TPM’s boot',
      { kind: 'tpm', registers: { '0': boot } },
      `input.boot.registers["0"] == query_reference_value("v")["0"]`,
    ],
  ])('of the value’s own type: %s', async (_what, of, condition) => {
    expect((await judge(`allow if ${condition}`, filed('boots', [entry('v', of)]))).refusals).toEqual([])
  })

  test('a CPU’s measurement is a list of one, a TD’s registers have names', async () => {
    const m = 'ab'.repeat(48)
    const sets = await opened([
      filed('boots', [entry('snp', { kind: 'snp', measurement: m }), entry('td', { kind: 'tdx', mrTd: m, rtmr1: m })]),
    ])
    const onChip = { ...claims, platform: { ...claims.platform, measurement: m } }
    for (const condition of [
      'input.platform.measurement in query_reference_value("snp")',
      'input.platform.measurement == query_reference_value("td").mrTd; not query_reference_value("td").rtmr2',
    ])
      expect(judgeGrant(grant(`allow if { ${condition} }`), onChip, at, sets).refusals).toEqual([])
  })

  test('in the shape of a default policy: names by platform, tolerated alternatives, a vector that decides', async () => {
    const shape = `
default executables := 33
default hardware := 97
executables := 3 if input.boot.registers["0"] in query_reference_value("tpm_pcr0")
hardware := 2 if { some least in query_reference_value("tpm_least_class"); input.class == least }
else := 32 if input.class in query_reference_value("tpm_tolerated_class")
claims := {"executables": executables, "hardware": hardware}
allow if { count(claims) == 2; every v in claims { v <= 32 } }`
    const set = (classes: readonly string[]) =>
      filed('rvps', [
        value('tpm_pcr0', [boot]),
        value('tpm_least_class', ['tpm']),
        value('tpm_tolerated_class', classes),
      ])
    expect((await judge(shape, set(['simulated']))).refusals).toEqual([])
    const { refusals, findings } = await judge(shape, set(['platform-vtpm']))
    expect(refusals.map((r) => r.code)).toEqual(['policy.condition'])
    expect(findings.filter((f) => f.rule.startsWith('query')).map((f) => f.rule)).toHaveLength(3)
  })

  test('of the values of one grant the first that ends bounds the lease', async () => {
    const two = `allow if { input.boot.registers["0"] in query_reference_value("a"); input.class in query_reference_value("b") }`
    const set = filed('boots', [value('a', [boot]), value('b', ['simulated'], '2026-07-01T00:00:00Z')])
    expect((await judge(two, set)).until).toBe('2026-07-01T00:00:00Z')
  })
})

describe('KB-11 F09 F10 what does not hold never answers', () => {
  test.each<[string, () => FiledSet]>([
    ['F02 has no such value', () => filed('boots', [])],
    ['has a value that is over', () => filed('boots', [value('firmware', [boot], at.toISOString())])],
    ['has a value that its owner ended', () => filed('boots', [value('firmware', [boot])], vendor, ['firmware'])],
  ])('a set that %s gives null, and the finding says so', async (_what, set) => {
    const { refusals, findings } = await judge(asks('firmware'), set())
    expect(refusals.map((r) => r.code)).toEqual(['policy.condition'])
    expect(findings).toContainEqual(
      expect.objectContaining({ held: false, actual: `no value that holds in boots, version 1, of ${vendor.key}` }),
    )
    expect(
      (await judge('allow if { input.simulated; query_reference_value("firmware") == null }', set())).refusals,
    ).toEqual([])
  })

  test.each<[string, () => Promise<Awaited<ReturnType<typeof opened>>>, string]>([
    ['the agreement names none', () => opened([]), 'the agreement names no set'],
    ['the set is not there', () => opened([], ['boots']), 'reference set boots: no such set is filed here'],
    ['another signed it', () => opened([filed('boots', [value('firmware', [boot])], other)]), 'not signed by'],
    [
      'another set is missing, whatever this one says',
      () => opened([filed('boots', [value('firmware', [boot])])], ['boots', 'more']),
      'reference set more: no such set is filed here',
    ],
    [
      'two sets say two things',
      () => opened([filed('boots', [value('firmware', [boot])]), filed('more', [value('firmware', ['00'])])]),
      'firmware is one thing in boots',
    ],
  ])('when %s there is no answer, and no release even by a rule that would do without', async (_what, sets, why) => {
    const rego = `${asks('firmware')}\nallow if { input.simulated; not denied }\ndenied if query_reference_value("firmware") == 1`
    const { refusals } = judgeGrant(grant(rego), claims, at, await sets())
    expect(refusals).toMatchObject([{ code: 'policy.error', actual: expect.stringContaining(why) }])
  })

  test('two sets that say the same are one answer, until the later end', async () => {
    const sets = [
      filed('boots', [value('v', { a: 1, b: [boot] }, '2026-07-01T00:00:00Z')]),
      filed('more', [value('v', { b: [boot], a: 1 })]),
    ]
    const { refusals, until } = await judge(
      'allow if input.boot.registers["0"] in query_reference_value("v").b',
      ...sets,
    )
    expect({ refusals, until }).toEqual({ refusals: [], until: '2027-01-01T00:00:00Z' })
  })

  test('a kept policy asks the sets of its own decision only', async () => {
    expect((await judge(asks('firmware'), filed('boots', [value('firmware', [boot])]))).refusals).toEqual([])
    expect((await judge(asks('firmware'), filed('boots', []))).refusals).toHaveLength(1)
    expect((await judge(asks('firmware'))).refusals).toMatchObject([{ code: 'policy.error' }])
  })
})

describe('KB-11 F18 F19 reference values are no evidence', () => {
  test('a condition on them alone is refused when it is filed', () => {
    expect(checkGrant(grant('allow if query_reference_value("open") == true'))).toMatchObject([
      { severity: 'refuse', check: 'no-evidence' },
    ])
  })

  test('a rule that they make true of a guest that shows nothing releases nothing', async () => {
    const rego = `${asks('firmware')}\nallow if query_reference_value("open") == true`
    expect(checkGrant(grant(rego))).toEqual([])
    const set = (open: boolean) => filed('boots', [value('firmware', [boot]), value('open', open)])
    expect((await judge(rego, set(false))).refusals).toEqual([])
    expect((await judge(rego, set(true))).refusals).toMatchObject([{ code: 'policy.no-evidence' }])
  })
})

describe('F05 what cannot be asked is refused when it is filed', () => {
  const found = (rego: string) => checkGrant(grant(rego)).map((f) => [f.severity, f.check])

  test.each([
    ['two operands', 'input.class in query_reference_value("a", "b")'],
    ['none', 'input.class in query_reference_value()'],
    ['a number for a name', 'input.class in query_reference_value(7)'],
    ['another name for the function', 'input.class in query_reference_values("a")'],
  ])('%s', (_what, condition) => {
    expect(found(`allow if ${condition}`)).toEqual([['refuse', 'compile']])
  })

  test('a name that no value can have', () => {
    expect(found('allow if input.class in query_reference_value("no such name")')).toEqual([['refuse', 'reference']])
  })

  test('a claim that is no text for a name ends the decision', async () => {
    const { refusals } = await judge(
      'allow if input.class in query_reference_value(input.launch.args)',
      filed('boots', []),
    )
    expect(refusals).toMatchObject([{ code: 'policy.error' }])
  })

  test.each(['not input.class in query_reference_value("denied")', 'input.class != query_reference_value("denied")'])(
    'a list of what must not be opens when its value ends: %s',
    (condition) => {
      expect(found(`allow if { input.simulated; ${condition} }`)).toContainEqual(['warn', 'negation'])
    },
  )

  test('in an agreement that names no set, there is nobody to ask', () => {
    const asking = { ...grant(asks('firmware')), owner: 'clinic-a' }
    const { environment } = agreement().body
    expect(() => assertPolicies(agreement({ grants: [asking] }))).toThrow(
      expect.objectContaining({ code: 'policy.invalid', message: expect.stringContaining('names no set') }),
    )
    const references = [{ set: 'boots', signer: vendor.key, atLeast: 1 }]
    expect(() =>
      assertPolicies(agreement({ grants: [asking], environment: { ...environment, references } })),
    ).not.toThrow()
  })
})
