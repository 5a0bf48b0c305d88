import { expect, test } from 'vitest'
import type { Agreement } from '../agreement/agreement.ts'
import type { Approval, Withdrawal } from '../agreement/statement.ts'
import { appraise } from '../appraisal/appraise.ts'
import type { Claims } from '../claims/claims.ts'
import {
  agreement,
  agreementBody,
  approval,
  clinicA,
  clinicB,
  goodClaims,
  newOwner,
} from '../testing/agreement-fixture.ts'
import { decide } from './decide.ts'
import type { Standing } from './standing.ts'

const at = new Date('2026-02-02T00:00:00Z')
const agreed = agreement()
const approved = (by = [clinicA, clinicB], of: Agreement = agreed) =>
  by.map((o) => approval(of, o).statement as Approval)
const standing = (changes: Partial<Standing> = {}): Standing => ({
  owner: 'clinic-a',
  ownerKeys: [clinicA.key],
  approvals: approved(),
  withdrawals: [],
  supersededBy: null,
  ...changes,
})
const resources = [{ path: 'patients/key', version: 1 }]
const reference = { agreement: agreed, counters: { resetCount: 1, restartCount: 0 }, distrust: [] }
const decideOn = (
  claims: Claims,
  how: Standing,
  options: { of?: Agreement; at?: Date; path?: string; version?: number | null } = {},
) => {
  const of = options.of ?? agreed
  const result = { claims, appraisal: appraise(claims, { ...reference, agreement: of }) }
  const wanted =
    options.path === undefined && options.version === undefined
      ? resources
      : [{ path: options.path ?? 'patients/key', version: options.version === undefined ? 1 : options.version }]
  return decide(result, of, how, { resources: wanted, lease: null }, options.at ?? at)
}
const codes = (d: ReturnType<typeof decide>) => (d.kind === 'release' ? [] : d.reasons.map((r) => r.code))

test('releases when everything fits, and names the grant', () => {
  expect(decideOn(goodClaims(agreed), standing())).toMatchObject({ kind: 'release', grants: ['a-key'] })
})

test('waits for who is missing, and says so in words', () => {
  const decision = decideOn(goodClaims(agreed), standing({ approvals: approved([clinicA]) }))
  expect(decision).toMatchObject({ kind: 'wait', missingApprovals: ['clinic-b'] })
  expect(decision.kind === 'wait' && decision.reasons[0].actual).toBe(
    '1 of 2 owners has approved; waiting for clinic-b',
  )
})

test.each<[string, Partial<Standing>, string]>([
  [
    'G06 an owner withdrew',
    {
      withdrawals: [
        {
          says: 'withdraw',
          agreement: agreed.digest,
          owner: 'clinic-b',
          key: clinicB.key,
          reason: 'no',
          issued: '2026-02-01T12:00:00Z',
        } as Withdrawal,
      ],
    },
    'agreement.withdrawn',
  ],
  ['a newer version is in force', { supersededBy: `sha256:${'9'.repeat(64)}` }, 'agreement.superseded'],
  ['the registry knows another owner (decision 1)', { owner: 'clinic-z' }, 'agreement.owner'],
  ['G05 the registry knows other keys for the owner', { ownerKeys: [newOwner('x').key] }, 'agreement.owner'],
])('denies when %s', (_what, changes, code) => {
  const decision = decideOn(goodClaims(agreed), standing(changes))
  expect(decision.kind).toBe('deny')
  expect(codes(decision)).toContain(code)
})

test('F10 an older reference set that everybody signed releases nothing once a newer one is in force, or its time is over', () => {
  const older = agreement({ environment: { ...agreementBody().environment, registers: { '0': ['aa'.repeat(32)] } } })
  const vulnerable = goodClaims(older)
  const signed = standing({ approvals: approved(undefined, older) })
  expect(decideOn(vulnerable, signed, { of: older }).kind).toBe('release')
  const newer = { ...signed, supersededBy: agreed.digest }
  expect(codes(decideOn(vulnerable, newer, { of: older }))).toEqual(['agreement.superseded'])
  const later = new Date('2027-06-01T00:00:00Z')
  expect(codes(decideOn(vulnerable, signed, { of: older, at: later }))).toContain('agreement.expired')
})

