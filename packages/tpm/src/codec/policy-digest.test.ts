import { missingVectors, readVectorText } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { digest } from '../crypto/digest.ts'
import { TPM_RH } from './handles.ts'
import { handleName } from './name.ts'
import { PolicyDigest } from './policy-digest.ts'
import { EK_POLICY_A_SHA256, TEMPLATES } from './templates.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))
const start = (hash: 'sha256' | 'sha384' | 'sha512' = 'sha256') => new PolicyDigest(hash, digest)
const zeros = (count: number) => Array.from({ length: count }, () => new Uint8Array(32))
const selections = [{ hash: 'sha256', pcrs: [0, 7, 13] }] as const

interface Known {
  readonly policySecretEndorsement: string
  readonly policyAuthValue: string
  readonly policyCommandCodeCertify: string
  readonly policyPCR_sha256_0_7_13_allZero: string
  readonly policyPCRthenAuthValue_sha256_0_7_13_allZero: string
  readonly policyPCR_sha256_values: { readonly pcrs: Record<string, string>; readonly digest: string }
  readonly policyOr_secretEndorsement_authValue: string
}

describe.skipIf(missingVectors())('policy digests equal the known ones', () => {
  const { policy } = JSON.parse(missingVectors() ? '{}' : readVectorText('gce/tpm/derived/tpm-crypto.json')) as {
    policy: { sha256: Known }
  }
  const known = policy?.sha256
  const secret = () => start().secret(handleName(TPM_RH.endorsement))

  test('PolicySecret', () => expect(hex(secret().value)).toBe(known.policySecretEndorsement))
  test('PolicyAuthValue', () => expect(hex(start().authValue().value)).toBe(known.policyAuthValue))
  test('PolicyPassword, which gives the same', () => expect(hex(start().password().value)).toBe(known.policyAuthValue))
  test('PolicyCommandCode', () =>
    expect(hex(start().commandCode('Certify').value)).toBe(known.policyCommandCodeCertify))
  test('PolicyPCR', () =>
    expect(hex(start().pcr(selections, zeros(3)).value)).toBe(known.policyPCR_sha256_0_7_13_allZero))
  test('PolicyPCR and PolicyAuthValue', () =>
    expect(hex(start().pcr(selections, zeros(3)).authValue().value)).toBe(
      known.policyPCRthenAuthValue_sha256_0_7_13_allZero,
    ))
  test('PolicyPCR of other values', () => {
    const values = Object.values(known.policyPCR_sha256_values.pcrs).map(bytes)
    expect(hex(start().pcr(selections, values).value)).toBe(known.policyPCR_sha256_values.digest)
  })
  test('PolicyOR', () =>
    expect(hex(start().or([secret().value, start().authValue().value]).value)).toBe(
      known.policyOr_secretEndorsement_authValue,
    ))
})

test.each([
  ['sha256', '3767e2edd43ff45a3a7e1eaefcef78643dca964632e7aad82c673a30d8633fde', TEMPLATES.ekEccP256H],
  [
    'sha384',
    'd6032ce61f2fb3c240eb3cf6a33237ef2b6a16f4293c22b455e261cffd217ad5b4947c2d73e63005eed2dc2b3593d165',
    TEMPLATES.ekEccP384H,
  ],
  [
    'sha512',
    '589ee1e146544716e8deafe6db247b01b81e9f9c7dd16b814aa159138749105fba5388dd1dea702f35240c184933121e2c61b8f50d3ef91393a49a38c3f73fc8',
    TEMPLATES.ekEccP521H,
  ],
] as const)('the high-range templates for %s carry PolicyOR(PolicySecret, "Policy C")', (hash, policyC, template) => {
  const policyA = start(hash).secret(handleName(TPM_RH.endorsement)).value
  expect(start(hash).or([policyA, bytes(policyC)]).value).toEqual(template.authPolicy)
})

test('the low-range templates carry PolicySecret(endorsement)', () => {
  expect(start().secret(handleName(TPM_RH.endorsement)).value).toEqual(EK_POLICY_A_SHA256)
})

test.each([0, 1, 9])('PolicyOR of %d branches is refused', (count) => {
  expect(() => start().or(zeros(count))).toThrow(expect.objectContaining({ code: 'input.malformed' }))
})

test('PolicyPCR with a value too few is refused', () => {
  expect(() => start().pcr(selections, zeros(2))).toThrow(expect.objectContaining({ code: 'input.malformed' }))
})
