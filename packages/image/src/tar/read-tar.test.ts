import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ImageError } from '../errors.ts'
import { rawEntry, rawTar, type RawEntry } from '../testing/archive.ts'
import { type TarEntry, TarReader } from './read-tar.ts'

interface Seen extends TarEntry {
  content: Map<number, string>
}

function read(archive: Uint8Array, chunkSize = archive.length): { seen: Seen[]; terminated: boolean } {
  const seen: Seen[] = []
  const reader = new TarReader({
    begin: (entry) => seen.push({ ...entry, content: new Map() }),
    data: (chunk, offset) => seen.at(-1)?.content.set(offset, Buffer.from(chunk).toString('latin1')),
    end: () => undefined,
  })
  for (let at = 0; at < archive.length; at += chunkSize) reader.push(archive.subarray(at, at + chunkSize))
  return { seen, terminated: reader.finish().terminated }
}
const withoutContent = (seen: Seen) => ({ ...seen, content: undefined })
const one = (entry: RawEntry) => read(rawTar([entry])).seen[0]!
const refusal = (code: string, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) })

describe('reads', () => {
  test('plain entries in any chunking', () => {
    const archive = rawTar([
      { name: 'dir/', type: '5', mode: 0o1777, uid: 7, gid: 8 },
      { name: 'dir/file', body: 'hello', mtime: 42 },
      { name: 'link', type: '2', link: 'dir/file' },
      { name: 'hard', type: '1', link: 'dir/file' },
      { name: 'null', type: '3', device: [1, 3] },
    ])
    const whole = read(archive)
    expect(whole.seen.map((e) => [e.kind, e.path, e.linkTarget])).toEqual([
      ['directory', 'dir/', ''],
      ['file', 'dir/file', ''],
      ['symlink', 'link', 'dir/file'],
      ['hardlink', 'hard', 'dir/file'],
      ['character-device', 'null', ''],
    ])
    expect(whole.seen[0]).toMatchObject({ mode: 0o1777, uid: 7, gid: 8 })
    expect(whole.seen[4]).toMatchObject({ deviceMajor: 1, deviceMinor: 3 })
    for (const size of [1, 3, 511, 513, 4096])
      expect(read(archive, size).seen.map(withoutContent)).toEqual(whole.seen.map(withoutContent))
  })

  test('names in every way an archive can hold them', () => {
    const long = 'n'.repeat(300)
    expect(one({ name: 'short', gnuLongName: long }).path).toBe(long)
    expect(one({ name: 'l', type: '2', link: 'x', gnuLongLink: long }).linkTarget).toBe(long)
    expect(one({ name: 'short', pax: [['path', long]] }).path).toBe(long)
    expect(one({ name: 'l', type: '2', link: 'x', pax: [['linkpath', long]] }).linkTarget).toBe(long)
    expect(one({ name: 'name', patch: (b) => b.write('some/prefix', 345) }).path).toBe('some/prefix/name')
    expect(one({ name: 'name', magic: 'ustar  \0', patch: (b) => b.write('12345', 345) }).path).toBe('name')
    expect(one({ name: 'name', magic: '', patch: (b) => b.write('ignored', 345) }).path).toBe('name')
    expect(one({ name: Buffer.from([0xff, 0x2f, 0x80]) }).path).toBe('\xff/\x80')
    expect(one({ name: 'old/', type: '\0', magic: '' }).kind).toBe('directory')
  })

  test('numbers in base 256, with spaces, and by pax', () => {
    const base256 = (value: bigint, at: number, length: number) => (block: Buffer) => {
      for (let i = length - 1, left = value; i >= 0; i--, left >>= 8n) block[at + i] = Number(left & 0xffn)
      block[at] = (block[at] ?? 0) | 0x80
    }
    expect(one({ name: 'f', patch: base256(2n ** 31n, 108, 8) }).uid).toBe(2 ** 31)
    expect(one({ name: 'f', patch: base256((1n << 96n) - 5n, 136, 12) }).mtime).toEqual({ seconds: -5, nanoseconds: 0 })
    expect(one({ name: 'f', patch: (b) => b.write('  644 \0', 100) }).mode).toBe(0o644)
    expect(
      one({
        name: 'f',
        pax: [
          ['uid', '4294967294'],
          ['mtime', '5.25'],
        ],
      }),
    ).toMatchObject({ uid: 4294967294, mtime: { seconds: 5, nanoseconds: 250_000_000 } })
    expect(one({ name: 'f', pax: [['mtime', '-1.5']] }).mtime).toEqual({ seconds: -2, nanoseconds: 500_000_000 })
  })

  test('extended attributes as bytes', () => {
    const value = Buffer.from([0, 1, 0x0a, 0xff])
    const { xattrs } = one({
      name: 'f',
      pax: [
        ['SCHILY.xattr.security.capability', value],
        ['SCHILY.xattr.user.empty', ''],
      ],
    })
    expect([...xattrs]).toEqual([
      ['security.capability', new Uint8Array(value)],
      ['user.empty', new Uint8Array(0)],
    ])
  })

  const sparse: [string, RawEntry][] = [
    [
      'old GNU',
      {
        name: 'holes',
        type: 'S',
        body: `${'a'.repeat(512)}bb`,
        magic: 'ustar  \0',
        patch: (b) => {
          for (const [i, value] of [10, 512, 1000, 2].entries())
            b.write(value.toString(8).padStart(11, '0'), 386 + i * 12)
          b.write((2000).toString(8).padStart(11, '0'), 483)
        },
      },
    ],
    [
      'pax 0.0',
      {
        name: 'holes',
        body: `${'a'.repeat(512)}bb`,
        pax: [
          ['GNU.sparse.size', '2000'],
          ['GNU.sparse.numblocks', '2'],
          ['GNU.sparse.offset', '10'],
          ['GNU.sparse.numbytes', '512'],
          ['GNU.sparse.offset', '1000'],
          ['GNU.sparse.numbytes', '2'],
        ],
      },
    ],
    [
      'pax 0.1',
      {
        name: 'odd',
        body: `${'a'.repeat(512)}bb`,
        pax: [
          ['GNU.sparse.size', '2000'],
          ['GNU.sparse.numblocks', '2'],
          ['GNU.sparse.name', 'holes'],
          ['GNU.sparse.map', '10,512,1000,2'],
        ],
      },
    ],
    [
      'pax 1.0',
      {
        name: 'odd',
        body: '2\n10\n512\n1000\n2\n'.padEnd(512, '\0') + `${'a'.repeat(512)}bb`,
        pax: [
          ['GNU.sparse.major', '1'],
          ['GNU.sparse.minor', '0'],
          ['GNU.sparse.name', 'holes'],
          ['GNU.sparse.realsize', '2000'],
        ],
      },
    ],
  ]
  test.each(sparse)('a sparse file in format %s', (_name, entry) => {
    const seen = one(entry)
    expect(seen).toMatchObject({ path: 'holes', size: 2000, sparse: true })
    expect([...seen.content]).toEqual([
      [10, 'a'.repeat(512)],
      [1000, 'bb'],
    ])
  })

  test('a comment for the whole archive, as git writes it', () => {
    const archive = rawTar([{ name: 'pax_global_header', type: 'g', body: '17 comment=abcde\n' }, { name: 'f' }])
    expect(read(archive).seen.map((e) => e.path)).toEqual(['f'])
  })

  test('archives without their end, at an entry boundary only', () => {
    const archive = rawTar([{ name: 'f', body: 'x' }], Buffer.alloc(0))
    expect(read(archive).terminated).toBe(false)
    expect(read(archive.subarray(0, 513)).terminated).toBe(false) // even the padding of the last entry may lack
    expect(read(rawTar([{ name: 'f' }], Buffer.alloc(512))).terminated).toBe(false)
    expect(read(rawTar([{ name: 'f' }], Buffer.alloc(10240))).terminated).toBe(true)
    expect(read(new Uint8Array(0)).terminated).toBe(false)
  })
})

