import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  linkSync,
  mkdirSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
  openSync,
  closeSync,
} from 'node:fs'
import path from 'node:path'
import zlib from 'node:zlib'
import { rawTar, type RawEntry } from '../../packages/image/src/testing/archive.ts'
import type { RawLayer } from '../../packages/image/src/testing/image.ts'

/** An image to unpack on both sides: its layers, lowest first. */
export interface NastyImage {
  readonly name: string
  /** `tar` for what umoci refuses: GNU's own sparse entries. One layer then. */
  readonly peer?: 'umoci' | 'tar'
  /** @param scratch - An empty directory for files on the way. */
  readonly layers: (scratch: string) => readonly RawLayer[]
}

const dir = (name: string, mode = 0o755): RawEntry => ({ name, type: '5', mode })
const file = (name: string, body = name): RawEntry => ({ name, body })
const link = (name: string, target: string): RawEntry => ({ name, type: '2', link: target })
const hard = (name: string, target: string): RawEntry => ({ name, type: '1', link: target })
const plain =
  (...layers: (readonly RawEntry[])[]) =>
  () =>
    layers.map((entries) => ({ tar: rawTar(entries) }))
const GZIP = 'application/vnd.oci.image.layer.v1.tar+gzip'

const base = [dir('d', 0o750), file('d/a'), file('d/b'), dir('d/sub'), file('d/sub/c'), file('e'), link('l', 'd')]

const sparseGnu = (block: Buffer) => {
  for (const [i, value] of [4096, 512, 70_000, 2, 100_000, 0].entries())
    block.write(value.toString(8).padStart(11, '0'), 386 + i * 12)
  block.write((100_000).toString(8).padStart(11, '0'), 483)
}
const base256 = (value: bigint, at: number, length: number) => (block: Buffer) => {
  for (let i = length - 1, left = value; i >= 0; i--, left >>= 8n) block[at + i] = Number(left & 0xffn)
  block[at] = (block[at] ?? 0) | 0x80
}

/** What GNU tar makes of a tree with everything in it. */
function gnuTar(scratch: string, format: string): RawLayer {
  const tree = path.join(scratch, 'tree')
  nastyTree(tree, format === 'pax' || format === 'gnu')
  const tar = execFileSync(
    'tar',
    [
      `--format=${format}`,
      ...(format === 'pax' || format === 'gnu' ? ['--sparse'] : []),
      ...(format === 'pax' ? ['--xattrs', '--xattrs-include=*'] : []),
      '-C',
      tree,
      '-cf',
      '-',
      '.',
    ],
    { maxBuffer: 2 ** 28 },
  )
  return { tar }
}

export function nastyTree(root: string, longNames: boolean): void {
  mkdirSync(path.join(root, 'deep/er/and/deeper'), { recursive: true })
  mkdirSync(path.join(root, 'closed'))
  for (const [name, size] of [
    ['zero', 0],
    ['one', 1],
    ['block', 512],
    ['more', 513],
    ['large', 3_000_001],
  ] as const)
    writeFileSync(path.join(root, name), Buffer.alloc(size, name))
  writeFileSync(path.join(root, 'deep/er/with space\nand line'), 'x')
  writeFileSync(path.join(root, 'deep/er/ünïcode'), 'x')
  writeFileSync(Buffer.concat([Buffer.from(`${root}/deep/latin-`), Buffer.from([0xe9])]), 'x')
  if (longNames) {
    mkdirSync(path.join(root, 'n'.repeat(90), 'm'.repeat(90)), { recursive: true })
    writeFileSync(path.join(root, 'n'.repeat(90), 'm'.repeat(90), 'o'.repeat(120)), 'x')
    symlinkSync('t'.repeat(300), path.join(root, 'long-link'))
  }
  linkSync(path.join(root, 'one'), path.join(root, 'deep/one-again'))
  linkSync(path.join(root, 'one'), path.join(root, 'deep/er/one-more'))
  symlinkSync('../one', path.join(root, 'deep/to-one'))
  symlinkSync('/etc/passwd', path.join(root, 'deep/absolute'))
  chmodSync(path.join(root, 'one'), 0o4755)
  chmodSync(path.join(root, 'block'), 0o2711)
  chmodSync(path.join(root, 'deep/er'), 0o1777)
  writeFileSync(path.join(root, 'closed/inside'), 'x')
  chmodSync(path.join(root, 'closed'), 0o500)
  const holes = path.join(root, 'holes')
  writeFileSync(holes, 'start')
  truncateSync(holes, 5_000_000)
  const handle = openSync(holes, 'r+')
  writeSync(handle, 'middle', 2_000_000)
  closeSync(handle)
}

