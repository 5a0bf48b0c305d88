import { missingVectors, readVector } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { parseCcelTable } from './ccel-table.ts'

const malformed = (part: string) =>
  expect.objectContaining({ code: 'input.malformed', message: expect.stringContaining(part) })

test.each([
  ['414243443801020304', 'signature'],
  ['4343454c30000000', 'length'],
])('refuses %s for its %s', (hex, field) => {
  expect(() => parseCcelTable(new Uint8Array(Buffer.from(hex, 'hex')))).toThrow(malformed(field))
})

describe.skipIf(missingVectors())('recorded tables', () => {
  test('tell technology and size of the log area', () => {
    expect(parseCcelTable(readVector('gce/ccel/CCEL.bin'))).toMatchObject({
      technology: 'tdx',
      logAreaMinimumBytes: 65536n,
    })
    expect(parseCcelTable(readVector('gce/ccel/cos-113-intel-tdx.table.bin')).technology).toBe('tdx')
  })

  test.each([
    ['its checksum is wrong', (raw: Uint8Array) => raw.with(50, raw[50]! ^ 1), 'checksum'],
    ['it is of another technology', (raw: Uint8Array) => raw.with(36, 3).with(9, raw[9]! - 1), 'type'],
    ['it is cut short', (raw: Uint8Array) => raw.subarray(0, 55), 'length'],
    ['a byte is left over', (raw: Uint8Array) => Uint8Array.of(...raw, 0), 'length'],
  ])('are refused when %s', (_why, change, field) => {
    expect(() => parseCcelTable(change(readVector('gce/ccel/CCEL.bin')))).toThrow(malformed(field))
  })
})
