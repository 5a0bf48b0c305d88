import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import path from 'node:path'
import { tmpdir } from 'node:os'
import { FAITHFUL, ImageLayout, unpackImage } from '@vouchsafe/image'
import { writeRawImage } from '../../packages/image/src/testing/image.ts'
import { listTree } from '../../packages/image/src/testing/listing.ts'
import { IMAGES, nastyTree } from './images.ts'

/*
 * Peer: Debian's umoci. Both unpack the same images; names, kinds, modes, owners, times, contents, link groups and
 * extended attributes must be the same. What is known to differ is listed here and nowhere else:
 *  - directories that no entry describes: umoci leaves the time of unpacking, we write 1970;
 *  - times: Node sets them to a quarter of a microsecond, so seconds are compared.
 */
if (process.getuid?.() !== 0) {
  console.error('run as root: owners, devices and trusted attributes are compared')
  process.exit(2)
}
const scratch = mkdtempSync(path.join(tmpdir(), 'vouchsafe-interop-'))
let passed = 0
let failed = 0
let count = 0
const fresh = () => path.join(scratch, `d${count++}`)

function attributes(root: string): string {
  return execFileSync('getfattr', ['-R', '-h', '-d', '-m', '-', '-e', 'hex', '.'], {
    cwd: root,
    encoding: 'latin1',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
    .split('\n\n')
    .map((stanza) => stanza.split('\n').sort().join('\n'))
    .sort()
    .join('\n\n')
}

type Peer = (layout: string, tag: string) => string

const byUmoci: Peer = (layout, tag) => {
  const bundle = fresh()
  execFileSync('umoci', ['unpack', '--image', `${layout}:${tag}`, bundle], { stdio: ['ignore', 'ignore', 'pipe'] })
  return path.join(bundle, 'rootfs')
}

function byTar(archive: Uint8Array): string {
  const target = fresh()
  mkdirSync(target)
  const options = ['--numeric-owner', '--xattrs', '--xattrs-include=*', '--same-owner', '-p', '-C', target, '-xf', '-']
  execFileSync('tar', options, { input: archive, stdio: ['pipe', 'ignore', 'pipe'] })
  return target
}

async function compare(name: string, layout: string, tag = 'v1', peer: Peer = byUmoci): Promise<void> {
  try {
    const source = await ImageLayout.open(layout)
    const ours = fresh()
    await unpackImage(source, source.find(tag).digest, ours, { profile: FAITHFUL })
    const theirs = peer(layout, tag)
    const [left, right] = [listTree(ours), listTree(theirs)]
    const wrong = [...new Set([...Object.keys(left), ...Object.keys(right)])].filter((file) => {
      const [a, b] = [left[file], right[file]]
      // ours has no time where no entry described the directory
      const implied = a !== undefined && /^d \d+ \d+:\d+$/.test(a)
      return a !== b && !(implied && b?.replace(/ t\d+$/, '') === a)
    })
    const [mine, peers] = [attributes(ours), attributes(theirs)]
    if (wrong.length > 0 || mine !== peers) {
      failed++
      console.log(`FAILED  ${name}`)
      for (const file of wrong.slice(0, 5))
        console.log(`        ${file}\n          ours   ${left[file]}\n          peer   ${right[file]}`)
      if (mine !== peers) console.log(`        attributes, ours:\n${mine}\n        peer:\n${peers}`)
      return
    }
    passed++
    console.log(`ok      ${name} (${Object.keys(left).length} paths)`)
  } catch (error) {
    failed++
    const { message, stderr } = error as Error & { stderr?: Buffer }
    console.log(`FAILED  ${name}\n        ${message.slice(0, 400)} ${stderr?.toString().slice(0, 400) ?? ''}`)
  }
}

try {
  for (const { name, layers, peer } of IMAGES) {
    const layout = fresh()
    const place = fresh()
    mkdirSync(place)
    const made = layers(place)
    writeRawImage(layout, made)
    await (peer === 'tar'
      ? compare(`${name} (by GNU tar)`, layout, 'v1', () => byTar(made[0]?.tar ?? new Uint8Array()))
      : compare(name, layout))
  }
  // images that umoci itself writes: its insert leaves out the end of the archive
  const layout = fresh()
  const tree = fresh()
  nastyTree(tree, true)
  const umoci = (...args: string[]) => execFileSync('umoci', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  umoci('init', '--layout', layout)
  umoci('new', '--image', `${layout}:v1`)
  umoci('insert', '--image', `${layout}:v1`, tree, '/inserted')
  await compare('a tree that umoci inserted', layout)
  const bundle = fresh()
  umoci('unpack', '--image', `${layout}:v1`, bundle)
  rmSync(path.join(bundle, 'rootfs/inserted/deep'), { recursive: true })
  umoci('repack', '--image', `${layout}:v2`, bundle)
  await compare('a layer of removals that umoci repacked', layout, 'v2')
  if (existsSync('/usr/share/perl') && existsSync('/etc')) {
    const system = fresh()
    const tar = execFileSync(
      'tar',
      [
        '-C',
        '/',
        '--one-file-system',
        '-cf',
        '-',
        'etc',
        'usr/share/perl',
        'usr/bin',
        'usr/lib/tmpfiles.d',
        'var/lib/dpkg/info',
      ],
      { maxBuffer: 2 ** 31, stdio: ['ignore', 'pipe', 'ignore'] },
    )
    writeRawImage(system, [{ tar }])
    await compare(`this machine's own /etc and /usr/bin, ${Math.round(tar.length / 1e6)} MB`, system)
  }
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
