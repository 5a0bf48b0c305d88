import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { FakeRegistry } from '../../../../image/src/testing/registry.ts'
import { CommandLine } from '../testing/command-line.ts'

const line = new CommandLine()
const [here, there, third] = [new FakeRegistry(), new FakeRegistry(), new FakeRegistry()]
const registries = ['--registries', 'registries.json'] as const
const copy = (...args: readonly string[]) => line.answer('image', 'copy', ...args, ...registries)
let digest = ''

beforeAll(async () => {
  await Promise.all([here.start(), there.start(), third.start()])
  const rules = { plainHttp: true, privateNetwork: true }
  line.write('registries.json', JSON.stringify({ [here.host]: rules, [there.host]: rules, [third.host]: rules }))
  const files = [{ path: '/app/main.js', text: 'console.log("released")\n' }]
  line.write('app.json', JSON.stringify({ vouchsafe: 'image/v1', layers: [{ files }], entrypoint: ['/app/main.js'] }))
  const built = await line.answer<{ digest: string }>('image', 'build', 'app.json', '--out', 'oci:build:v1')
  digest = built.digest
})
beforeEach(() => {
  for (const registry of [here, there, third]) registry.seen.length = 0
})
afterAll(() => {
  for (const registry of [here, there, third]) registry.close()
  line.remove()
})

/** What content was sent to a registry: chunks of uploads. */
const chunks = (registry: FakeRegistry) => registry.seen.filter(({ method }) => method === 'PATCH').length

test('an image goes from a layout to a registry, on to another repository and another registry, and back, as it is', async () => {
  const first = `${here.host}/team/app`
  expect(await copy('oci:build:v1', `${first}:v1`)).toEqual({ digest, to: `${first}:v1@${digest}` })
  expect(chunks(here)).toBe(2)
  // the same registry has the blobs, in another repository: they are mounted
  here.lie = ({ method, path }, response) => {
    if (method !== 'HEAD' || !path.startsWith('/v2/other/app/blobs/')) return undefined
    response.writeHead(404).end()
    return true
  }
  await copy(`${first}:v1`, `${here.host}/other/app`)
  here.lie = () => undefined
  expect(chunks(here)).toBe(2)
  expect(here.seen.filter(({ query }) => query.get('from') === 'team/app')).toHaveLength(2)
  await copy(`${here.host}/other/app@${digest}`, `${there.host}/app:copied`)
  expect(chunks(there)).toBe(2)
  expect(await copy(`${there.host}/app:copied`, 'oci:back:v1')).toEqual({ digest, to: 'oci:back:v1' })
  expect((await line.run('image', 'diff', 'oci:build:v1', 'oci:back:v1')).status).toBe(0)
})

test('push is the same', async () => {
  expect((await line.run('image', 'push', 'oci:build:v1', `${there.host}/pushed:v1`, ...registries)).stdout).toBe(
    `${digest}\ncopied to ${there.host}/pushed:v1@${digest}\n`,
  )
})

test('H06 a digest in the target is what is copied, or nothing is', async () => {
  const other = `sha256:${'0'.repeat(64)}`
  for (const to of [`${there.host}/strict@${other}`, `${there.host}/strict:v1@${other}`, `oci:strict@${other}`]) {
    const { status, stderr } = await line.run('image', 'copy', 'oci:build:v1', to, ...registries)
    expect([status, stderr]).toEqual([2, expect.stringContaining(`${digest}, and not ${other}`)])
  }
  expect(there.seen).toEqual([])
  await copy('oci:build:v1', `${there.host}/strict@${digest}`)
  expect(there.manifests.has(`strict:${digest}`)).toBe(true)
})

test('show tells what an index offers, without the attestations beside its images', async () => {
  await copy('oci:build:v1', `${here.host}/multi:one`)
  const one = here.manifests.get('multi:one')!
  const entry = { mediaType: one.type, digest, size: one.bytes.length }
  const manifests = [
    { ...entry, platform: { os: 'linux', architecture: 'amd64' } },
    { ...entry, digest: `sha256:${'1'.repeat(64)}`, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } },
    { ...entry, digest: `sha256:${'2'.repeat(64)}`, platform: { os: 'unknown', architecture: 'unknown' } },
  ]
  const mediaType = 'application/vnd.oci.image.index.v1+json'
  here.put('multi', 'all', Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests })), mediaType)
  const { stdout } = await line.run('image', 'show', `${here.host}/multi:all`, ...registries)
  expect(stdout).toMatch(/^index {7}sha256:\w+\n {12}of linux\/amd64, linux\/arm64\/v8\nmanifest {4}/)
  expect(stdout).toContain(`manifest    ${digest}`)
  // the whole index is not there to be copied, one image of it is
  const to = 'oci-archive:amd64.tar:v1'
  expect(await copy(`${here.host}/multi:all`, to, '--platform', 'linux/amd64')).toEqual({ digest, to })
  expect(
    await line.refusal(
      'image',
      'copy',
      `${here.host}/multi:all`,
      'oci:none',
      '--platform',
      'linux/s390x',
      ...registries,
    ),
  ).toMatchObject({
    code: 'chain.platform',
    message: expect.stringContaining('only linux/amd64, linux/arm64/v8'),
  })
})

test('what a registry hands out instead of a blob reaches no other', async () => {
  await copy('oci:build:v1', `${here.host}/lying:v1`)
  const [blob, honest] = [...here.blobs].find(([, bytes]) => !bytes.toString('latin1').startsWith('{'))!
  try {
    here.blobs.set(blob, Buffer.from(honest).fill(1))
    const [from, to] = [`${here.host}/lying:v1`, `${third.host}/victim:v1`]
    const { status, stderr } = await line.run('image', 'copy', from, to, ...registries)
    expect([status, stderr]).toEqual([1, expect.stringMatching(/registry\.|digest\./)])
    expect([third.manifests.size, third.blobs.has(blob)]).toEqual([0, false])
  } finally {
    here.blobs.set(blob, honest)
  }
})

test('tags lists what a repository has; one image is no repository', async () => {
  here.lie = ({ path }, response) => {
    if (path !== '/v2/team/app/tags/list') return undefined
    response.writeHead(200).end(JSON.stringify({ name: 'team/app', tags: ['v2', 'v1'] }))
    return true
  }
  try {
    expect((await line.run('image', 'tags', `${here.host}/team/app`, ...registries)).stdout).toBe('v2\nv1\n')
    expect(await line.answer('image', 'tags', `${here.host}/team/app`, ...registries)).toEqual({
      repository: `${here.host}/team/app`,
      tags: ['v2', 'v1'],
    })
  } finally {
    here.lie = () => undefined
  }
  expect(await line.refusal('image', 'tags', `${here.host}/team/app:v1`, ...registries)).toMatchObject({
    status: 2,
    hint: `name the repository: ${here.host}/team/app`,
  })
  expect(await line.refusal('image', 'copy', `${here.host}/team/app`, 'oci:x', ...registries)).toMatchObject({
    status: 2,
    hint: expect.stringContaining(`vouchsafe image tags ${here.host}/team/app`),
  })
})
