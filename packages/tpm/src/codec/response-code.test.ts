import { expect, test } from 'vitest'
import { decodeResponseCode, describeResponseCode } from './response-code.ts'

test.each([
  [0x000, 'TPM_RC_SUCCESS', undefined],
  [0x100, 'TPM_RC_INITIALIZE', undefined],
  [0x902, 'TPM_RC_OBJECT_MEMORY', undefined],
  [0x922, 'TPM_RC_RETRY', undefined],
  [0x01e, 'TPM_RC_BAD_TAG', undefined],
  [0x2c4, 'TPM_RC_VALUE', { kind: 'parameter', number: 2 }],
  [0x99d, 'TPM_RC_POLICY_FAIL', { kind: 'session', number: 1 }],
  [0x18b, 'TPM_RC_HANDLE', { kind: 'handle', number: 1 }],
  [0x98e, 'TPM_RC_AUTH_FAIL', { kind: 'session', number: 1 }],
  [0xdf, 'TPM_RC_INTEGRITY', { kind: 'parameter', number: 0 }],
])('0x%s is %s', (value, name, target) => {
  expect(decodeResponseCode(value)).toMatchObject({ value, name, target })
})

test.each([
  [0x501, 'manufacturer'],
  [0x0003, 'TPM 1.2'],
  [0x000a0001, 'layer 10'],
  [0x1ff, 'not in the specification'],
  [0xbf, 'not in the specification'],
  [0x96a, 'not in the specification'],
])('0x%s keeps its number and says why it has no name', (value, hint) => {
  const decoded = decodeResponseCode(value)
  expect(decoded.name).toBe(`0x${value.toString(16)}`)
  expect(decoded.hint).toContain(hint)
})

test('every code has a description with a reason', () => {
  for (let value = 0; value < 0x1000; value++) {
    const described = describeResponseCode(decodeResponseCode(value))
    expect(described).toMatch(
      /^(TPM_RC_[A-Z0-9_]+( \(0x[0-9a-f]+\))?|0x[0-9a-f]+)( at (handle|parameter|session) \d+)?: .+/,
    )
  }
})

test('one line tells an operator what was wrong, where, and what to do', () => {
  expect(describeResponseCode(decodeResponseCode(0x902))).toBe(
    'TPM_RC_OBJECT_MEMORY (0x902): no slot for another object; flush transient objects (`tpm2_flushcontext -t`)',
  )
  expect(describeResponseCode(decodeResponseCode(0x2c4))).toMatch(/^TPM_RC_VALUE \(0x2c4\) at parameter 2: /)
})
