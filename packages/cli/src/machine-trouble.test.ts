import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { VouchsafeError } from '@vouchsafe/core'
import { ImageError } from '@vouchsafe/image'
import { CommandLine, vouchsafe } from './commands/testing/command-line.ts'
import { report } from './report.ts'

const line = new CommandLine()
const disk = line.file('disk')
const canMount = (() => {
  mkdirSync(disk)
  const tried = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk])
  if (tried.status !== 0) console.error('SKIPPED: no file system can be mounted here, so none is full or read-only')
  return tried.status === 0
})()

beforeAll(() => {
  mkdirSync(line.file('src'))
  line.write('pass', 'open sesame')
  line.write('src/large', 'x'.repeat(1_000_000))
  line.write(
    'app.json',
    JSON.stringify({ vouchsafe: 'image/v1', layers: [{ directory: 'src', at: '/app' }], entrypoint: ['/app/large'] }),
  )
})
afterAll(() => {
  if (canMount) spawnSync('umount', [disk])
  line.remove()
})

function told(error: unknown): { code: string; message: string; hint: string; status: number } {
  const written: string[] = []
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => written.push(String(text)) > 0)
  try {
    const status = report(error, true)
    return { ...(JSON.parse(written.join('')) as { error: ReturnType<typeof told> }).error, status }
  } finally {
    write.mockRestore()
  }
}

const system = (code: string) => Object.assign(new Error(`${code}: no`), { code, syscall: 'open' })

test.each([
  ['ENOSPC', /full/],
  ['EDQUOT', /quota/],
  ['EROFS', /read-only/],
  ['EMFILE', /ulimit/],
  ['ENFILE', /file-max/],
])('%s is told by one code wherever it struck', (code, hint) => {
  const cause = system(code)
  for (const error of [
    cause,
    new ImageError('store.filesystem', 'no', { cause }),
    new ImageError('build.input', 'no', { cause }),
    new VouchsafeError('internal', 'no', { cause: new Error('no', { cause }) }),
  ])
    expect(told(error)).toMatchObject({ code: 'machine.refused', status: 4, hint: expect.stringMatching(hint) })
})

test('what is not permitted has that code too, unless the package says what it was for', () => {
  const cause = system('EACCES')
  expect(told(cause)).toMatchObject({ code: 'machine.refused', status: 4 })
  expect(told(new ImageError('unpack.target', 'no', { cause }))).toMatchObject({ code: 'machine.refused' })
  expect(told(new ImageError('policy.material', 'no', { cause }))).toMatchObject({ code: 'policy.material', status: 3 })
})

test('a path that is not there stays an input that is wrong', () => {
  expect(told(system('ENOENT'))).toMatchObject({ code: 'input.malformed', status: 3 })
  expect(told(new Error('no'))).toMatchObject({ code: 'internal', status: 5 })
})

test('a reader of a pipe who goes ends the command quietly; a full device behind > is told', () => {
  const run = (to: string) =>
    spawnSync(
      'bash',
      ['-c', `'${process.execPath}' '${vouchsafe}' image build --help ${to}; echo "\${PIPESTATUS[0]}"`],
      {
        encoding: 'utf8',
      },
    )
  const gone = run('| true')
  expect([gone.stdout, gone.stderr]).toEqual(['141\n', ''])
  const full = run('> /dev/full')
  expect(full.stdout).toBe('4\n')
  expect(full.stderr).toMatch(/^vouchsafe: machine\.refused: .*ENOSPC[^\n]*\nhint: the disk is full[^\n]*\n$/)
})

describe.runIf(canMount)('on a disk', () => {
  const refused = (...args: readonly string[]) => line.refusal('image', ...args)
  const unsigned = '--dangerously-accept-unsigned'

  test('that is full, each command says so, and leaves nothing half done', async () => {
    await line.answer('image', 'build', 'app.json', '--out', 'oci:built:v1')
    for (const args of [
      ['build', 'app.json', '--out', 'oci:disk/layout:v1'],
      ['build', 'app.json', '--out', 'oci-archive:disk/app.tar:v1'],
      ['copy', 'oci:built:v1', 'oci:disk/copy:v1'],
      ['pull', 'oci:built:v1', '--to', 'disk/rootfs', unsigned],
      ['pull', 'oci:built:v1', '--store', 'disk/store', unsigned],
    ]) {
      const { status, code, message, hint } = await refused(...args)
      expect([args[0], status, code, message], message).toEqual([
        args[0],
        4,
        'machine.refused',
        expect.stringContaining('ENOSPC'),
      ])
      expect(hint).toContain('full')
    }
    expect((await refused('build', 'app.json', '--out', 'oci:disk/layout:v1')).message).toContain('oci:disk/layout:v1')
    expect(readdirSync(disk)).toEqual(['store'])
  })

  test('that is read-only, each command says so', async () => {
    execFileSync('mount', ['-o', 'remount,ro', disk])
    try {
      for (const args of [
        ['build', 'app.json', '--out', 'oci:disk/layout:v1'],
        ['build', 'app.json', '--out', 'oci-archive:disk/app.tar:v1'],
        ['pull', 'oci:built:v1', '--to', 'disk/rootfs', unsigned],
        ['pull', 'oci:built:v1', '--store', 'disk/store', unsigned],
        ['key', 'disk/owner.key', '--passphrase-file', 'pass'],
      ])
        expect(await refused(...args), args.join(' ')).toMatchObject({ status: 4, code: 'machine.refused' })
    } finally {
      execFileSync('mount', ['-o', 'remount,rw', disk])
    }
  })
})
