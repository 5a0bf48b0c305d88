import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { type Server, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { toBase64, utf8 } from '@vouchsafe/core'
import { missingVectors, readVector, readVectorText } from '@vouchsafe/testkit'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { main } from '../main.ts'
import { AUDIENCE, DistributorWorld, IMAGE, SERVER_NAME } from '../../../broker/src/testing/distributor-world.ts'

/** Three organisations' commands, as processes: Alice's service and approvals, Bob's client. */
const vouchsafe = fileURLToPath(new URL('../../bin/vouchsafe.ts', import.meta.url))
let world: DistributorWorld
let serving: ChildProcess
let metadata: Server
let ready: { readonly url: string; readonly grpc: { readonly port: number } }
let asked: string[] = []

beforeAll(async () => {
  vi.stubEnv('VOUCHSAFE_OWNER', undefined)
  world = await DistributorWorld.start({ transport: 'mtls' })
  world.alice.close()
  await world.broker.stop()
  write('alice.pem', world.owner.toPem())
  write('client.pem', world.client.certificate)
  write('client.key', world.client.key)
  write('servers.pem', world.servers.certificate)
  serving = spawn(process.execPath, [vouchsafe, 'distributor', 'serve', file('distributor.json')], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const line = await new Promise<string>((resolve, reject) => {
    serving.stdout?.once('data', (chunk: Buffer) => resolve(chunk.toString()))
    serving.once('close', () => reject(new Error('it did not start')))
  })
  ready = JSON.parse(line) as typeof ready
  const pin = { ...(JSON.parse(readFileSync(file('alice/alice.pin.json'), 'utf8')) as object), url: ready.url }
  write('pin.json', JSON.stringify(pin))
  write('owner.json', JSON.stringify({ vouchsafe: 'owner/v1', key: 'alice.pem', broker: pin }))
  metadata = createServer((request, response) => {
    asked.push(`${request.headers['metadata-flavor']} ${request.url}`)
    response.end(world.document())
  })
  await new Promise<void>((resolve) => metadata.listen(0, '127.0.0.1', resolve))
}, 90_000)
afterAll(async () => {
  serving?.kill('SIGTERM')
  await new Promise((resolve) => (serving?.exitCode === null ? serving.once('close', resolve) : resolve(null)))
  metadata?.close()
  await world?.machine.stop()
})
beforeEach(() => {
  world.publish()
  asked = []
})

const file = (name: string) => path.join(world.directory, name)
const write = (name: string, text: string | Uint8Array) => writeFileSync(file(name), text, { mode: 0o600 })

/** A command in this process; starting one takes seconds. The service, and workers, are processes of their own. */
async function run(args: readonly string[], noun = 'distributor') {
  const out = { stdout: '', stderr: '' }
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      out[name] += String(text)
      return true
    }),
  )
  try {
    const status = await main([noun, ...args])
    return { status, ...out }
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
}
const at = () => [
  '--instance',
  world.instance.id,
  '--name',
  'tokenclient',
  '--project',
  'client-project',
  '--zone',
  'us-central1-a',
]
const pins = () => Object.entries(world.machine.registers).flatMap(([n, value]) => ['--register', `${n}=${value}`])
const provision = (...more: readonly string[]) => [
  'provision',
  '--as',
  file('owner.json'),
  ...at(),
  ...pins(),
  '--secrets',
  file('secrets.json'),
  '--image',
  IMAGE,
  '--least-class',
  'simulated',
  ...more,
]
const fetchArgs = (...more: readonly string[]) => {
  const { port } = metadata.address() as AddressInfo
  return [
    'fetch',
    '--server',
    `127.0.0.1:${ready.grpc.port}`,
    '--server-name',
    SERVER_NAME,
    '--ca',
    file('servers.pem'),
    '--certificate',
    file('client.pem'),
    '--key',
    file('client.key'),
    '--broker',
    file('pin.json'),
    '--metadata',
    `http://127.0.0.1:${port}/computeMetadata/v1`,
    '--audience',
    AUDIENCE,
    '--tpm',
    world.machine.tpm,
    '--boot-log',
    world.machine.bootLog,
    '--keys',
    'ecc',
    ...more,
  ]
}
/** A worker that writes down what it got on its standard input, and whether a secret is in its arguments or variables. */
const READER = `let t='';process.stdin.on('data',c=>t+=c).on('end',()=>{const s=JSON.parse(t).secrets.map(x=>x.name+'='+Buffer.from(x.data,'base64'));const seen=[...process.argv,...Object.values(process.env)].some(v=>v.includes('fooobar'));require('fs').writeFileSync(process.argv[1],s.join(';')+' '+seen)})`

