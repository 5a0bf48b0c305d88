import { copyFileSync, readFileSync, rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ImageLayout, parseDigest, pushImage } from '@vouchsafe/image'
import { GitRepository } from '../../../../image/src/testing/git.ts'
import { client, local } from '../../../../image/src/testing/registry-client.ts'
import { FakeRegistry } from '../../../../image/src/testing/registry.ts'
import { CommandLine } from '../testing/command-line.ts'

const line = new CommandLine()
const git = new GitRepository(line.file('repo'))
const server = new FakeRegistry()
const SOURCE = 'git+https://git.example/team/app'
let commit = ''
const run = (...args: readonly string[]) => line.run('image', ...args)
const answer = <T>(...args: readonly string[]) => line.answer<T>('image', ...args)
const IDENTITY = [
  '--identity',
  'builder.identity.json',
  '--identity-key',
  'builder',
  '--passphrase-file',
  'pass',
] as const
const from = (id: string) => ['--from-commit', id, '--repository', 'repo'] as const
const describeImage = (layers: readonly object[]) =>
  JSON.stringify({ vouchsafe: 'image/v1', layers, entrypoint: ['/app'] })

beforeAll(async () => {
  await server.start()
  line.write('pass', 'open sesame\n')
  git.write('app.json', describeImage([{ directory: 'src', at: '/app' }]))
  git.write('src/main.js', 'one\n')
  commit = git.commit()
  for (const name of ['builder', 'stranger'])
    await answer('key', name, '--passphrase-file', 'pass', '--builds', SOURCE, '--repository', 'repo')
})
afterAll(() => {
  server.close()
  line.remove()
})

