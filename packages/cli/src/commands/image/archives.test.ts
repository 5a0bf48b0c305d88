import { createHash } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rawTar } from '../../../../image/src/testing/archive.ts'
import { CommandLine } from '../testing/command-line.ts'

const line = new CommandLine()
let digest = ''
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** As `docker save` writes it. */
function save(names: readonly string[]): Uint8Array {
  const layer = rawTar([{ name: 'hello', body: 'hi' }])
  const images = names.map((name) => {
    const diffIds = [`sha256:${sha256(layer)}`]
    const config = JSON.stringify({
      architecture: 'arm64',
      os: 'linux',
      author: name,
      rootfs: { type: 'layers', diff_ids: diffIds },
    })
    return { name, config, file: `${sha256(Buffer.from(config))}.json` }
  })
  const manifest = images.map(({ name, file }) => ({ Config: file, RepoTags: [name], Layers: ['l/layer.tar'] }))
  return rawTar([
    { name: 'l/layer.tar', body: layer },
    ...images.map(({ file, config }) => ({ name: file, body: config })),
    { name: 'manifest.json', body: JSON.stringify(manifest) },
  ])
}

beforeAll(async () => {
  const files = [{ path: '/app/main.js', text: 'console.log("released")\n' }]
  line.write('app.json', JSON.stringify({ vouchsafe: 'image/v1', layers: [{ files }], entrypoint: ['/app/main.js'] }))
  digest = (await line.answer<{ digest: string }>('image', 'build', 'app.json', '--out', 'oci:build:v1')).digest
  line.write('saved.tar', save(['app:v1']))
  line.write('two.tar', save(['app:v1', 'registry.example/other:v2']))
})
afterAll(() => line.remove())

test('an archive is built, shown, copied and pulled like a layout, and is the same image', async () => {
  expect(await line.answer('image', 'build', 'app.json', '--out', 'oci-archive:built.tar:v1')).toMatchObject({ digest })
  await line.answer('image', 'copy', 'oci:build:v1', 'oci-archive:copied.tar:v1')
  await line.answer('image', 'copy', 'oci-archive:copied.tar:v1', 'oci-archive:again.tar:v1')
  expect(line.read('again.tar')).toEqual(line.read('copied.tar'))
  expect(await line.answer('image', 'show', 'oci-archive:built.tar')).toMatchObject({ manifest: digest })
  expect((await line.run('image', 'diff', 'oci:build:v1', 'oci-archive:built.tar:v1')).status).toBe(0)
  await line.answer('image', 'copy', 'oci-archive:built.tar:v1', 'oci:unpacked:v1')
  expect((await line.run('image', 'build', 'app.json', '--check', 'oci:unpacked:v1')).status).toBe(0)
  await line.answer('image', 'pull', `oci-archive:built.tar@${digest}`, '--to', 'root')
  expect(existsSync(line.file('root/app/main.js'))).toBe(true)
})

test('an archive that is there is not written over, and nothing half written stays beside it', async () => {
  line.write('precious.tar', 'precious')
  expect(await line.refusal('image', 'copy', 'oci:build:v1', 'oci-archive:precious.tar:v1')).toMatchObject({
    status: 3,
    code: 'archive.exists',
    hint: expect.stringContaining('another file'),
  })
  line.write('bad.json', JSON.stringify({ vouchsafe: 'image/v1', layers: [{ directory: 'missing', at: '/' }] }))
  expect(await line.refusal('image', 'build', 'bad.json', '--out', 'oci-archive:half.tar')).toMatchObject({ status: 3 })
  expect(readdirSync(line.directory).filter((name) => name.startsWith('.') || name === 'half.tar')).toEqual([])
  expect(Buffer.from(line.read('precious.tar')).toString()).toBe('precious')
})

test('what docker saved is shown, copied and encrypted; of several images the name says which', async () => {
  const shown = await line.answer<{ manifest: string }>(
    'image',
    'show',
    'docker-archive:saved.tar',
    '--platform',
    'linux/arm64',
  )
  expect(await line.answer('image', 'copy', 'docker-archive:saved.tar:app:v1', 'oci:saved:v1')).toMatchObject({
    digest: shown.manifest,
  })
  expect(await line.refusal('image', 'show', 'docker-archive:two.tar')).toMatchObject({
    status: 2,
    hint: 'name one: docker-archive:two.tar:docker.io/library/app:v1, docker-archive:two.tar:registry.example/other:v2',
  })
  expect(await line.answer('image', 'copy', 'docker-archive:two.tar:app:v1', 'oci:again:v1')).toMatchObject({
    digest: shown.manifest,
  })
  expect(await line.refusal('image', 'copy', 'oci:build:v1', 'docker-archive:x.tar')).toMatchObject({
    status: 2,
    hint: expect.stringContaining('skopeo copy'),
  })
})

test.each([
  ['oci:built.tar', /oci-archive:built\.tar/],
  ['oci-archive:build', /oci:build$/],
  ['oci-archive:saved.tar', /docker-archive:saved\.tar/],
  ['docker-archive:copied.tar', /oci-archive:copied\.tar/],
])('%s is something else, and the hint says what', async (image, hint) => {
  expect(await line.refusal('image', 'show', image)).toMatchObject({ status: 3, hint: expect.stringMatching(hint) })
})
