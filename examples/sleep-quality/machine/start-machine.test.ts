import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { buildImage, launchPolicyLabels } from '@vouchsafe/image'
import { SimulatedTokenAuthority } from '@vouchsafe/simulator'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type MachineOptions, startMachine } from './start-machine.ts'

const SCRIPT = `const { readFileSync } = require('node:fs')
const { REMOTE_ADDRESS = 'none' } = process.env
console.log(JSON.stringify({ REMOTE_ADDRESS, found: readFileSync(process.argv[2], 'utf8') }))`

const directory = mkdtempSync(path.join(tmpdir(), 'vs-machine-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const layout = path.join(directory, 'layout')
const data = path.dirname(new URL(import.meta.url).pathname)
let machine: MachineOptions
beforeAll(async () => {
  const bytes = new TextEncoder().encode(SCRIPT)
  const allowed = { allowEnvOverride: ['REMOTE_ADDRESS', 'NODE_OPTIONS'], allowMountDestinations: ['/data'] }
  const { digest } = await buildImage(
    {
      layers: [{ kind: 'files', files: [{ kind: 'file', path: 'app.cjs', bytes }] }],
      config: { entrypoint: ['/app.cjs', '/data/start-machine.test.ts'], labels: launchPolicyLabels(allowed) },
    },
    layout,
  )
  machine = {
    directory: path.join(directory, 'm'),
    layout,
    digest,
    authority: SimulatedTokenAuthority.create(),
    instance: { project: 'p', zone: 'z', name: 'n', id: '1' },
    accounts: [],
    mounts: { '/data': data },
  }
})

describe('a machine', () => {
  test('HD-10 hands on what its image allows, and says so in its tokens', async () => {
    const variables = { REMOTE_ADDRESS: '192.0.2.1:8081' }
    const { workload, vouch, stop } = await startMachine({ ...machine, variables })
    expect(await workload.line(variables)).toMatchObject({ found: expect.stringContaining('HD-10') })
    const [, claims = ''] = (await vouch('auditor', 'a-nonce-of-some-length')).split('.')
    expect(JSON.parse(Buffer.from(claims, 'base64url').toString()).submods.container).toMatchObject({
      image_digest: machine.digest,
      env_override: variables,
    })
    await stop()
  })

  test.each([
    ['a variable that nobody allowed', { variables: { OTHER: '1' } }, 'appraisal.launch-environment'],
    ['H15 one as good as code, even allowed', { variables: { NODE_OPTIONS: '-r x' } }, 'appraisal.launch-environment'],
    ['a folder where none may be', { mounts: { '/app': data } }, 'appraisal.launch-privileges'],
    ['a folder below one that is allowed', { mounts: { '/data/../app': data } }, 'appraisal.launch-privileges'],
  ])('refuses %s', async (_what, changes, code) => {
    const own = { ...machine, ...changes, directory: path.join(directory, 'refused') }
    await expect(startMachine(own)).rejects.toMatchObject({ code })
    rmSync(own.directory, { recursive: true })
  })

  test('HD-16 leaves its log and nothing else', async () => {
    const logFile = path.join(directory, 'kept.log')
    const { workload, stop } = await startMachine({ ...machine, logFile })
    await workload.line({ REMOTE_ADDRESS: 'none' })
    await stop()
    expect(existsSync(machine.directory)).toBe(false)
    expect(readFileSync(logFile, 'utf8')).toContain('"REMOTE_ADDRESS":"none"')
  })
})
