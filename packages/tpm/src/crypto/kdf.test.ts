import { missingVectors, readVectorText } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import type { SoftwareHash } from '../codec/algorithms.ts'
import { kdfa, kdfe } from './kdf.ts'
import type { KdfLabel } from './kdf.ts'

interface Vectors {
  readonly kdfa: {
    readonly hash: SoftwareHash
    readonly key: string
    readonly label: KdfLabel
    readonly contextU: string
    readonly contextV: string
    readonly bits: number
    readonly out: string
  }[]
  readonly kdfe: {
    readonly hash: SoftwareHash
    readonly z: string
    readonly label: KdfLabel
    readonly partyU: string
    readonly partyV: string
    readonly bits: number
    readonly out: string
  }[]
}

const bytes = (text: string) => Buffer.from(text, 'hex')

describe.skipIf(missingVectors())('key derivation gives the recorded keys', () => {
  const recorded = missingVectors() ? '{"kdfa":[],"kdfe":[]}' : readVectorText('gce/tpm/derived/tpm-crypto.json')
  const vectors = JSON.parse(recorded) as Vectors
  test.each(vectors.kdfa)('KDFa $hash $label', ({ hash, key, label, contextU, contextV, bits, out }) => {
    expect(Buffer.from(kdfa(hash, bytes(key), label, bytes(contextU), bytes(contextV), bits)).toString('hex')).toBe(out)
  })
  test.each(vectors.kdfe)('KDFe $hash $label', ({ hash, z, label, partyU, partyV, bits, out }) => {
    expect(Buffer.from(kdfe(hash, bytes(z), label, bytes(partyU), bytes(partyV), bits)).toString('hex')).toBe(out)
  })
})

test('KDFa gives more than one block, cut to size', () => {
  const long = kdfa('sha256', bytes('00'), 'STORAGE', bytes(''), bytes(''), 520)
  expect(long.length).toBe(65)
  expect(new Set(long).size).toBeGreaterThan(30)
})
