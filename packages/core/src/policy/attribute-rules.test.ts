import { describe, expect, test } from 'vitest'
import { parseAttributeRules, principalOf } from './attribute-rules.ts'

const IMAGE = 'europe-docker.pkg.dev/p/r/i@sha256:ab'
const token = {
  sub: 'https://www.googleapis.com/compute/v1/projects/p/zones/z/instances/i',
  swname: 'CONFIDENTIAL_SPACE',
  google_service_accounts: ['workload@operator.iam.gserviceaccount.com'],
  submods: {
    confidential_space: { support_attributes: ['LATEST', 'STABLE', 'USABLE'] },
    container: {
      image_reference: IMAGE,
      image_digest: 'sha256:ab',
      image_signatures: [{ key_id: 'k1', signature_algorithm: 'ECDSA_P256_SHA256' }],
    },
    gce: { project_id: 'operator', project_number: '123', instance_id: '456' },
  },
}
type Token = typeof token
const changed = (change: (copy: Token) => unknown): Token => {
  const copy = structuredClone(token)
  change(copy)
  return copy
}

const mapping = {
  'google.subject': '"gcpcs::" + assertion.submods.container.image_digest + "::" + assertion.submods.gce.instance_id',
  'google.groups': 'assertion.google_service_accounts',
  'attribute.image_reference': 'assertion.submods.container.image_reference',
  'attribute.signers': 'assertion.submods.container.image_signatures.map(s, s.signature_algorithm + ":" + s.key_id)',
}
const under = (condition: string, of: object) =>
  principalOf(parseAttributeRules({ mapping, condition }), of as Record<string, unknown>)

test('claims become attributes by the mapping, and grants compare those', () => {
  expect(under("assertion.swname == 'CONFIDENTIAL_SPACE'", token)).toEqual({
    kind: 'accepted',
    attributes: {
      'google.subject': 'gcpcs::sha256:ab::456',
      'google.groups': ['workload@operator.iam.gserviceaccount.com'],
      'attribute.image_reference': IMAGE,
      'attribute.signers': ['ECDSA_P256_SHA256:k1'],
    },
  })
})

describe('a condition accepts what it names and nothing else', () => {
  test.each<[string, string, Token, string]>([
    [
      'CS-24 (partly: verifiers, no token exchange) the image',
      `attribute.image_reference == '${IMAGE}'`,
      changed((t) => (t.submods.container.image_reference = IMAGE.replace('ab', 'cd'))),
      'policy.condition',
    ],
    [
      'CS-25 (partly: verifiers, no token exchange) a signer, whatever the image',
      "['ECDSA_P256_SHA256:k1', 'ECDSA_P256_SHA256:k2'].exists(k, k in attribute.signers)",
      changed((t) => (t.submods.container.image_signatures = [])),
      'policy.condition',
    ],
    [
      'CS-26 (partly: verifiers, no token exchange) the operator’s project',
      "assertion.submods.gce.project_id == 'operator' && 'workload@operator.iam.gserviceaccount.com' in google.groups",
      changed((t) => (t.submods.gce.project_id = 'operator2')),
      'policy.condition',
    ],
    [
      'CS-26 (partly: verifiers, no token exchange) the workload’s account',
      "assertion.submods.gce.project_id == 'operator' && 'workload@operator.iam.gserviceaccount.com' in google.groups",
      changed((t) => (t.google_service_accounts = ['other@operator.iam.gserviceaccount.com'])),
      'policy.condition',
    ],
    [
      'CS-27 (partly: verifiers, no token exchange) a support level',
      "'STABLE' in assertion.submods.confidential_space.support_attributes",
      changed((t) => (t.submods.confidential_space.support_attributes = ['USABLE'])),
      'policy.condition',
    ],
    [
      'CS-27 (partly: verifiers, no token exchange) a support level that a debug image does not tell of',
      "'STABLE' in assertion.submods.confidential_space.support_attributes",
      changed((t) => delete (t.submods as Partial<Token['submods']>).confidential_space),
      'policy.error',
    ],
  ])('%s', (_what, condition, other, code) => {
    expect(under(condition, token).kind).toBe('accepted')
    expect(under(condition, other)).toMatchObject({ kind: 'refused', reasons: [{ stage: 'policy', code }] })
  })
})

test.each<[string, object]>([
  [
    'is missing',
    changed((t) => delete (t.submods.container as Partial<Token['submods']['container']>).image_reference),
  ],
  ['is no text', changed((t) => Object.assign(t.submods.container, { image_reference: 7 }))],
  ['is a list with something else in it', changed((t) => Object.assign(t, { google_service_accounts: ['a', 1] }))],
  ['is too long for a name', changed((t) => (t.submods.gce.instance_id = 'x'.repeat(200)))],
])('an attribute that %s refuses the token, whatever the condition says', (_why, of) => {
  expect(under('true', of)).toMatchObject({ kind: 'refused', reasons: [{ code: 'policy.error' }] })
})

test('a conjunction is no text, whatever its terms are', () => {
  const rules = parseAttributeRules({ mapping: { 'google.subject': '"a" && "b"' }, condition: 'true' })
  expect(principalOf(rules, token)).toMatchObject({ kind: 'refused', reasons: [{ code: 'policy.error' }] })
})

test('every attribute and every term that fails is told', () => {
  const refused = under("assertion.swname == 'GCE' && assertion.nothing == 1", token)
  expect(refused).toMatchObject({ reasons: [{ code: 'policy.condition' }, { code: 'policy.error' }] })
})

test.each<[string, unknown, string]>([
  ['name no subject', { mapping: { 'attribute.a': 'assertion.sub' }, condition: 'true' }, 'input.malformed'],
  ['have no condition', { mapping }, 'input.malformed'],
  ['map to a name that is no attribute', { mapping: { ...mapping, sub: '"x"' }, condition: 'true' }, 'input.malformed'],
  ['do not compile', { mapping: { 'google.subject': 'assertion.' }, condition: 'true' }, 'policy.invalid'],
  ['read a variable that there is not', { mapping, condition: 'request.time == 1' }, 'policy.invalid'],
  [
    'let a mapping read attributes',
    { mapping: { 'google.subject': 'attribute.a' }, condition: 'true' },
    'policy.invalid',
  ],
  ['have more members', { mapping, condition: 'true', audience: 'x' }, 'input.unknown-member'],
])('rules that %s are refused when they are read', (_why, rules, code) => {
  expect(() => parseAttributeRules(rules)).toThrow(expect.objectContaining({ code }))
})