describe('vouchsafe image build --from-commit, provenance', () => {
  test('CS-04 builds the commit and not the work tree, and says so under an identity of its own', async () => {
    git.write('src/main.js', 'not committed\n')
    git.write('src/strange.js', 'nobody saw this\n')
    const built = await answer<{ digest: string }>(
      'build',
      'app.json',
      ...from(commit),
      '--out',
      'oci:built:v1',
      ...IDENTITY,
      '--provenance',
      'app.provenance',
    )
    // the same as from a clean clone of that commit
    git.git(['clone', '--quiet', '.', line.file('clone')])
    const clean = await answer<{ digest: string }>('build', 'clone/app.json', '--out', 'oci:clean:v1')
    expect(built.digest).toBe(clean.digest)
    const yes = await answer<{ provenance: object }>(
      'provenance',
      'oci:built:v1',
      '--identity',
      'builder.identity.json',
      '--commit',
      commit,
      '--file',
      'app.provenance',
    )
    expect(yes).toMatchObject({
      accepted: true,
      digest: built.digest,
      provenance: {
        source: SOURCE,
        commit,
        tree: git.git(['rev-parse', `${commit}^{tree}`]),
        description: 'app.json',
        builder: expect.stringMatching(/^vouchsafe:build-identity:sha256:[0-9a-f]{64}$/),
      },
    })
    const again = await run('build', 'app.json', ...from(commit), '--check', 'oci:built:v1')
    expect([again.status, again.stdout]).toEqual([0, expect.stringContaining('the same')])
  })

  test('CS-04 another commit, another identity and another image are refused', async () => {
    const second = git.commit()
    await answer('build', 'app.json', ...from(second), '--out', 'oci:second:v1')
    const check = (image: string, identity: string, id: string) =>
      run('provenance', image, '--identity', identity, '--commit', id, '--file', 'app.provenance')
    for (const [image, identity, id, why] of [
      ['oci:built:v1', 'builder.identity.json', second, 'built from commit'],
      ['oci:built:v1', 'stranger.identity.json', commit, 'signature.unverified'],
      ['oci:second:v1', 'builder.identity.json', commit, 'another image'],
    ] as const) {
      const { status, stdout } = await check(image, identity, id)
      expect([status, stdout]).toEqual([1, expect.stringContaining(why)])
    }
    copyFileSync(line.file('builder.identity.json'), line.file('elsewhere.json'))
    line.write('elsewhere.json', readFileSync(line.file('elsewhere.json'), 'utf8').replace('team/app', 'team/other'))
    const elsewhere = await check('oci:built:v1', 'elsewhere.json', commit)
    expect([elsewhere.status, elsewhere.stdout]).toEqual([1, expect.stringContaining(`built from ${SOURCE}`)])
  })

  test('CS-04 an identity says nothing of another repository, nor by another’s key', async () => {
    const other = new GitRepository(line.file('other'))
    other.write('app.json', describeImage([{ directory: '.' }]))
    const foreign = other.commit('another beginning')
    const build = (more: readonly string[], id: string, dir: string) =>
      run(
        'build',
        'app.json',
        '--from-commit',
        id,
        '--repository',
        dir,
        '--out',
        'oci:foreign:v1',
        '--provenance',
        'p',
        ...more,
      )
    const refused = await build(IDENTITY, foreign, 'other')
    expect([refused.status, refused.stderr]).toEqual([3, expect.stringContaining('comes from')])
    const mixed = IDENTITY.map((word) => (word === 'builder' ? 'stranger' : word))
    const wrong = await build(mixed, commit, 'repo')
    expect([wrong.status, wrong.stderr]).toEqual([2, expect.stringContaining('is not the key of')])
    expect((await build(IDENTITY.slice(0, 2), commit, 'repo')).status).toBe(2)
  })

  test('CS-04 a name that may move, and a provenance of a work tree, are refused, and what to do is said', async () => {
    const moving = await run('build', 'app.json', ...from('main'), '--out', 'oci:x:v1')
    expect([moving.status, moving.stderr]).toEqual([2, expect.stringContaining('rev-parse --verify main')])
    const dirty = await run('build', 'repo/app.json', '--out', 'oci:x:v1', ...IDENTITY, '--provenance', 'p')
    expect([dirty.status, dirty.stderr]).toEqual([2, expect.stringContaining('--from-commit ID')])
  })

  test('CS-04 a base in a layout lies beside the file’s place in the repository, and its digest holds', async () => {
    const layers = [{ files: [{ path: '/x', text: 'x' }] }]
    line.write('base.json', describeImage(layers))
    const { digest } = await answer<{ digest: string }>('build', 'base.json', '--out', 'oci:repo/base:v1')
    git.write('based.json', JSON.stringify({ vouchsafe: 'image/v1', base: `oci:base@${digest}`, layers }))
    rmSync(line.file('repo/base'), { recursive: true })
    const id = git.commit()
    await answer('build', 'base.json', '--out', 'oci:repo/base:v1')
    const built = await answer<{ layers: object[] }>('build', 'based.json', ...from(id), '--out', 'oci:based:v1')
    expect(built.layers).toHaveLength(2)
  })

  test('CS-04 takes nothing of the machine it runs on: not by path, and not through a link of the commit', async () => {
    line.write('secret', 'of the machine')
    git.link('way-out', line.file('.'))
    for (const [name, layer] of [
      ['up.json', { directory: '..' }],
      ['absolute.json', { files: [{ path: 'x', from: line.file('secret') }] }],
      ['link.json', { files: [{ path: 'x', from: 'way-out/secret' }] }],
      ['linked.json', { directory: 'way-out' }],
    ] as const)
      git.write(name, describeImage([layer]))
    git.link('itself.json', line.file('repo/app.json'))
    const id = git.commit()
    for (const name of [
      'up.json',
      'absolute.json',
      'link.json',
      'linked.json',
      'itself.json',
      line.file('repo/app.json'),
    ]) {
      const { status, stderr } = await run('build', name, ...from(id), '--out', 'oci:out:v1')
      expect([name, status, stderr]).toEqual([name, 2, expect.stringContaining('outside of the commit')])
    }
  })

  test('CS-04 attached to the image in its registry, and found there beside a stranger’s word', async () => {
    line.write('registries.json', JSON.stringify({ [server.host]: local }))
    const registries = ['--registries', 'registries.json'] as const
    const reference = `${server.host}/team/app:v1`
    const layout = await ImageLayout.open(line.file('built'))
    const { digest } = layout.find('v1')
    const c = client({ [server.host]: local })
    await pushImage(layout, parseDigest(digest), c.endpoint({ registry: server.host, path: 'team/app' }), { tag: 'v1' })
    const check = (...more: readonly string[]) =>
      run('provenance', reference, '--identity', 'builder.identity.json', '--commit', commit, ...more, ...registries)
    expect([(await check()).status, (await check()).stdout]).toEqual([
      1,
      expect.stringContaining('not shown to be built'),
    ])
    const strange = IDENTITY.map((word) => word.replace('builder', 'stranger'))
    await answer(
      'build',
      'app.json',
      ...from(commit),
      '--out',
      'oci:again:v1',
      ...strange,
      '--provenance',
      'strange.provenance',
    )
    const bad = await check('--file', 'strange.provenance', '--attach')
    expect([bad.status, bad.stderr]).toEqual([1, expect.stringContaining('signature.unverified')])
    const attach = [
      '--identity',
      'stranger.identity.json',
      '--commit',
      commit,
      '--file',
      'strange.provenance',
      '--attach',
    ]
    expect((await run('provenance', reference, ...attach, ...registries)).status).toBe(0)
    const only = await check()
    expect([only.status, only.stdout]).toEqual([1, expect.stringContaining('signature.unverified')])
    expect((await check('--file', 'app.provenance', '--attach')).status).toBe(0)
    expect([(await check()).status, (await check()).stdout]).toEqual([0, expect.stringContaining(`commit ${commit}`)])
  })
})
