import { spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
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

test.each(['SIGINT', 'SIGTERM'] as const)(
  'H12 a copy or decryption that %s ends leaves no half blob',
  async (signal) => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    line.write('key.pem', privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)
    line.write('key.pub', publicKey.export({ type: 'spki', format: 'pem' }) as string)
    registry.lie = () => undefined
    const sealedAt = `oci:sealed-${signal}:v1`
    await line.answer('image', 'encrypt', 'oci:build:v1', '--out', sealedAt, '--recipient', 'jwe:key.pub')
    const reached = ['--registries', 'registries.json']
    await line.answer('image', 'push', sealedAt, `${registry.host}/sealed:v1`, ...reached)
    const { layers } = await line.answer<{ layers: { digest: string }[] }>('image', 'show', sealedAt)
    for (const args of [
      ['image', 'copy', `${registry.host}/sealed:v1`, `oci:out-${signal}:v1`, ...reached],
      [
        'image',
        'decrypt',
        `${registry.host}/sealed:v1`,
        '--out',
        `oci:out-${signal}:v1`,
        '--key',
        'key.pem',
        ...reached,
      ],
    ]) {
      const hangs = new Promise<void>((resolve) => {
        registry.lie = ({ method, path }, response) => {
          if (method !== 'GET' || !path.endsWith(layers[1]!.digest)) return undefined
          const blob = registry.blobs.get(layers[1]!.digest)!
          response.writeHead(200, { 'content-length': blob.length })
          response.write(blob.subarray(0, 700), () => resolve())
          return true
        }
      })
      const child = spawn(process.execPath, [vouchsafe, ...args], { cwd: line.directory, stdio: 'ignore' })
      const ended = new Promise((resolve) => child.on('exit', (_status, by) => resolve(by)))
      await hangs
      const staging = path.join(line.directory, `out-${signal}`, '.staging')
      await expect.poll(() => readdirSync(staging), { message: 'the test looks where it lies' }).toHaveLength(1)
      child.kill(signal)
      expect(await ended).toBe(signal)
      expect(existsSync(path.dirname(staging)), 'a layout without an image').toBe(false)
    }
  },
)
