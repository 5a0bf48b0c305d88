import { afterAll, beforeAll, expect, test } from 'vitest'
import { FakeRegistry } from '../../../../image/src/testing/registry.ts'
import { CommandLine } from '../testing/command-line.ts'

const line = new CommandLine()
const home = new FakeRegistry()
const mirror = new FakeRegistry()
const reached = ['--registries', 'registries.json']

beforeAll(async () => {
  await home.start()
  await mirror.start()
  const local = { plainHttp: true, privateNetwork: true }
  const registries = { [home.host]: { ...local, mirrors: [{ registry: mirror.host }] }, [mirror.host]: local }
  line.write('registries.json', JSON.stringify(registries))
  const layers = [{ files: [{ path: '/a', text: 'a' }] }]
  line.write('app.json', JSON.stringify({ vouchsafe: 'image/v1', layers, entrypoint: ['/a'] }))
  await line.answer('image', 'build', 'app.json', '--out', 'oci:build:v1')
})
afterAll(() => {
  home.close()
  mirror.close()
  line.remove()
})

test('H06 a mirror whose manifest is another is passed over loudly: on stderr with --json too, and in the answer', async () => {
  const { digest } = await line.answer<{ digest: string }>(
    'image',
    'push',
    'oci:build:v1',
    `${home.host}/app:v1`,
    ...reached,
  )
  const type = 'application/vnd.oci.image.manifest.v1+json'
  mirror.manifests.set(`app:${digest}`, { bytes: Buffer.from('{}'), type })
  const pull = ['image', 'pull', `${home.host}/app@${digest}`, ...reached]
  const warning = `warning: mirror ${mirror.host}/app was passed over for manifest ${digest}: digest.mismatch: `
  const told = await line.run(...pull, '--to', 'root', '--json')
  expect(told.status).toBe(0)
  expect(told.stderr.split('\n').filter((text) => text.startsWith(warning))).toHaveLength(1)
  expect(told.json<{ passedOver: object[] }>().passedOver).toEqual([
    { mirror: `${mirror.host}/app`, what: `manifest ${digest}`, code: 'digest.mismatch', message: expect.any(String) },
  ])
  const stored = await line.answer<{ passedOver: object[] }>(...pull, '--store', 'store')
  expect(stored.passedOver).toHaveLength(1)
  mirror.manifests.clear()
  const quiet = await line.run(...pull, '--to', 'again', '--json')
  expect([quiet.stderr, quiet.json<{ passedOver: object[] }>().passedOver]).toEqual(['', []])
})
