import { describe, expect, test } from 'vitest'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'

const malformed = (part: string) =>
  expect.objectContaining({ code: 'input.malformed', message: expect.stringContaining(part) })

describe('ByteReader', () => {
  test('reads integers in either byte order, 64 bits exactly', () => {
    const bytes = Uint8Array.from([1, 0, 2, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe])
    const big = new ByteReader('T', bytes, 'big')
    expect([big.u8('a'), big.u16('b'), big.u32('c'), big.u64('d')]).toEqual([1, 2, 3, 0xfffffffffffffffen])
    big.end()
    const little = new ByteReader('T', bytes, 'little')
    expect([little.u8('a'), little.u16('b'), little.u32('c')]).toEqual([1, 0x200, 0x03000000])
    expect(little.u64('d')).toBe(0xfeffffffffffffffn)
  })

  test('names structure, field and offset when bytes run out', () => {
    const reader = new ByteReader('TPMS_ATTEST', Uint8Array.from([1, 2, 3]), 'big')
    reader.u16('type')
    expect(() => reader.u32('magic')).toThrow(malformed('TPMS_ATTEST: magic at offset 2: wants 4 bytes, 1 are left'))
  })

  test('refuses what is left over', () => {
    const reader = new ByteReader('T', Uint8Array.of(1), 'big')
    expect(() => reader.end()).toThrow(malformed('end'))
  })

  test('refuses a size over its bound before looking for the bytes', () => {
    const reader = new ByteReader('T', Uint8Array.from([0, 65, ...new Uint8Array(65)]), 'big')
    expect(() => reader.sized('extraData', 64)).toThrow(malformed('65 is over 64'))
  })

  test('refuses a size over what remains', () => {
    const reader = new ByteReader('T', Uint8Array.from([0, 2, 9]), 'big')
    expect(() => reader.sized('name', 64)).toThrow(malformed('name'))
  })

  test('takes only 0 and 1 for yes and no', () => {
    expect(() => new ByteReader('T', Uint8Array.of(2), 'big').yesNo('safe')).toThrow(malformed('safe at offset 0'))
  })

  test('refuses negative and fractional lengths', () => {
    const reader = new ByteReader('T', Uint8Array.of(2, 3), 'big')
    expect(() => reader.take('x', -1)).toThrow(malformed('not a length'))
    expect(() => reader.take('x', 0.5)).toThrow(malformed('not a length'))
  })

  test('hands out copies, even over a Buffer, whose slice() aliases', () => {
    const source = Buffer.from([1, 2, 3, 4])
    const taken = new ByteReader('T', source, 'big').take('x', 2)
    source[0] = 9
    expect(taken).toEqual(Uint8Array.of(1, 2))
  })

  test('keeps counting offsets from the outermost input in a part', () => {
    const reader = new ByteReader('OUTER', new Uint8Array(8), 'big')
    reader.u32('a')
    const part = reader.part('b', 4, 'INNER')
    part.u16('x')
    expect(() => part.u32('y')).toThrow(malformed('INNER: y at offset 6'))
  })
})

describe('ByteWriter', () => {
  test.each(Array.from({ length: 40 }, (_, capacity) => capacity))(
    'writes what the reader reads, from a capacity of %d',
    (capacity) => {
      const writer = new ByteWriter('big', capacity)
      writer.u8('a', 1).u16('b', 2).u32('c', 3).u64('d', 0xfffffffffffffffen).i32('e', -5).yesNo('f', true)
      writer.sized('g', Uint8Array.of(7, 8)).sized16By('h', () => writer.u32('i', 9))
      const reader = new ByteReader('T', writer.finish(), 'big')
      expect([reader.u8('a'), reader.u16('b'), reader.u32('c'), reader.u64('d'), reader.i32('e')]).toEqual([
        1,
        2,
        3,
        0xfffffffffffffffen,
        -5,
      ])
      expect(reader.yesNo('f')).toBe(true)
      expect(reader.sized('g', 2)).toEqual(Uint8Array.of(7, 8))
      expect(reader.sized('h', 4)).toEqual(Uint8Array.of(0, 0, 0, 9))
      reader.end()
    },
  )

  test.each([
    ['a number that is too large', () => new ByteWriter('big').u8('a', 256)],
    ['a negative number', () => new ByteWriter('big').u32('a', -1)],
    ['a fraction', () => new ByteWriter('big').u16('a', 1.5)],
    ['a bigint over 64 bits', () => new ByteWriter('big').u64('a', 1n << 64n)],
    ['bytes over their bound', () => new ByteWriter('big').sized('a', new Uint8Array(3), 2)],
  ])('refuses %s rather than cutting it', (_what, write) => {
    expect(write).toThrow(malformed('a'))
  })
})
