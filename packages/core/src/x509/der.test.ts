import fc from 'fast-check'
import { derWriter as w } from '@vouchsafe/testkit'
import { expect, test } from 'vitest'
import { DerReader } from './der.ts'

const bytes = (...octets: number[]) => Uint8Array.from(octets)
const reader = (...octets: number[]) => new DerReader('thing', bytes(...octets))
const refusal = (message: string) =>
  expect.objectContaining({ code: 'endorsement.malformed', message: expect.stringContaining(message) })

test.each<[string, number[], (r: DerReader) => unknown, string]>([
  ['an indefinite length', [0x30, 0x80, 0, 0], (r) => r.any('f'), 'indefinite length'],
  ['a long length below 128', [0x04, 0x81, 0x01, 0], (r) => r.any('f'), 'length is not minimal'],
  [
    'a length with a leading zero',
    [0x04, 0x82, 0x00, 0x81, ...new Array<number>(129).fill(0)],
    (r) => r.any('f'),
    'length is not minimal',
  ],
  ['a length of five octets', [0x04, 0x85, 1, 0, 0, 0, 0], (r) => r.any('f'), 'length of 5 octets'],
  ['a length past the end', [0x04, 0x02, 0x00], (r) => r.any('f'), 'wants 2 bytes, 1 are left'],
  ['a length that is itself cut short', [0x04, 0x82, 0x01], (r) => r.any('f'), 'cut short'],
  ['a tag without length', [0x04], (r) => r.any('f'), 'cut short'],
  ['a tag of several octets', [0x1f, 0x81, 0x01, 0x00], (r) => r.any('f'), 'tag of more than one octet'],
  ['another tag than wanted', [0x05, 0x00], (r) => r.integer('f'), 'f at offset 0: tag 0x5, wanted tag 0x2'],
  ['nothing where something is wanted', [], (r) => r.integer('f'), 'missing'],
  ['bytes left over', [0x05, 0x00, 0x00], (r) => (r.null('f'), r.end()), 'end at offset 2: 1 bytes left over'],
  ['an integer without octets', [0x02, 0x00], (r) => r.integer('f'), 'without octets'],
  ['an integer with a needless 00', [0x02, 0x02, 0x00, 0x7f], (r) => r.integer('f'), 'not minimal'],
  ['an integer with a needless FF', [0x02, 0x02, 0xff, 0x80], (r) => r.integer('f'), 'not minimal'],
  ['a negative integer', [0x02, 0x01, 0x80], (r) => r.bigInteger('f'), 'negative'],
  ['an integer over its bound', [0x02, 0x02, 0x01, 0x00], (r) => r.smallInteger('f', 255), '256 is over 255'],
  ['a boolean of 01', [0x01, 0x01, 0x01], (r) => r.boolean('f'), 'neither 00 nor FF'],
  ['a boolean of two octets', [0x01, 0x02, 0xff, 0xff], (r) => r.boolean('f'), 'neither 00 nor FF'],
  ['NULL with content', [0x05, 0x01, 0x00], (r) => r.null('f'), 'NULL with content'],
  ['an empty OID', [0x06, 0x00], (r) => r.oid('f'), 'OID of 0 octets'],
  ['an OID arc with a leading 80', [0x06, 0x03, 0x2a, 0x80, 0x01], (r) => r.oid('f'), 'not minimal'],
  ['an OID that ends within an arc', [0x06, 0x02, 0x2a, 0x86], (r) => r.oid('f'), 'cut short'],
  [
    'a bit string of odd bits where octets are wanted',
    [0x03, 0x02, 0x01, 0x00],
    (r) => r.bitStringOctets('f'),
    'whole octets',
  ],
  ['padding bits that are set', [0x03, 0x02, 0x02, 0x07], (r) => r.bitNames('f'), 'padding bits'],
  ['a bit list with 8 unused bits', [0x03, 0x02, 0x08, 0x00], (r) => r.bitNames('f'), 'not a bit list'],
])('K13 refuses %s', (_what, octets, read, message) => {
  expect(() => read(reader(...octets))).toThrow(refusal(message))
})

