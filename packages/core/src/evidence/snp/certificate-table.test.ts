import fc from 'fast-check'
import * as kit from '@vouchsafe/testkit'
import { expect, test } from 'vitest'
import { VouchsafeError } from '../../base/errors.ts'
import { parseSnpCertificateTable, SNP_TABLE_ENTRIES } from './index.ts'

const { vcek, ask } = SNP_TABLE_ENTRIES
const contents = [Uint8Array.of(1, 2, 3), Uint8Array.of(4)] as const
const table = kit.encodeSnpCertificateTable([
  [vcek, contents[0]],
  [ask, contents[1]],
])
const refusal = (message: string) =>
  expect.objectContaining({ code: 'input.malformed', message: expect.stringContaining(message) })

test('reads the contents by GUID, with padding after them', () => {
  const padded = kit.derWriter.join(table, new Uint8Array(100))
  expect([...parseSnpCertificateTable(padded)]).toEqual([
    [vcek, contents[0]],
    [ask, contents[1]],
  ])
})

const edited = (at: number, value: number) => {
  const bytes = new Uint8Array(table)
  new DataView(bytes.buffer).setUint32(at, value, true)
  return bytes
}

test.each<[string, Uint8Array, string]>([
  ['an offset into its own header', edited(16, 24), 'lies outside the table'],
  ['an offset past the end', edited(16, 4000), 'lies outside the table'],
  ['an offset and length that wrap around 32 bits', edited(20, 0xffffffff), 'lies outside the table'],
  [
    'one GUID twice',
    kit.encodeSnpCertificateTable([
      [vcek, contents[0]],
      [vcek, contents[1]],
    ]),
    'twice',
  ],
  ['no terminator', table.subarray(0, 48), 'guid'],
  ['a terminator that says something', edited(48 + 16, 1), 'terminator'],
  ['nothing', new Uint8Array(0), 'guid'],
  [
    'too many entries',
    kit.encodeSnpCertificateTable(
      Array.from({ length: 40 }, (_, i) => [`${String(10 + i)}000000-0000-0000-0000-000000000000`, contents[0]]),
    ),
    'over 32',
  ],
])('refuses a table with %s', (_what, bytes, message) => {
  expect(() => parseSnpCertificateTable(bytes)).toThrow(refusal(message))
})

test('fails only with a coded error, whatever the bytes', () => {
  fc.assert(
    fc.property(fc.nat(table.length - 1), fc.nat(255), fc.nat(table.length), (at, byte, length) => {
      try {
        parseSnpCertificateTable(table.with(at, byte).subarray(0, length))
      } catch (e) {
        expect(e).toBeInstanceOf(VouchsafeError)
      }
    }),
    { seed: 1, numRuns: 2000 },
  )
})
