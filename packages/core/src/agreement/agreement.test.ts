import { expect, test } from 'vitest'
import { nodeCrypto } from '../../node/index.ts'
import { utf8 } from '../base/encoding.ts'
import { agreement, agreementBody, clinicA, clinicB } from '../testing/agreement-fixture.ts'
import { type AgreementBody, parseAgreement } from './agreement.ts'

const parse = (body: unknown) => parseAgreement(utf8(JSON.stringify(body)), nodeCrypto)
const refusal = (code: string, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) })

test('an agreement’s digest is over the exact bytes, white space included', () => {
  const bytes = utf8(JSON.stringify(agreementBody()))
  const spaced = utf8(JSON.stringify(agreementBody(), null, 1))
  expect(parseAgreement(bytes, nodeCrypto).digest).toBe(parseAgreement(bytes, nodeCrypto).digest)
  expect(parseAgreement(spaced, nodeCrypto).digest).not.toBe(parseAgreement(bytes, nodeCrypto).digest)
})

const [first, second] = agreementBody().owners as [AgreementBody['owners'][number], AgreementBody['owners'][number]]
test.each<[string, Partial<AgreementBody> | Record<string, unknown>, string, string]>([
  [
    'G04 names one key for two owners',
    { owners: [first, { ...second, keys: [clinicA.key] }] },
    'input.malformed',
    'owners.keys',
  ],
  ['G04 names one owner twice', { owners: [first, { ...second, id: 'clinic-a' }] }, 'input.malformed', 'owners.id'],
  ['has a quorum out of reach', { quorum: 3 }, 'input.malformed', 'quorum'],
  ['has a quorum of zero', { quorum: 0 }, 'input.malformed', 'quorum'],
  [
    'pins no boot register',
    { environment: { ...agreementBody().environment, registers: {} } },
    'input.malformed',
    'registers',
  ],
  [
    'G03 names its image by tag',
    { workload: { image: 'registry.example/overlap:latest' } },
    'input.malformed',
    'image',
  ],
  ['F12 names its image by reference and no digest', { workload: { image: 'overlap' } }, 'input.malformed', 'image'],
  ['allows debug', { launch: { ...agreementBody().launch, debug: true } }, 'input.malformed', 'debug'],
  ['ends before it begins', { expires: '2025-01-01T00:00:00Z' }, 'input.malformed', 'expires'],
  ['J10 has a member that is not known here', { restrictTo: 'something' }, 'input.unknown-member', 'restrictTo'],
  [
    'grants what a stranger owns',
    { grants: [{ ...agreementBody().grants[0], owner: 'clinic-c' }] },
    'input.malformed',
    'clinic-c',
  ],
  [
    'F02 has a grant without conditions',
    { grants: [{ ...agreementBody().grants[0], when: [] }] },
    'input.malformed',
    'when',
  ],
  [
    'names no recipient for the result',
    { result: { recipients: [], minimumCount: 10 } },
    'input.malformed',
    'recipients',
  ],
  [
    'G18 lets an aggregate speak of one person',
    { result: { ...agreementBody().result, minimumCount: 1 } },
    'input.malformed',
    'minimumCount',
  ],
])('refuses an agreement that %s', (_what, changes, code, message) => {
  expect(() => parse({ ...agreementBody(), ...changes })).toThrow(refusal(code, message))
})

test('F11 refuses resource paths that could be read in two ways', () => {
  for (const path of ['../key', 'a//b', '/a', 'a/', 'A', 'a%2fb', 'a b', 'ä', 'a/../b', '.', 'a.', 'a'.repeat(80)]) {
    const grants = [{ ...agreementBody().grants[0], resources: [path] }]
    expect(() => parse({ ...agreementBody(), grants })).toThrow(refusal('input.malformed', 'resource'))
  }
})

test('E14 refuses an agreement in which a member stands twice', () => {
  const text = JSON.stringify(agreementBody()).replace('"quorum":2', '"quorum":2,"quorum":1')
  expect(() => parseAgreement(utf8(text), nodeCrypto)).toThrow(refusal('input.malformed', 'duplicate member "quorum"'))
})

test('keeps a private copy of its bytes', () => {
  const bytes = utf8(JSON.stringify(agreementBody()))
  const parsed = parseAgreement(bytes, nodeCrypto)
  bytes.fill(0)
  expect(parseAgreement(parsed.bytes, nodeCrypto).digest).toBe(parsed.digest)
  expect(agreement().body.owners.map((o) => o.id)).toEqual([clinicA.id, clinicB.id])
})