test.each([
  ['UTCTime without seconds', 0x17, '2401010000Z'],
  ['UTCTime with an offset', 0x17, '240101000000+0100'],
  ['GeneralizedTime with a fraction', 0x18, '20240101000000.5Z'],
  ['a month that does not exist', 0x17, '241301000000Z'],
  ['a day that does not exist', 0x17, '230229000000Z'],
  ['an hour that does not exist', 0x17, '230228240000Z'],
  ['a leap second', 0x17, '161231235960Z'],
])('refuses %s', (_what, tag, text) => {
  expect(() => new DerReader('thing', w.der(tag, new TextEncoder().encode(text))).time('f')).toThrow(refusal('time'))
})

test.each([
  [0x17, '490101000000Z', '2049-01-01T00:00:00.000Z'],
  [0x17, '500101000000Z', '1950-01-01T00:00:00.000Z'],
  [0x18, '21181231235959Z', '2118-12-31T23:59:59.000Z'],
  [0x18, '00500101000000Z', '0050-01-01T00:00:00.000Z'],
])('reads time %i %s', (tag, text, iso) => {
  const time = new DerReader('thing', w.der(tag, new TextEncoder().encode(text))).time('f')
  expect(time.toISOString()).toBe(iso)
})

test('reads every day that the calendar has, and no other', () => {
  const part = (max: number) => fc.integer({ min: 0, max })
  fc.assert(
    fc.property(
      part(9999),
      part(13),
      part(32),
      part(24),
      part(60),
      part(60),
      (year, month, day, hour, minute, second) => {
        const digits = [month, day, hour, minute, second].map((n) => String(n).padStart(2, '0'))
        const [mm, dd, HH, MM, SS] = digits
        const iso = `${String(year).padStart(4, '0')}-${mm}-${dd}T${HH}:${MM}:${SS}.000Z`
        const exists = hour < 24 && !Number.isNaN(Date.parse(iso)) && new Date(iso).toISOString() === iso
        const text = new TextEncoder().encode(`${String(year).padStart(4, '0')}${digits.join('')}Z`)
        const read = () => new DerReader('thing', w.der(0x18, text)).time('f').toISOString()
        if (exists) expect(read()).toBe(iso)
        else expect(read).toThrow(refusal('no such time'))
      },
    ),
    {
      seed: 1,
      numRuns: 2000,
      examples: [
        [2000, 2, 29, 0, 0, 0],
        [1900, 2, 29, 0, 0, 0],
        [2024, 2, 29, 23, 59, 59],
        [0, 2, 29, 0, 0, 0],
      ],
    },
  )
})

test('refuses nesting past its limit', () => {
  const deep = Array.from({ length: 40 }).reduce<Uint8Array>((inner) => w.sequence(inner), w.nullValue())
  const descend = (r: DerReader): void => (r.peek() === 0x30 ? descend(r.sequence('f')) : r.null('f'))
  expect(() => descend(new DerReader('thing', deep))).toThrow(refusal('nested deeper'))
})

test('K02 reads integers of any size without losing a bit, as the fake vendors write them', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 2n ** 255n), (n) => {
      expect(new DerReader('thing', w.integer(n)).bigInteger('f')).toBe(n)
    }),
  )
})

test('reads back every OID, UUID-based arcs included', () => {
  const arc = fc.bigInt(0n, 2n ** 128n - 1n)
  fc.assert(
    fc.property(fc.constantFrom('0', '1', '2'), fc.nat(39), fc.array(arc, { maxLength: 3 }), (a, b, rest) => {
      const dotted = [a, b, ...rest].join('.')
      expect(new DerReader('thing', w.oid(dotted)).oid('f')).toBe(dotted)
    }),
  )
})

test('counts offsets from the outermost input', () => {
  const r = new DerReader('thing', w.sequence(w.nullValue(), w.sequence(w.boolean(true), w.der(0x02))))
  const outer = r.sequence('outer')
  outer.null('first')
  const inner = outer.sequence('inner')
  inner.boolean('second')
  expect(() => inner.integer('third')).toThrow('thing: third at offset 11')
})