describe('refuses an archive', () => {
  const file = rawEntry({ name: 'f', body: 'content' })
  test.each([
    ['cut inside a header', file.subarray(0, 300), 'tar.truncated', 'ends inside'],
    ['cut inside content', file.subarray(0, 515), 'tar.truncated', 'ends inside'],
    ['cut inside padding', file.subarray(0, 700), 'tar.truncated', 'ends inside'],
    [
      'that ends after an extended header',
      rawEntry({ name: 'f', pax: [['path', 'g']] }).subarray(0, 1024),
      'tar.truncated',
      'ends inside',
    ],
    [
      'with an extended header before its end',
      Buffer.concat([rawEntry({ name: 'f', pax: [['path', 'g']] }).subarray(0, 1024), Buffer.alloc(1024)]),
      'tar.malformed',
      'without an entry',
    ],
    [
      'with a flipped header byte',
      Buffer.concat([file.subarray(0, 3), Buffer.from('X'), file.subarray(4)]),
      'tar.malformed',
      'checksum',
    ],
    [
      'with another archive behind its end',
      Buffer.concat([rawTar([{ name: 'f' }]), rawTar([{ name: 'g' }])]),
      'tar.malformed',
      'after the end',
    ],
    [
      'with a global header between a long name and its entry',
      Buffer.concat([
        rawEntry({ name: 'f', gnuLongName: 'long' }).subarray(0, 1024),
        rawEntry({ name: 'g', type: 'g', body: '17 comment=abcde\n' }),
        file,
      ]),
      'tar.malformed',
      'global header between',
    ],
    [
      'with one zero block between entries',
      Buffer.concat([file, Buffer.alloc(512), file]),
      'tar.malformed',
      'single zero block',
    ],
  ])('%s', (_why, archive, code, message) => {
    expect(() => read(archive)).toThrow(refusal(code, message))
    expect(() => read(archive, 100)).toThrow(refusal(code, message))
  })

  test.each<[string, RawEntry, string, string]>([
    [
      'that two readers would size differently: a hard link with content',
      { name: 'h', type: '1', link: 'f', body: 'x' },
      'tar.malformed',
      'content',
    ],
    ['a directory with content', { name: 'd/', type: '5', body: 'x' }, 'tar.malformed', 'content'],
    ['a link to nowhere', { name: 'l', type: '2' }, 'tar.malformed', 'nowhere'],
    ['a continuation of another volume', { name: 'm', type: 'M' }, 'tar.unsupported', '"M"'],
    ['a directory dump', { name: 'd', type: 'D' }, 'tar.unsupported', '"D"'],
    ['an unknown type', { name: 'q', type: 'q' }, 'tar.unsupported', '"q"'],
    ['a size that is no number', { name: 'f', patch: (b) => b.write('12x', 124) }, 'tar.malformed', 'octal'],
    ['a negative size', { name: 'f', patch: (b) => b.fill(0xff, 124, 136) }, 'tar.malformed', 'negative'],
    [
      'a size beyond 2^53',
      { name: 'f', patch: (b) => b.fill(0x7f, 125, 136).writeUInt8(0x80, 124) },
      'tar.malformed',
      '2^53',
    ],
    ['two names', { name: 'f', pax: [['path', 'a']], gnuLongName: 'b' }, 'tar.malformed', 'two different'],
    [
      'the same pax key twice',
      {
        name: 'f',
        pax: [
          ['path', 'a'],
          ['path', 'b'],
        ],
      },
      'tar.malformed',
      'path twice',
    ],
    ['a NUL in its pax path', { name: 'f', pax: [['path', 'a\0b']] }, 'tar.malformed', 'NUL'],
    ['a pax size that is no number', { name: 'f', pax: [['size', '-1']] }, 'tar.malformed', 'size is not a number'],
    [
      'a file by its type that is a directory by its name: so GNU tar reads it, and Go not',
      { name: 'd/', type: '0' },
      'tar.malformed',
      'by its name',
    ],
    [
      'a sparse file without a map, which Go takes for an empty file under its other name',
      {
        name: 'f',
        pax: [
          ['GNU.sparse.size', '2000'],
          ['GNU.sparse.name', 'other'],
        ],
      },
      'tar.malformed',
      'without a map',
    ],
    [
      'half a sparse version, which Go takes for none',
      {
        name: 'f',
        body: '1\n0\n4\n'.padEnd(512, '\0') + 'AAAA',
        pax: [
          ['GNU.sparse.major', '1'],
          ['GNU.sparse.realsize', '9'],
        ],
      },
      'tar.malformed',
      'half a version',
    ],
    [
      'two sparse maps',
      {
        name: 'f',
        body: 'a'.repeat(512),
        pax: [
          ['GNU.sparse.size', '2000'],
          ['GNU.sparse.map', '0,512'],
          ['GNU.sparse.offset', '1024'],
          ['GNU.sparse.numbytes', '512'],
        ],
      },
      'tar.malformed',
      'two maps',
    ],
    [
      'two sparse sizes',
      {
        name: 'f',
        body: 'aa',
        pax: [
          ['GNU.sparse.size', '9'],
          ['GNU.sparse.realsize', '8'],
          ['GNU.sparse.map', '0,2'],
        ],
      },
      'tar.malformed',
      'two sizes',
    ],
    [
      'a sparse map that overlaps',
      {
        name: 'f',
        body: 'a'.repeat(1024),
        pax: [
          ['GNU.sparse.size', '9000'],
          ['GNU.sparse.map', '0,512,100,512'],
        ],
      },
      'tar.malformed',
      'overlaps',
    ],
    [
      'a sparse map that GNU tar and Go read differently',
      {
        name: 'f',
        body: 'aaaa',
        pax: [
          ['GNU.sparse.size', '9'],
          ['GNU.sparse.map', '0,2,4,2'],
        ],
      },
      'tar.malformed',
      'multiple of 512',
    ],
    [
      'a sparse map beyond its file',
      {
        name: 'f',
        body: 'aa',
        pax: [
          ['GNU.sparse.size', '3'],
          ['GNU.sparse.map', '2,2'],
        ],
      },
      'tar.malformed',
      'beyond',
    ],
    [
      'a sparse map that leaves content over',
      {
        name: 'f',
        body: 'aaaa',
        pax: [
          ['GNU.sparse.size', '9'],
          ['GNU.sparse.map', '0,2'],
        ],
      },
      'tar.malformed',
      'covers 2 bytes',
    ],
    [
      'a sparse map without end',
      {
        name: 'f',
        body: '9'.padEnd(512, '\n9'),
        pax: [
          ['GNU.sparse.major', '1'],
          ['GNU.sparse.minor', '0'],
          ['GNU.sparse.realsize', '9'],
        ],
      },
      'tar.malformed',
      'sparse map',
    ],
    [
      'an unknown sparse format',
      {
        name: 'f',
        pax: [
          ['GNU.sparse.major', '2'],
          ['GNU.sparse.realsize', '9'],
        ],
      },
      'tar.malformed',
      'sparse format',
    ],
  ])('with %s', (_why, entry, code, message) => {
    expect(() => one(entry)).toThrow(refusal(code, message))
  })

  test.each([
    ['path=x', 'without a length'],
    ['99 path=x\n', 'does not end'],
    ['8 path=x', 'does not end'],
    ['5 =x\n', 'without a key'],
    ['07 a=bc\n', 'without a length'],
    ['9999999999 a=b\n', 'without a length'],
  ])('with the pax record %j', (body, message) => {
    expect(() => read(rawTar([{ name: 'p', type: 'x', body }, { name: 'f' }]))).toThrow(
      refusal('tar.malformed', message),
    )
  })

  test('whose global header would rename every entry', () => {
    expect(() => read(rawTar([{ name: 'g', type: 'g', body: '10 path=x\n' }, { name: 'f' }]))).toThrow(
      refusal('tar.malformed', 'global'),
    )
  })

  test('with an extended header of more than a mebibyte, before reading it', () => {
    expect(() => read(rawEntry({ name: 'p', type: 'x', size: 2 ** 21 }))).toThrow(
      refusal('tar.malformed', 'extended header'),
    )
  })
})