describe('provision', () => {
  test('TD-06 TD-02 shows everything, does not approve unasked, approves with --yes', async () => {
    write('secrets.json', JSON.stringify([{ name: 'secret1', type: 'RAW', data: toBase64(utf8('fooobar')) }]))
    const unasked = await run(provision())
    expect(unasked.status).toBe(2)
    expect(unasked.stderr).toContain('nobody can be asked')
    for (const shown of [
      'tokenclient@client-project.iam.gserviceaccount.com',
      '34.121.225.36',
      'Pj1tQ8rvvKs=',
      IMAGE,
      '#cloud-config',
      'beta.compute.instances.insert',
      'endorsement key sha256:',
      'user-data, 14 bytes, sha256:',
    ])
      expect(unasked.stderr).toContain(shown)
    const approved = await run(provision('--yes', '--json', '--times', '20'))
    expect(JSON.parse(approved.stdout)).toMatchObject({ approved: true, class: 'simulated', exempt: null })
    expect(approved.status).toBe(0)
  })

  test.each([
    [
      'TD-10 DEF-24 a boot image that is not on the list',
      { image: 'projects/evil/global/images/x' },
      'appraisal.boot-image',
    ],
    ['TD-39 a management agent', { projectMetadata: { 'enable-osconfig': 'true' } }, 'appraisal.management-agent'],
    ['DEF-23 a launch hook that nobody hashes', { metadata: { 'startup-script': 'echo' } }, 'appraisal.launch-data'],
    ['TD-09 an instance without record of its making', { madeOnRecord: false }, 'appraisal.audit-trail'],
  ])('%s is refused, --yes or not', async (_what, change, code) => {
    world.publish(change)
    const { stdout, status } = await run(provision('--yes', '--json'))
    expect(status).toBe(1)
    const answer = JSON.parse(stdout) as { approved: boolean; refusals: { check: string }[] }
    expect(answer.approved).toBe(false)
    expect(answer.refusals.map((r) => r.check)).toContain(code)
  })

  test('B17 TD-44 it warns of pins that leave the kernel free, and of an address that others share', async () => {
    world.publish({ address: '' })
    const few = ['--register', `0=${world.machine.registers['0']}`]
    const args = [
      'provision',
      '--as',
      file('owner.json'),
      ...at(),
      ...few,
      '--secrets',
      file('secrets.json'),
      '--image',
      IMAGE,
    ]
    const { stderr } = await run([...args, '--least-class', 'simulated', '--address', '203.0.113.9'])
    expect(stderr).toContain('the pinned registers leave free: boot loader, Secure Boot policy, kernel command line')
    expect(stderr).toContain('address 203.0.113.9 is shared')
  })

  test('an exemption says what it costs', async () => {
    const { stderr } = await run(
      provision(
        '--dangerously-exempt-from-tpm',
        'old fleet',
        '--deliver-to',
        'client-certificate',
        '--certificate',
        file('client.pem'),
      ),
    )
    expect(stderr).toContain('the class is unattested, and every record will say so')
  })
})

