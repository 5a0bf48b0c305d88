import { missingVectors, readVectorText } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { digest } from '../crypto/digest.ts'
import { recorded } from '../testing/structures.ts'
import { TPM_RH } from './handles.ts'
import { handleName, tpmName, tpmQualifiedName } from './name.ts'
import { parseTpmCertify, parseTpmCreation } from './attest.ts'
import { parseTpmPublic } from './public-area.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

describe.skipIf(missingVectors())('names', () => {
  test('equal the recorded ones', () => {
    const { name: names } = JSON.parse(readVectorText('gce/tpm/derived/tpm-crypto.json')) as {
      name: { tpmtPublic: string; name: string }[]
    }
    expect(names.length).toBeGreaterThan(1)
    for (const { tpmtPublic, name } of names) expect(hex(tpmName(Buffer.from(tpmtPublic, 'hex'), digest))).toBe(name)
  })
})

test('a TPM certifies the names and qualified names that are computed here', () => {
  const srk = parseTpmPublic(recorded('TPMT_PUBLIC', 'made srk'))
  const certified = parseTpmCertify(recorded('TPMS_ATTEST', 'certify'))
  expect(certified.name).toEqual(tpmName(srk, digest))
  expect(certified.qualifiedName).toEqual(tpmQualifiedName(handleName(TPM_RH.owner), srk, digest))
  expect(parseTpmCreation(recorded('TPMS_ATTEST', 'creation')).objectName).toEqual(tpmName(srk, digest))
})

test('a name stands for a public area only, never for other bytes', () => {
  expect(() => tpmName(new Uint8Array(40), digest)).toThrow(expect.objectContaining({ code: 'input.malformed' }))
})

test('a hash that cannot be computed here is not replaced by another', () => {
  const srk = parseTpmPublic(recorded('TPMT_PUBLIC', 'made srk'))
  expect(() => tpmName({ ...srk, nameAlg: 'sm3_256' }, digest)).toThrow(
    expect.objectContaining({ code: 'evidence.algorithm' }),
  )
})

test('an object without a name algorithm has the empty name', () => {
  const srk = parseTpmPublic(recorded('TPMT_PUBLIC', 'made srk'))
  expect(tpmName({ ...srk, nameAlg: 'null' }, digest)).toEqual(new Uint8Array())
})
