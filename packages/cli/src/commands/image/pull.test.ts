import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FakeRegistry } from '../../../../image/src/testing/registry.ts'
import { CommandLine, vouchsafe } from '../testing/command-line.ts'

const line = new CommandLine()
const registry = new FakeRegistry()
let image = ''

beforeAll(async () => {
  await registry.start()
  line.write('registries.json', JSON.stringify({ [registry.host]: { plainHttp: true, privateNetwork: true } }))
  const layers = ['first', 'second'].map((text) => ({ files: [{ path: `/${text}`, text }] }))
  line.write('app.json', JSON.stringify({ vouchsafe: 'image/v1', layers, entrypoint: ['/first'] }))
  await line.answer('image', 'build', 'app.json', '--out', 'oci:build:v1')
  const pushed = await line.answer<{ digest: string }>(
    'image',
    'push',
    'oci:build:v1',
    `${registry.host}/app:v1`,
    '--registries',
    'registries.json',
  )
  image = `${registry.host}/app@${pushed.digest}`
})
afterAll(() => {
  registry.close()
  line.remove()
})

test.each(['SIGINT', 'SIGTERM'] as const)('a pull that %s ends leaves nothing half done', async (signal) => {
  const { layers } = await line.answer<{ layers: { digest: string }[] }>('image', 'show', 'oci:build:v1')
  const hangs = new Promise<void>((resolve) => {
    registry.lie = ({ method, path }) => {
      if (method !== 'GET' || !path.endsWith(layers[1]!.digest)) return undefined
      resolve()
      return true
    }
  })
  const args = ['image', 'pull', image, '--to', 'root', '--registries', 'registries.json']
  const child = spawn(process.execPath, [vouchsafe, ...args], { cwd: line.directory, stdio: 'ignore' })
  const ended = new Promise((resolve) => child.on('exit', (_status, by) => resolve(by)))
  await hangs
  expect(readdirSync(line.directory).filter((name) => name.startsWith('root'))).toHaveLength(1)
  child.kill(signal)
  expect(await ended).toBe(signal)
  expect(readdirSync(line.directory).filter((name) => name.startsWith('root'))).toEqual([])
})