describe('fetch', () => {
  test('TD-27 DEF-26 hands the secrets to a worker through a pipe, in no argument and no variable', async () => {
    const { stdout, stderr, status } = await run(fetchArgs('--', process.execPath, '-e', READER, file('got')))
    expect([status, readFileSync(file('got'), 'utf8')]).toEqual([0, 'secret1=fooobar false'])
    expect(`${stdout}${stderr}`).not.toContain('fooobar')
    expect(
      asked.every((a) => a.startsWith('Google /computeMetadata/v1/instance/service-accounts/default/identity?')),
    ).toBe(true)
  })

  test('TD-27 on another descriptor, and with the worker’s own exit status', async () => {
    const script = 'grep -q secret1 <&3 && exit 7'
    expect((await run(fetchArgs('--fd', '3', '--', 'bash', '-c', script))).status).toBe(7)
  })

  test('TD-26 DEF-29 waits until it is approved, one attempt after the other', { timeout: 90_000 }, async () => {
    await run(['withdraw', world.instance.id, '--as', file('owner.json')])
    world.instance = { ...world.instance, id: '777' }
    world.publish()
    const patience = ['--attempts', '60', '--pause', '1', '--longest-pause', '1']
    const args = fetchArgs(...patience, '--', process.execPath, '-e', READER, file('got-late'))
    const waiting = spawn(process.execPath, [vouchsafe, 'distributor', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let stderr = ''
    const twice = new Promise<void>((resolve) => {
      waiting.stderr.on('data', (chunk: Buffer) => {
        stderr += chunk.toString()
        if (stderr.includes('attempt 2')) resolve()
      })
    })
    const ended = new Promise((resolve) => waiting.once('close', resolve))
    await twice
    expect((await run(provision('--yes'))).status).toBe(0)
    expect(await ended, stderr).toBe(0)
    expect(readFileSync(file('got-late'), 'utf8')).toBe('secret1=fooobar false')
    const attempts = [...stderr.matchAll(/attempt (\d+): client\.unprovisioned/g)].map((m) => Number(m[1]))
    expect(attempts.length).toBeGreaterThan(0)
    expect(attempts).toEqual(attempts.map((_, i) => i + 1))
  })

  test('it gives up at once on what waiting cannot mend, and names the decision for the owner', async () => {
    world.publish({ userData: 'edited' })
    const { stdout, status } = await run(fetchArgs('--json'))
    expect(status).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({
      error: { code: expect.stringMatching(/^(?:appraisal\.launch-data|policy\.deliveries)$/) },
    })
  })

  test('TD-34 why explains the refusal to the owner, and sealed it stays to the client', async () => {
    world.publish({ userData: 'edited' })
    const { stdout } = await run(fetchArgs('--json'))
    const { error } = JSON.parse(stdout) as { readonly error: { readonly hint: string } }
    const decision = /vouchsafe why (d-\S+)/.exec(error.hint)?.[1] ?? ''
    const out = await run([decision, '--as', file('owner.json')], 'why')
    expect(out.stdout).toContain(`distribute ${decision}`)
    expect(out.stdout).toContain('computed again from raw evidence: the same verdict')
    expect(out.stdout).toContain('signature of the broker: good')
  })

  test('TD-26 attempts and pause are numbers with bounds', async () => {
    const { status, stderr } = await run(fetchArgs('--attempts', '0', '--', 'true'))
    expect([status, stderr.includes('--attempts 0 is not a whole number')]).toEqual([2, true])
  })
})

test('TD-33 health answers without identity document', async () => {
  const reach = ['--server', `127.0.0.1:${ready.grpc.port}`, '--server-name', SERVER_NAME, '--ca', file('servers.pem')]
  const { stdout, status } = await run([
    'health',
    ...reach,
    '--certificate',
    file('client.pem'),
    '--key',
    file('client.key'),
  ])
  expect([stdout.trim(), status]).toEqual(['up', 0])
})

test('TD-44 the allow-list names each address once', async () => {
  world.publish()
  expect((await run(provision('--yes', '--address', 'auto'))).status).toBe(0)
  const { stdout } = await run(['allow-list', '--as', file('owner.json'), '--json'])
  expect(JSON.parse(stdout)).toMatchObject({ addresses: ['34.121.225.36'], shared: [] })
  expect((await run(['list', '--as', file('owner.json')])).stdout).toContain('777')
})

test('TD-23 sealing prints a blob that only that TPM opens, and tells no broker', async () => {
  write('ek.pem', world.instance.endorsementKey ?? '')
  write('value', 'for your TPM only')
  const register = `0=${world.machine.registers['0']}`
  const sealed = await run([
    'seal',
    '--endorsement-key',
    file('ek.pem'),
    '--file',
    file('value'),
    '--register',
    register,
  ])
  await using tpm = await world.openTpm()
  expect(new TextDecoder().decode(await tpm.unseal(Buffer.from(sealed.stdout, 'base64'), 'direct'))).toBe(
    'for your TPM only',
  )
  const indirect = await run(['seal', '--endorsement-key', file('ek.pem'), '--file', file('value'), '--indirect'])
  const bytes = new Uint8Array(Buffer.from(indirect.stdout, 'base64'))
  expect(new TextDecoder().decode(await tpm.unseal(bytes, 'indirect'))).toBe('for your TPM only')
  for (const at of [0, 40, bytes.length - 20, bytes.length - 1])
    await expect(tpm.unseal(bytes.with(at, (bytes[at] ?? 0) ^ 1), 'indirect')).rejects.toBeDefined()
})

describe.skipIf(missingVectors())('the original’s files', () => {
  test('TD-05 its secrets file and user-data are read as they are, and the measurement is the same', async () => {
    const original = JSON.parse(readVectorText('seed-systems/tink/td-secrets.json')) as { name: string; type: string }[]
    write('secrets.json', JSON.stringify(original.filter((s) => s.type !== 'TPM')))
    const userData = new TextDecoder().decode(readVector('seed-systems/cloud-init/td-user-data.yaml'))
    world.instance = { ...world.instance, id: '888', userData }
    world.publish()
    const reviewed = await run(provision('--yes'))
    const measured = Buffer.from('v7SftwlRj75WRXCq0Q/buov8D7t+Sg08fRqaylohfiI=', 'base64').toString('hex')
    expect(reviewed.stderr).toContain(`sha256:${measured}`)
    const { stdout, stderr } = await run(fetchArgs())
    const fetched = (
      JSON.parse(stdout === '' ? stderr : stdout) as { secrets: { name: string; type: string; data: string }[] }
    ).secrets
    expect(fetched.map((s) => [s.name, s.type])).toEqual([
      ['secret1', 'RAW'],
      ['secret2', 'TINK'],
    ])
    expect(Buffer.from(fetched[0]?.data ?? '', 'base64').toString()).toBe('fooobar')
  })
})

describe('token get', () => {
  const audience = 'https://secrets.example'
  const nonces = ['relying-party-1', 'relying-party-2']
  const getArgs = (...more: readonly string[]) => {
    const [, ...showing] = fetchArgs()
    const at = showing.indexOf('--audience')
    return ['get', ...showing.with(at, '--identity-audience'), '--pause', '0', ...more]
  }

  test('VT-01 VT-02 VT-04 attests a plain machine; audience, nonces, key, endpoint and file are the caller’s choice', async () => {
    const accessToken = { audience, resources: ['r'], rights: ['read'], lifetimeSeconds: 300 }
    write('secrets.json', JSON.stringify([{ name: 'proof', type: 'RAW', accessToken }]))
    expect((await run(provision('--yes', '--times', '9'))).status).toBe(0)
    const chosen = ['--audience', audience, ...nonces.flatMap((n) => ['--nonce', n])]
    const printed = await run(getArgs(...chosen, '--json'), 'token')
    const answer = JSON.parse(printed.stdout) as { token: string; decision: string }
    expect(answer).toMatchObject({ audience, class: 'simulated', decision: expect.any(String) })
    write('token', answer.token)
    // what it says can be looked at, and nothing of it is believed for that
    const { payload } = JSON.parse((await run(['inspect', file('token'), '--json'], 'token')).stdout) as {
      payload: Record<string, unknown>
    }
    expect(payload).toMatchObject({ aud: audience, eat_nonce: nonces, sub: `instance:${world.instance.id}` })
    // its key is this one and no other
    const { submods } = payload as { submods: { tpm: { ak: string } } }
    await using tpm = await world.openTpm('ecc')
    expect(submods.tpm.ak).toBe(Buffer.from(tpm.akName).toString('hex'))
  })

  test('VT-02 writes the token to a new file that only its owner reads, and never over another', async () => {
    const args = getArgs('--audience', audience, '--out', file('token.jwt'))
    const { status, stdout } = await run(args, 'token')
    expect([status, stdout]).toEqual([0, expect.stringContaining('class simulated')])
    expect(readFileSync(file('token.jwt'), 'utf8').split('.')).toHaveLength(3)
    expect(statSync(file('token.jwt')).mode & 0o777).toBe(0o600)
    expect((await run(args, 'token')).status).not.toBe(0)
  })

  test('VT-02 for another audience, or with another key, there is none', async () => {
    const other = await run(getArgs('--audience', 'https://other.example', '--json'), 'token')
    expect([other.status, JSON.parse(other.stdout)]).toMatchObject([1, { error: { code: 'release.unknown' } }])
    const at = getArgs().indexOf('ecc')
    const rsa = await run(getArgs('--audience', audience, '--json').with(at, 'rsa'), 'token')
    expect([rsa.status, JSON.parse(rsa.stdout)]).toMatchObject([1, { error: { code: 'endorsement.mismatch' } }])
  }, 60_000)
})