export const IMAGES: readonly NastyImage[] = [
  { name: 'a plain tree', layers: plain(base) },
  {
    name: 'names: pax, GNU, prefix, UTF-8, spaces, lines, bytes',
    layers: plain([
      { ...file('x', '1'), pax: [['path', `${'p'.repeat(200)}/${'q'.repeat(200)}`]] },
      { ...file('x', '2'), gnuLongName: 'g'.repeat(255) },
      { ...file('name', '3'), patch: (b) => b.write('some/prefix', 345) },
      file('ünï/cødé'),
      file('with space'),
      file('line\nbreak'),
      file('back\\slash'),
      file('C:colon'),
      { name: Buffer.from([0x62, 0xff, 0xfe]), body: '4' },
      file('./dotted/./path//twice'),
      file('-dash'),
      file('#hash = "quote"'),
    ]),
  },
  {
    name: 'modes: setuid, setgid, sticky, none',
    layers: plain([
      { ...file('su'), mode: 0o4755 },
      { ...file('sg'), mode: 0o2755 },
      { ...file('none'), mode: 0 },
      dir('tmp', 0o1777),
      dir('mail', 0o2775),
      dir('shut', 0),
      file('shut/inside'),
    ]),
  },
  {
    name: 'owners, also large and in base 256',
    layers: plain([
      { ...file('one'), uid: 1000, gid: 2000 },
      { ...file('big'), patch: base256(3_000_000_000n, 108, 8) },
      {
        ...file('pax'),
        pax: [
          ['uid', '70000'],
          ['gid', '80000'],
        ],
      },
      { ...dir('d'), uid: 33, gid: 33 },
      { ...link('l', 'd'), uid: 44, gid: 44 },
    ]),
  },
  {
    name: 'symbolic links: absolute, dangling, long',
    layers: plain([
      link('abs', '/etc/passwd'),
      link('gone', 'nowhere'),
      { ...link('long', 'x'), pax: [['linkpath', 't'.repeat(1000)]] },
      { ...link('gnu', 'x'), gnuLongLink: 'u'.repeat(200) },
      link('up', '../../../..'),
    ]),
  },
  {
    name: 'hard links: chains, to a link, across directories',
    layers: plain([
      file('a'),
      hard('b', 'a'),
      hard('c', 'b'),
      dir('d'),
      hard('d/e', './a'),
      link('l', 'a'),
      hard('m', 'l'),
    ]),
  },
  {
    name: 'hard links to a lower layer',
    layers: plain(base, [hard('twin', 'd/sub/c'), hard('other', 'd/../e'.replace('d/../', ''))]),
  },
  {
    name: 'a hard link whose first name is then hidden',
    layers: plain([file('a'), hard('b', 'a')], [{ name: '.wh.a' }]),
  },
  {
    name: 'whiteouts of a file and of a directory',
    layers: plain(base, [{ name: 'd/.wh.a' }, { name: 'd/.wh.sub' }, { name: '.wh.e' }, { name: '.wh.absent' }]),
  },
  {
    name: 'an opaque directory, first in its layer',
    layers: plain(base, [dir('d'), { name: 'd/.wh..wh..opq' }, file('d/new')]),
  },
  {
    name: 'an opaque directory, last in its layer',
    layers: plain(base, [dir('d'), file('d/new'), { name: 'd/.wh..wh..opq' }]),
  },
  { name: 'a whiteout and the same name again', layers: plain(base, [{ name: '.wh.e' }, file('e', 'new')]) },
  {
    name: 'kinds that replace each other',
    layers: plain(
      [
        file('f-d'),
        file('f-l'),
        dir('d-f'),
        file('d-f/x'),
        dir('d-l'),
        file('d-l/x'),
        link('l-f', 'f-d'),
        link('l-d', 'd-f'),
      ],
      [
        dir('f-d'),
        file('f-d/x'),
        link('f-l', 'x'),
        file('d-f'),
        link('d-l', 'x'),
        file('l-f', 'not through the link'),
        dir('l-d'),
      ],
    ),
  },
  {
    name: 'devices and FIFOs',
    layers: plain([
      { name: 'null', type: '3', device: [1, 3], mode: 0o666 },
      { name: 'disk', type: '4', device: [8, 300], mode: 0o660, gid: 6 },
      { name: 'pipe', type: '6', mode: 0o600 },
      { name: Buffer.from([0x70, 0xfe]), type: '6', mode: 0o622 },
    ]),
  },
  {
    name: 'extended attributes: user, capabilities, trusted, binary',
    layers: plain(
      [
        {
          ...file('cap'),
          mode: 0o755,
          pax: [['SCHILY.xattr.security.capability', Buffer.from('0100000200200000000000000000000000000000', 'hex')]],
        },
        {
          ...file('user'),
          pax: [
            ['SCHILY.xattr.user.note', 'text with = and \n line'],
            ['SCHILY.xattr.user.bytes', Buffer.from([0, 1, 255])],
          ],
        },
        { ...dir('trusted'), pax: [['SCHILY.xattr.trusted.thing', 'y']] },
        { ...file('odd = name\n'), pax: [['SCHILY.xattr.user.a', 'b']] },
        { ...file('moved'), pax: [['SCHILY.xattr.user.gone', 'b']] },
      ],
      [file('moved', 'without attributes')],
    ),
  },
  {
    name: 'sparse files in the formats of pax',
    layers: plain([
      {
        name: 'pax00',
        body: `${'a'.repeat(512)}bb`,
        pax: [
          ['GNU.sparse.size', '100000'],
          ['GNU.sparse.numblocks', '2'],
          ['GNU.sparse.offset', '4096'],
          ['GNU.sparse.numbytes', '512'],
          ['GNU.sparse.offset', '70000'],
          ['GNU.sparse.numbytes', '2'],
        ],
      },
      {
        name: 'x',
        body: `${'a'.repeat(512)}bb`,
        pax: [
          ['GNU.sparse.size', '100000'],
          ['GNU.sparse.numblocks', '2'],
          ['GNU.sparse.name', 'pax01'],
          ['GNU.sparse.map', '4096,512,70000,2'],
        ],
      },
      {
        name: 'x',
        body: `${'2\n4096\n512\n70000\n2\n'.padEnd(512, '\0')}${'a'.repeat(512)}bb`,
        pax: [
          ['GNU.sparse.major', '1'],
          ['GNU.sparse.minor', '0'],
          ['GNU.sparse.name', 'pax10'],
          ['GNU.sparse.realsize', '100000'],
        ],
      },
    ]),
  },
  {
    name: 'times: 1970, far future, fractions, of directories written into later',
    layers: plain(
      [
        { ...file('zero'), mtime: 0 },
        { ...file('far'), pax: [['mtime', '8000000000']] },
        { ...file('part'), pax: [['mtime', '1234567890.123456789']] },
        { ...dir('d'), mtime: 1000 },
        { ...file('d/x'), mtime: 2000 },
        { ...link('l', 'x'), mtime: 3000 },
      ],
      [file('d/later')],
    ),
  },
  {
    name: 'files through links of a lower layer',
    layers: plain(
      [dir('usr'), dir('usr/lib'), link('lib', 'usr/lib'), link('abs', '/usr/lib')],
      [file('lib/one'), file('abs/two')],
    ),
  },
  {
    name: 'gzip in several members',
    layers: () => {
      const tar = rawTar(base)
      return [
        {
          tar,
          blob: Buffer.concat([zlib.gzipSync(tar.subarray(0, 1000)), zlib.gzipSync(tar.subarray(1000))]),
          mediaType: GZIP,
        },
      ]
    },
  },
  { name: 'an archive without its end', layers: () => [{ tar: rawTar([file('a'), file('b')], Buffer.alloc(0)) }] },
  {
    name: 'a root with a mode, an owner and a time',
    layers: plain([{ ...dir('./', 0o711), uid: 5, mtime: 12345 }, file('x')]),
  },
  { name: 'an empty layer, and one layer twice', layers: plain([], [file('x'), dir('d')], [file('x'), dir('d')]) },
  {
    name: 'a sparse file as GNU writes it',
    peer: 'tar',
    layers: plain([{ name: 'gnu', type: 'S', body: `${'a'.repeat(512)}bb`, magic: 'ustar  \0', patch: sparseGnu }]),
  },
  { name: 'a tree by GNU tar, format gnu', peer: 'tar', layers: (scratch: string) => [gnuTar(scratch, 'gnu')] },
  ...['pax', 'ustar', 'v7'].map((format) => ({
    name: `a tree by GNU tar, format ${format}`,
    layers: (scratch: string) => [gnuTar(scratch, format)],
  })),
]