test('fuzz: changed, cut and joined archives give entries or our error, never another', () => {
  const base = rawTar([
    { name: 'dir/', type: '5' },
    {
      name: 'f',
      body: 'x'.repeat(700),
      pax: [
        ['path', 'dir/f'],
        ['SCHILY.xattr.user.a', 'b'],
        ['mtime', '1.5'],
      ],
    },
    {
      name: 'odd',
      body: '1\n0\n3\n'.padEnd(512, '\0') + 'aaa',
      pax: [
        ['GNU.sparse.major', '1'],
        ['GNU.sparse.minor', '0'],
        ['GNU.sparse.realsize', '99'],
      ],
    },
    { name: 'l', type: '2', link: 'f', gnuLongName: 'long'.repeat(40) },
  ])
  let entries = 0
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { maxLength: 6 }),
      fc.nat(base.length),
      fc.integer({ min: 1, max: 2000 }),
      fc.boolean(),
      (changes, length, chunk, mend) => {
        const archive = Buffer.from(base)
        for (const [at, value] of changes) archive[at] = value
        if (mend) mendChecksums(archive)
        try {
          entries += read(archive.subarray(0, length % 3 === 0 ? length : base.length), chunk).seen.length
        } catch (error) {
          expect(error).toBeInstanceOf(ImageError)
        }
      },
    ),
    { seed: 77, numRuns: 3000 },
  )
  expect(entries).toBeGreaterThan(1000) // the fuzzing reaches behind the checksum
})

function mendChecksums(archive: Buffer): void {
  for (let at = 0; at + 512 <= archive.length; at += 512) {
    const block = archive.subarray(at, at + 512)
    if (block.toString('latin1', 257, 262) !== 'ustar') continue
    block.fill(0x20, 148, 156)
    block.write(
      block
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(7, '0'),
      148,
    )
    block[155] = 0
  }
}