test.each<[string, readonly Approval[]]>([
  ['G02 is for another agreement', approved([clinicA, clinicB], agreement({ purpose: 'another' }))],
  ['has expired', approved().map((a) => ({ ...a, expires: '2026-02-01T00:00:01Z' }))],
  ['is not yet in force', approved().map((a) => ({ ...a, issued: '2026-02-20T00:00:00Z' }))],
  ['G04 is the same owner’s twice', [...approved([clinicA]), ...approved([clinicA])]],
  [
    'is by a key that the agreement does not give that owner',
    approved().map((a) => (a.owner === 'clinic-b' ? { ...a, key: newOwner('b').key } : a)),
  ],
])('waits when an approval %s', (_what, approvals) => {
  expect(decideOn(goodClaims(agreed), standing({ approvals })).kind).toBe('wait')
})

test('the resource’s own owner must approve, whatever the quorum (decision 1)', () => {
  const of = agreement({ quorum: 1 })
  const others = approved([clinicB], of)
  expect(decideOn(goodClaims(of), standing({ approvals: others }), { of })).toMatchObject({
    kind: 'wait',
    missingApprovals: ['clinic-a'],
  })
  expect(decideOn(goodClaims(of), standing({ approvals: approved([clinicA], of) }), { of }).kind).toBe('release')
})

test('denies before and after the agreement’s time', () => {
  for (const time of ['2025-12-31T23:59:59Z', '2027-01-01T00:00:00Z'])
    expect(codes(decideOn(goodClaims(agreed), standing(), { at: new Date(time) }))).toContain('agreement.expired')
})

test('no grant means no release; so does another owner’s grant, and a resource that is not there', () => {
  const none = agreement({ grants: [] })
  expect(codes(decideOn(goodClaims(none), standing({ approvals: approved(undefined, none) }), { of: none }))).toEqual([
    'policy.no-condition',
  ])
  const foreign = agreement({ grants: agreementBody().grants.map((g) => ({ ...g, owner: 'clinic-b' })) })
  expect(
    codes(decideOn(goodClaims(foreign), standing({ approvals: approved(undefined, foreign) }), { of: foreign })),
  ).toEqual(['policy.no-condition'])
  expect(codes(decideOn(goodClaims(agreed), standing(), { path: 'patients/other' }))).toEqual(['policy.no-condition'])
  expect(codes(decideOn(goodClaims(agreed), standing(), { version: null }))).toEqual(['release.unknown'])
})

test('asking for nothing is denied', () => {
  const result = { claims: goodClaims(agreed), appraisal: appraise(goodClaims(agreed), reference) }
  expect(codes(decide(result, agreed, standing(), { resources: [], lease: null }, at))).toContain('policy.resource')
})

test('a lease is renewed only by the machine and under the agreement that began it', () => {
  const result = { claims: goodClaims(agreed), appraisal: appraise(goodClaims(agreed), reference) }
  const own = { id: 'l', machine: 'tpm:machine', agreement: agreed.digest }
  expect(decide(result, agreed, standing(), { resources, lease: own }, at).kind).toBe('release')
  for (const lease of [
    { ...own, machine: 'tpm:other' },
    { ...own, agreement: `sha256:${'0'.repeat(64)}` },
  ])
    expect(codes(decide(result, agreed, standing(), { resources, lease }, at))).toEqual(['release.unknown'])
})

test('F01 a condition on a claim that is missing does not hold, and neither does one of another type (F03)', () => {
  const grant = agreementBody().grants[0]
  for (const condition of [
    { op: 'equals' as const, claim: 'launch.nothing', value: 'x' },
    { op: 'equals' as const, claim: 'boot.resetCount', value: '1' },
    { op: 'equals' as const, claim: '__proto__', value: 'x' },
    { op: 'equals' as const, claim: 'launch.constructor', value: 'x' },
    { op: 'one-of' as const, claim: 'simulated', values: ['true'] },
    { op: 'at-least-class' as const, value: 'hardware' as const },
  ]) {
    const of = agreement({ grants: [{ ...grant!, when: [condition] }] })
    expect(codes(decideOn(goodClaims(of), standing({ approvals: approved(undefined, of) }), { of }))).toEqual([
      'policy.condition',
    ])
  }
})

test('every condition of a grant must hold, and every one that does not is told', () => {
  const when = [
    { op: 'equals' as const, claim: 'simulated', value: true },
    { op: 'equals' as const, claim: 'machine', value: 'tpm:other' },
    { op: 'one-of' as const, claim: 'anchor', values: ['amd'] },
  ]
  const of = agreement({ grants: [{ ...agreementBody().grants[0]!, when }] })
  const decision = decideOn(goodClaims(of), standing({ approvals: approved(undefined, of) }), { of })
  expect(codes(decision)).toEqual(['policy.condition', 'policy.condition'])
})
