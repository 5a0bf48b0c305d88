import fc from 'fast-check'
import { cborTag, encodeCbor, missingVectors, readVector } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { VouchsafeError } from '../../base/errors.ts'
import { readCorim } from './corim.ts'

const refusal = (code: string, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) })

test('a signed manifest is refused: nobody here could say whose signature it is', () => {
  const part = new Uint8Array(1)
  const signed = cborTag(18, encodeCbor([part, new Map(), part, part]))
  expect(() => readCorim(signed)).toThrow(refusal('evidence.unsupported', 'signed'))
})

test.each<[string, Uint8Array]>([
  ['nothing', new Uint8Array()],
  ['something else than a manifest', encodeCbor(new Map([[1, 'x']]))],
  ['a manifest without values', cborTag(501, encodeCbor(new Map<number, never[]>([[1, []]])))],
])('%s gives no values', (_what, bytes) => {
  expect(() => readCorim(bytes)).toThrow(refusal('input.malformed', 'CoRIM'))
})

describe.skipIf(missingVectors())('the recorded example', () => {
  const file = 'coco/rvps/unsigned-example-corim.cbor'
  test('names its values by vendor, model and key', () => {
    const values = readCorim(readVector(file))
    expect(values.map((v) => v.name)).toContain('ACME/RoadRunner/31fb5abf-023e-4992-aa4e-95f9c1503bfa')
    for (const { digests } of values) for (const digest of digests) expect(digest).toMatch(/^[0-9a-f]{64}$/)
  })

  test('changed or cut anywhere fails only with a coded error', () => {
    const good = readVector(file)
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), (at, byte) => {
        for (const bytes of [good.with(at, byte), good.subarray(0, at)]) {
          try {
            readCorim(bytes)
          } catch (e) {
            expect(e).toBeInstanceOf(VouchsafeError)
            expect((e as VouchsafeError).code).not.toBe('internal')
          }
        }
      }),
      { seed: 1, numRuns: 1000 },
    )
  })
})
