import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { PrincipalKey } from '@vouchsafe/client'
import { parseAgreement, Secret, toBase64, utf8 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { SimulatorManufacturer } from '@vouchsafe/simulator'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { initBroker } from '../../../../broker/src/init.ts'
import { agreementOf, startClinic, stopClinic, type TestClinic } from '../../../../broker/src/testing/two-clinics.ts'
import { parseWrapResponse, wrapRequest } from '../../../../image/src/encrypt/provider/messages.ts'
import { privateOptionsBytes } from '../../../../image/src/encrypt/options.ts'
import { digestOf, parseCocoPacket, unwrapUnderKek } from '@vouchsafe/image'
import { CommandLine, vouchsafe } from '../testing/command-line.ts'

const line = new CommandLine()
const DESCRIPTION = {
  vouchsafe: 'image/v1',
  layers: [
    { directory: 'src', at: '/app', exclude: ['notes'] },
    {
      files: [
        { path: '/tmp', directory: true, mode: '1777' },
        { path: '/app/motto', text: 'fail closed\n' },
        { path: '/run', symlink: 'tmp' },
      ],
    },
  ],
  entrypoint: ['/app/main.js'],
  env: { MODE: 'strict' },
  labels: { purpose: 'test' },
  launchPolicy: { allowEnvOverride: ['MODE', 'NODE_OPTIONS'] },
}
const describeImage = (more: object = {}) => line.write('app.json', JSON.stringify({ ...DESCRIPTION, ...more }))

interface Shown {
  readonly manifest: string
  readonly size: number
  readonly labels: Record<string, string>
  readonly layers: readonly { readonly encrypted: boolean; readonly digest: string }[]
}

beforeAll(async () => {
  mkdirSync(line.file('src'))
  line.write('src/main.js', 'console.log("released")\n')
  line.write('src/notes', 'not for the image\n')
  symlinkSync('main.js', line.file('src/again.js'))
  describeImage()
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  line.write('alice.pub', publicKey.export({ type: 'spki', format: 'pem' }))
  line.write(
    'alice.pem',
    privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open' }),
  )
  line.write('passphrase', 'open\n')
  await line.answer('image', 'build', 'app.json', '--out', 'oci:build:v1')
})
afterAll(() => line.remove())

describe('vouchsafe image', () => {
  test('CS-03 H23 build gives the same digest again, and --check says what differs', async () => {
    const one = await line.answer<{ digest: string; warnings: string[] }>(
      'image',
      'build',
      'app.json',
      '--out',
      'oci:other:v1',
    )
    expect(one.warnings).toEqual([expect.stringContaining('NODE_OPTIONS')])
    expect(await line.answer('image', 'build', 'app.json', '--check', 'oci:build:v1')).toMatchObject({
      same: true,
      rebuilt: one.digest,
    })
    describeImage({ env: { MODE: 'lax' } })
    const { status, stdout } = await line.run('image', 'build', 'app.json', '--check', 'oci:build:v1')
    describeImage()
    expect([status, stdout]).toEqual([1, expect.stringContaining('MODE: claimed strict, rebuilt lax')])
  })

  test.each(['./notes', 'notes/', '/notes', '../src/notes', ''])(
    'build refuses to leave out %j, which is the path of nothing that it finds',
    async (exclude) => {
      describeImage({ layers: [{ directory: 'src', at: '/app', exclude: [exclude] }] })
      expect(await line.refusal('image', 'build', 'app.json', '--out', 'oci:excluded:v1')).toMatchObject({ status: 3 })
      describeImage()
    },
  )

  test('build refuses what it does not know, and a base without digest', async () => {
    describeImage({ entrypiont: [] })
    expect(await line.refusal('image', 'build', 'app.json', '--out', 'oci:x')).toMatchObject({ status: 3 })
    describeImage({ base: 'oci:build:v1' })
    expect(await line.refusal('image', 'build', 'app.json', '--out', 'oci:x')).toMatchObject({
      status: 2,
      hint: expect.stringContaining('sha256'),
    })
    const { manifest } = await line.answer<Shown>('image', 'show', 'oci:build:v1')
    describeImage({ base: `oci:${line.file('build')}@${manifest}` })
    const built = await line.answer<{ layers: unknown[] }>('image', 'build', 'app.json', '--out', 'oci:based')
    expect(built.layers).toHaveLength(4)
    describeImage()
    expect(await line.refusal('image', 'build', 'app.json')).toMatchObject({ status: 2 })
  })

  test('a base in a layout is looked for from where the file lies, as all else in it', async () => {
    const { manifest } = await line.answer<Shown>('image', 'show', 'oci:build:v1')
    mkdirSync(line.file('below'))
    const base = (place: string) =>
      line.write(
        'below/app.json',
        JSON.stringify({
          vouchsafe: 'image/v1',
          base: `oci:${place}@${manifest}`,
          layers: [{ files: [{ path: '/x', text: 'x' }] }],
        }),
      )
    base('../build')
    const built = await line.answer<{ layers: unknown[] }>(
      'image',
      'build',
      'below/app.json',
      '--out',
      'oci:based:below',
    )
    expect(built.layers).toHaveLength(3)
    base('build')
    expect(await line.refusal('image', 'build', 'below/app.json', '--out', 'oci:x')).toMatchObject({
      status: 3,
      code: 'layout.missing',
      message: expect.stringContaining(line.file('below/build')),
    })
  })

  test('CS-84 show and diff tell what people approve', async () => {
    const shown = await line.answer<Shown>('image', 'show', 'oci:build:v1', '--packages')
    expect(shown.labels).toMatchObject({ purpose: 'test', 'tee.launch_policy.allow_env_override': 'MODE,NODE_OPTIONS' })
    describeImage({ env: { MODE: 'lax' }, labels: {} })
    await line.answer('image', 'build', 'app.json', '--out', 'oci:build:v2')
    describeImage()
    const { status, stdout } = await line.run('image', 'diff', 'oci:build:v1', 'oci:build:v2')
    expect(status).toBe(1)
    expect(stdout).toContain('MODE: strict -> lax')
    expect(stdout).toContain('purpose: test -> (not there)')
    expect((await line.run('image', 'diff', 'oci:build:v1', 'oci:build:v1')).status).toBe(0)
    expect(await line.refusal('image', 'show', 'oci:build')).toMatchObject({
      status: 2,
      hint: expect.stringContaining('oci:build:v1'),
    })
    expect(await line.refusal('image', 'show', 'oci:build:v9')).toMatchObject({ status: 3, code: 'layout.missing' })
  })

  test('GU-11 GU-13 encrypt and decrypt give the image back; pull decrypts on the way', async () => {
    const sealed = await line.answer<{ image: string; layers: unknown[]; rehearsed: unknown[] }>(
      'image',
      'encrypt',
      'oci:build:v1',
      '--out',
      'oci:sealed:v1',
      '--recipient',
      'jwe:alice.pub',
      '--layer',
      '-1',
    )
    expect(sealed.layers).toMatchObject([{ outcome: 'plain' }, { outcome: 'encrypted' }])
    expect(sealed.rehearsed).toMatchObject([{ layers: 2, encryptedLayers: 1 }])
    expect((await line.answer<Shown>('image', 'show', 'oci:sealed:v1')).layers).toMatchObject([
      { encrypted: false },
      { encrypted: true, recipients: ['jwe'] },
    ])
    const key = ['--key', 'alice.pem:file=passphrase']
    await line.answer('image', 'decrypt', 'oci:sealed:v1', '--out', 'oci:plain:v1', ...key)
    const [was, is] = [
      await line.answer<Shown>('image', 'show', 'oci:build:v1'),
      await line.answer<Shown>('image', 'show', 'oci:plain:v1'),
    ]
    expect(is.manifest).toBe(was.manifest)
    await line.answer('image', 'pull', `oci:sealed@${sealed.image}`, '--to', 'root', ...key)
    expect(readFileSync(line.file('root/app/motto'), 'utf8')).toBe('fail closed\n')
    expect(existsSync(line.file('root/app/notes'))).toBe(false)
    expect(await line.refusal('image', 'pull', `oci:sealed@${sealed.image}`, '--to', 'root2')).toMatchObject({
      status: 1,
      code: 'encryption.no-key',
      hint: expect.stringContaining('--key'),
    })
    expect(
      await line.refusal('image', 'pull', `oci:sealed@${sealed.image}`, '--to', 'root2', '--require-encrypted', ...key),
    ).toMatchObject({ status: 1, code: 'encryption.required' })
    expect(existsSync(line.file('root2'))).toBe(false)
    expect(
      await line.refusal('image', 'pull', `oci:sealed@${sealed.image}`, '--to', 'x', '--key', 'alice.pem:pass=open'),
    ).toMatchObject({
      status: 2,
      message: expect.stringContaining('passphrase stands on the command line'),
    })
  })

  test('H01 pull takes no tag for an answer unless told so; GU-25 list and remove keep the store', async () => {
    expect(await line.refusal('image', 'pull', 'oci:build:v1', '--store', 'store')).toMatchObject({
      status: 2,
      hint: expect.stringContaining('@sha256'),
    })
    const pulled = await line.answer<{ image: string; lowerDirs: string[] }>(
      'image',
      'pull',
      'oci:build:v1',
      '--store',
      'store',
      '--dangerously-accept-unsigned',
    )
    expect(pulled.lowerDirs).toHaveLength(2)
    expect(await line.answer('image', 'list', '--store', 'store')).toMatchObject({
      images: [
        { image: pulled.image, layers: 2, size: (await line.answer<Shown>('image', 'show', 'oci:build:v1')).size },
      ],
    })
    expect((await line.run('image', 'list', '--store', 'store')).stdout).toMatch(
      / {2}2 layers {2}[0-9.]+ (?:B|KiB) {2}/,
    )
    expect(await line.refusal('image', 'remove', 'sha256:00', '--store', 'store')).toMatchObject({ status: 2 })
    expect(
      await line.refusal('image', 'pull', `oci:build@${pulled.image}`, '--store', 'store', '--faithful'),
    ).toMatchObject({ status: 1, code: 'store.profile', hint: expect.stringContaining('--store') })
    await line.answer('image', 'remove', pulled.image.slice(0, 16), '--store', 'store')
    expect(await line.answer('image', 'list', '--store', 'store')).toEqual({ images: [] })
  })

  test('H09 what an image says of itself cannot write the lines that its approver reads', async () => {
    const label = 'fine\u001b[2K\rlabel        purpose: the same\nfile         + harmless\u202e'
    describeImage({
      labels: { note: label },
      layers: [...DESCRIPTION.layers, { files: [{ path: '/su\u001b[1A', text: 'x', mode: '4755' }] }],
    })
    await line.answer('image', 'build', 'app.json', '--out', 'oci:build:odd')
    describeImage()
    const check = await line.run('image', 'build', 'app.json', '--check', 'oci:build:odd')
    const diff = await line.run('image', 'diff', 'oci:build:v1', 'oci:build:odd')
    const show = await line.run('image', 'show', 'oci:build:odd')
    for (const { stdout } of [check, diff, show]) {
      expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/)
      expect(stdout).toContain('\\u001b[2K\\u000dlabel')
    }
    expect(diff.stdout).not.toMatch(/^file +\+ harmless/m)
    expect(diff.stdout).toMatch(/^file +\+ su\\u001b\[1A \(mode 4755\)$/m)
  })

  test('H09 nor can a file that was put into the store write the line that tells of it', async () => {
    const pull = ['image', 'pull', 'oci:build:v1', '--store', 'odd-store', '--dangerously-accept-unsigned'] as const
    const { lowerDirs } = await line.answer<{ lowerDirs: string[] }>(...pull)
    const root = line.file(lowerDirs[0] ?? '')
    const { atime, mtime } = statSync(root)
    writeFileSync(path.join(root, 'x\u009b2K'), '')
    utimesSync(root, atime, mtime)
    const { stdout } = await line.run(...pull)
    expect(stdout).toMatch(/^repaired sha256:[0-9a-f]{64}: found .*x.*\\u009b2K/m)
    expect(stdout).not.toContain('\u009b')
  })

  test('recipients and keys that cannot be are told with what to write', async () => {
    const encrypt = (...args: string[]) =>
      line.refusal('image', 'encrypt', 'oci:build:v1', '--out', 'oci:x:v1', ...args)
    expect(await encrypt()).toMatchObject({ status: 2, hint: expect.stringContaining('--resource') })
    expect(await encrypt('--recipient', 'rsa:alice.pub')).toMatchObject({
      status: 2,
      hint: expect.stringContaining('jwe:'),
    })
    expect(await encrypt('--recipient', 'jwe:app.json')).toMatchObject({ status: 3, code: 'encryption.recipient' })
    expect(await encrypt('--recipient', 'pgp:alice@example.org')).toMatchObject({
      hint: expect.stringContaining('--pgp-ring'),
    })
    expect(await encrypt('--recipient', 'provider:none')).toMatchObject({
      hint: expect.stringContaining('--providers'),
    })
    expect(await encrypt('--recipient', 'jwe:alice.pub', '--layer', '7')).toMatchObject({
      code: 'encryption.recipient',
    })
  })
})

describe('keys in a broker', () => {
  let clinic: TestClinic
  beforeAll(async () => {
    const key = PrincipalKey.generate()
    const manufacturer = SimulatorManufacturer.create()
    const anchors = [
      { name: 'simulator', class: 'simulated' as const, certificate: toBase64(manufacturer.certificate) },
    ]
    const { config } = await initBroker(
      {
        directory: line.file('broker'),
        profile: 'simulated',
        listen: { host: '127.0.0.1', port: 0 },
        publicUrl: 'https://127.0.0.1:0',
        tenants: [{ id: 'clinic-a', owner: 'clinic-a', ownerKey: key.key, anchors }],
      },
      new Date(),
    )
    clinic = await startClinic('clinic-a', key, config, [])
    line.write('owner.pem', key.toPem())
    line.write('owner.json', JSON.stringify({ vouchsafe: 'owner/v1', key: 'owner.pem', broker: clinic.pin }))
  })
  afterAll(() => stopClinic(clinic))

  /** As a stock tool runs it. */
  function keyProvider(request: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const args = [vouchsafe, 'image', 'keyprovider', '--keys', 'keks']
      const child = execFile(process.execPath, args, { cwd: line.directory }, (error, stdout) =>
        error === null ? resolve(utf8(stdout)) : reject(error),
      )
      child.stdin?.end(request)
    })
  }

  interface Sealed {
    readonly image: string
    readonly key: { readonly version: number }
    readonly agreements: readonly { readonly image: boolean; readonly missing: readonly string[] }[]
    readonly releasable: boolean
  }

  test('GU-11 encrypt places the key, rehearses as a guest does, and says which agreement grants it', async () => {
    const seal = (tag: string, ...more: string[]) =>
      line.answer<Sealed>(
        'image',
        'encrypt',
        'oci:build:v1',
        '--out',
        `oci:guest:${tag}`,
        '--resource',
        'images/app/key',
        ...more,
      )
    const first = await seal('v1')
    expect(first).toMatchObject({ key: { resource: 'images/app/key', version: 1 }, agreements: [], releasable: false })
    const { resources } = await clinic.owner.listResources()
    expect(resources).toMatchObject([{ path: 'images/app/key', version: 1, bytes: 32 }])

    const body = agreementOf([clinic], { 0: ['00'.repeat(32)] })
    const [grant] = body.grants
    const agreement = parseAgreement(
      utf8(
        JSON.stringify({
          ...body,
          workload: { image: first.image },
          grants: [{ ...grant, resources: ['images/app/key'] }],
        }),
      ),
      nodeCrypto,
    )
    await clinic.owner.proposeAgreement(agreement.bytes)
    const second = await seal('v2', '--kek', 'app.kek')
    expect(second).toMatchObject({
      key: { version: 2 },
      agreements: [{ image: false, missing: ['clinic-a'] }],
      releasable: false,
    })
    expect(statSync(line.file('app.kek')).mode & 0o777).toBe(0o600)
    await line.answer('image', 'decrypt', 'oci:guest:v2', '--out', 'oci:back:v2', '--key', 'kek:images/app/key=app.kek')
    expect(
      await line.refusal(
        'image',
        'decrypt',
        'oci:guest:v1',
        '--out',
        'oci:back:v1',
        '--key',
        'kek:images/app/key=app.kek',
      ),
    ).toMatchObject({ code: 'encryption.wrong-key' })
  })

  test('GU-12 keyprovider answers a request on standard input with a key of the broker', async () => {
    const options = privateOptionsBytes({
      symmetricKey: new Secret(new Uint8Array(32).fill(1)),
      digest: digestOf(utf8('layer')),
      nonce: new Uint8Array(16),
    })
    const wrapped = await keyProvider(
      wrapRequest('attestation-agent', [utf8('keyid=kbs:///images/other/key')], options),
    )
    const packet = parseCocoPacket(parseWrapResponse(wrapped))
    expect(packet.kid).toBe('kbs:///images/other/key')
    const kek = new Secret(readFileSync(path.join(line.file('keks'), 'images%other%key.kek')))
    expect(unwrapUnderKek(packet, kek)).toEqual(options)
    const { resources } = await clinic.owner.listResources()
    expect(resources).toContainEqual(expect.objectContaining({ path: 'images/other/key', bytes: 32 }))
  })
})
