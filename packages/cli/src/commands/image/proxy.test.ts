import { afterAll, beforeAll, expect, test } from 'vitest'
import { TestProxy } from '../../../../image/src/testing/proxy.ts'
import { FakeRegistry } from '../../../../image/src/testing/registry.ts'
import { CommandLine } from '../testing/command-line.ts'

const registry = new FakeRegistry()
const proxy = new TestProxy()
const lines: CommandLine[] = []
let host = ''

beforeAll(async () => {
  await registry.start()
  await proxy.start()
  host = `registry.example:${registry.host.split(':')[1]}`
})
afterAll(() => {
  registry.close()
  proxy.close()
  for (const line of lines) line.remove()
})

function lineWith(environment: Record<string, string>): CommandLine {
  const line = new CommandLine(environment)
  lines.push(line)
  line.write('registries.json', JSON.stringify({ [host]: { plainHttp: true } }))
  line.write(
    'app.json',
    JSON.stringify({ vouchsafe: 'image/v1', layers: [{ files: [{ path: '/a', text: 'a' }] }], entrypoint: ['/a'] }),
  )
  return line
}

test('images are pushed and pulled through the proxy that the environment names', async () => {
  const line = lineWith({ http_proxy: proxy.url('me:secret') })
  const reached = ['--registries', 'registries.json', '--least-rate', '1']
  await line.answer('image', 'build', 'app.json', '--out', 'oci:build:v1')
  const { digest } = await line.answer<{ digest: string }>(
    'image',
    'push',
    'oci:build:v1',
    `${host}/app:v1`,
    ...reached,
  )
  await line.answer('image', 'pull', `${host}/app@${digest}`, '--to', 'root', ...reached)
  expect(Buffer.from(line.read('root/a')).toString()).toBe('a')
  expect(registry.seen.length).toBe(proxy.seen.length)
})

test('what is wrong with a proxy is told with the next step, and without its password', async () => {
  const show = ['image', 'show', `${host}/app:v1`, '--registries', 'registries.json']
  proxy.answer = (_request, response) => void response.writeHead(407, { 'proxy-authenticate': 'Basic' }).end()
  const denied = await lineWith({ HTTP_PROXY: proxy.url('me:secret') }).refusal(...show)
  expect(denied).toMatchObject({ status: 1, code: 'proxy.denied', hint: expect.stringContaining('NO_PROXY') })
  const wrong = await lineWith({ HTTPS_PROXY: 'socks5://me:secret@proxy.example' }).refusal(...show)
  expect(wrong).toMatchObject({ status: 3, code: 'proxy.settings', hint: expect.stringContaining('HTTPS_PROXY') })
  expect(JSON.stringify([denied, wrong])).not.toContain('secret')
  expect(await lineWith({}).run(...show, '--least-rate', '1.5')).toMatchObject({ status: 2 })
})
