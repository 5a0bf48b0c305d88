import { X509Certificate } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { PrincipalKey } from '@vouchsafe/client'
import { Secret, toBase64 } from '@vouchsafe/core'
import {
  buildImage,
  COCO_PROVIDER,
  type Compression,
  copyToLayout,
  decryptImage,
  type Digest,
  DockerArchive,
  encryptImage,
  findPgpKeys,
  guestKeys,
  guestRecipient,
  ImageLayout,
  type ImageSource,
  jweKeys,
  jweRecipients,
  type KeyHolder,
  layerDecryptor,
  LayoutWriter,
  pgpKeys,
  pgpRecipients,
  pkcs7Keys,
  pkcs7Recipients,
  readPgpPrivateKeys,
  readPgpPublicKeys,
  readPrivateKey,
  readPublicKey,
  type Recipients,
  resolveImage,
  unpackImage,
  writeArchive,
} from '@vouchsafe/image'
import { answerKeyProvider, type KekPort, serveKeyProvider } from '@vouchsafe/image/key-provider'
import { SimulatorManufacturer } from '@vouchsafe/simulator'
import { bundleProgram } from '../../packages/agent/bin/bundle.ts'
import { initBroker } from '../../packages/broker/src/init.ts'
import { startClinic, stopClinic, type TestClinic } from '../../packages/broker/src/testing/two-clinics.ts'
import { makeKeys } from './keys.ts'
import { Skopeo } from './skopeo.ts'

/*
 * Peer: skopeo, with ocicrypt in Go. For each key scheme: what we encrypt, skopeo decrypts, and the other way round; the
 * layers are then the original ones by digest. Key providers: ours over gRPC, and as the command line with a broker.
 */
const scratch = mkdtempSync(path.join(tmpdir(), 'vouchsafe-interop-'))
let count = 0
const fresh = () => path.join(scratch, `d${count++}`)
const file = (name: string) => new Uint8Array(readFileSync(name))
const platform = { os: 'linux', architecture: 'amd64' }
/** The command line as one file, beside its source, where it finds its packages. */
const vouchsafe = fileURLToPath(new URL(`../../packages/cli/dist/interop-${process.pid}.mjs`, import.meta.url))
await bundleProgram(fileURLToPath(new URL('../../packages/cli/bin/vouchsafe.ts', import.meta.url)), vouchsafe)

function assert(condition: boolean, what: string): void {
  if (!condition) throw new Error(what)
}

mkdirSync(path.join(scratch, 'skopeo'))
const skopeo = new Skopeo(path.join(scratch, 'skopeo'))
console.log(skopeo.version())
const keys = makeKeys(path.join(scratch, 'keys'))

/** One layer of each compression: a base, and two on top. */
async function original(
  compressions: readonly Compression[] = ['none', 'gzip', 'zstd'],
): Promise<{ directory: string; digest: Digest }> {
  let base: { source: ImageLayout; digest: Digest } | undefined
  for (const compression of compressions) {
    const directory = fresh()
    const bytes = new TextEncoder().encode(`${compression} `.repeat(50_000))
    const { digest } = await buildImage(
      {
        layers: [{ kind: 'files', files: [{ kind: 'file', path: `${compression}.txt`, bytes }] }],
        config: { entrypoint: ['/run'] },
        compression,
        name: 'v1',
        ...(base === undefined ? {} : { base }),
      },
      directory,
    )
    base = { source: await ImageLayout.open(directory), digest }
  }
  if (base === undefined) throw new Error('no image')
  return { directory: base.source.place, digest: base.digest }
}
const plain = await original()

async function layersOf(directory: string) {
  const source = await ImageLayout.open(directory)
  return (await resolveImage(source, source.find('v1').digest, { platform })).layers
}
const wanted = (await layersOf(plain.directory)).map(({ descriptor }) => descriptor.digest)

async function assertPlain(directory: string): Promise<void> {
  const layers = await layersOf(directory)
  assert(!layers.some(({ form }) => form.encrypted), 'a layer is encrypted still')
  const got = layers.map(({ descriptor }) => descriptor.digest)
  assert(JSON.stringify(got) === JSON.stringify(wanted), `layers are ${got.join(', ')}, wanted ${wanted.join(', ')}`)
}

async function encryptedBySelf(recipients: readonly Recipients[]): Promise<string> {
  const directory = fresh()
  const source = await ImageLayout.open(plain.directory)
  await encryptImage({ source, digest: plain.digest, recipients, name: 'v1' }, await LayoutWriter.open(directory))
  return directory
}

async function decryptedBySelf(from: string, holders: readonly KeyHolder[]): Promise<string> {
  const directory = fresh()
  const source = await ImageLayout.open(from)
  assert(
    (await layersOf(from)).every(({ form }) => form.encrypted),
    'skopeo left a layer plain',
  )
  const { digest } = source.find('v1')
  await decryptImage({ source, digest, holders, name: 'v1' }, await LayoutWriter.open(directory))
  return directory
}

interface Scheme {
  readonly to: () => Recipients | Promise<Recipients>
  readonly by: () => KeyHolder | Promise<KeyHolder>
  /** skopeo's spelling of the same. */
  readonly encryptionKeys: readonly string[]
  readonly decryptionKeys: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

const jwe = (publicFile: string, privateFile: string): Scheme => ({
  to: () => jweRecipients([readPublicKey(file(publicFile), publicFile)]),
  by: () => jweKeys([readPrivateKey(file(privateFile), privateFile)]),
  encryptionKeys: [`jwe:${publicFile}`],
  decryptionKeys: [privateFile],
})
const certificate = new X509Certificate(file(keys.certificate))
const SCHEMES: Readonly<Record<string, Scheme>> = {
  'jwe, RSA-2048': jwe(keys.rsaPublic, keys.rsa),
  'jwe, EC P-521': jwe(keys.ecPublic, keys.ec),
  'jwe, two recipients, opened by the second': {
    ...jwe(keys.ecPublic, keys.ec),
    to: () => jweRecipients([keys.rsaPublic, keys.ecPublic].map((name) => readPublicKey(file(name), name))),
    encryptionKeys: [`jwe:${keys.rsaPublic}`, `jwe:${keys.ecPublic}`],
  },
  pkcs7: {
    to: () => pkcs7Recipients([certificate]),
    by: () => pkcs7Keys([{ certificate, key: readPrivateKey(file(keys.certificateKey), 'crt.key').key }]),
    encryptionKeys: [`pkcs7:${keys.certificate}`],
    decryptionKeys: [keys.certificateKey, keys.certificate],
  },
  pgp: {
    to: async () => pgpRecipients(findPgpKeys(await readPgpPublicKeys(file(keys.pgpPublic), 'ring'), keys.pgpAddress)),
    by: async () => pgpKeys(await readPgpPrivateKeys(file(keys.pgpPrivate), 'ring')),
    encryptionKeys: [`pgp:${keys.pgpAddress}`],
    decryptionKeys: [keys.pgpPrivate],
    env: { GNUPGHOME: keys.gnupgHome },
  },
}

const flags = (name: string, values: readonly string[]) => values.flatMap((value) => [name, value])

const CASES: (readonly [string, () => Promise<void>])[] = Object.entries(SCHEMES).flatMap(([name, scheme]) => [
  [
    `${name}: ours, decrypted by skopeo`,
    async () => {
      const sealed = await encryptedBySelf([await scheme.to()])
      const out = fresh()
      await skopeo.copy(sealed, out, flags('--decryption-key', scheme.decryptionKeys), scheme.env)
      await assertPlain(out)
    },
  ],
  [
    `${name}: skopeo’s, decrypted by us`,
    async () => {
      const sealed = fresh()
      await skopeo.copy(plain.directory, sealed, flags('--encryption-key', scheme.encryptionKeys), scheme.env)
      await assertPlain(await decryptedBySelf(sealed, [await scheme.by()]))
    },
  ],
])

const memory = new Map<string, Secret>()
const keks: KekPort = {
  obtain: (resource) => {
    const kek = memory.get(resource) ?? new Secret(crypto.getRandomValues(new Uint8Array(32)))
    memory.set(resource, kek)
    return Promise.resolve(kek)
  },
  find: (resource) => Promise.resolve(memory.get(resource)),
}

/** skopeo takes the provider from a file that a variable names. */
function providerEnvironment(entry: object): Record<string, string> {
  const config = fresh()
  writeFileSync(config, JSON.stringify({ 'key-providers': { [COCO_PROVIDER]: entry } }))
  return { OCICRYPT_KEYPROVIDER_CONFIG: config }
}
const wrapFlags = (resource: string) => ['--encryption-key', `provider:${COCO_PROVIDER}:keyid=kbs:///${resource}`]
const unwrapFlags = ['--decryption-key', `provider:${COCO_PROVIDER}`]

CASES.push([
  'provider over gRPC: skopeo wraps and unwraps by our service; a guest’s key opens it, and skopeo opens what we made for guests',
  async () => {
    const answer = (request: Uint8Array) => answerKeyProvider(request, keks)
    const refusals: unknown[] = []
    const server = await serveKeyProvider({ host: '127.0.0.1', port: 0 }, answer, (error) => refusals.push(error))
    try {
      const env = providerEnvironment({ grpc: `127.0.0.1:${server.port}` })
      const sealed = fresh()
      await skopeo.copy(plain.directory, sealed, wrapFlags('images/grpc/key'), env)
      await assertPlain(await decryptedBySelf(sealed, [guestKeys((resource) => keks.find(resource))]))
      const out = fresh()
      await skopeo.copy(sealed, out, unwrapFlags, env)
      await assertPlain(out)
      const kek = await keks.obtain('images/ours/key')
      const ours = await encryptedBySelf([guestRecipient(kek, { resource: 'images/ours/key' })])
      const opened = fresh()
      await skopeo.copy(ours, opened, unwrapFlags, env)
      await assertPlain(opened)
      memory.delete('images/ours/key')
      const refused = await skopeo.copy(ours, fresh(), unwrapFlags, env).then(
        () => false,
        () => true,
      )
      assert(refused && refusals.length > 0, 'skopeo got a key that is not there')
    } finally {
      await server.close()
    }
  },
])

CASES.push([
  'provider as a command: skopeo wraps by the command line, whose key is in a broker then, and unwraps',
  async () => {
    const directory = fresh()
    const { clinic, owner } = await startBroker(directory)
    try {
      const folder = path.join(directory, 'keks')
      const args = [vouchsafe, 'image', 'keyprovider', '--keys', folder, '--as', owner]
      const env = providerEnvironment({ cmd: { path: process.execPath, args } })
      const sealed = fresh()
      await skopeo.copy(plain.directory, sealed, wrapFlags('images/command/key'), env)
      const { resources } = await clinic.owner.listResources()
      assert(
        resources.some((r) => r.path === 'images/command/key' && r.bytes === 32),
        'the key is not in the broker',
      )
      const out = fresh()
      await skopeo.copy(sealed, out, unwrapFlags, env)
      await assertPlain(out)
      const kek = new Secret(file(path.join(folder, 'images%command%key.kek')))
      await assertPlain(await decryptedBySelf(sealed, [guestKeys(() => Promise.resolve(kek))]))
    } finally {
      await stopClinic(clinic)
    }
  },
])

CASES.push([
  'oci-archive: skopeo reads what we pack, digests kept, and we read what it packs',
  async () => {
    const [ours, theirs] = [`${fresh()}.tar`, `${fresh()}.tar`]
    await writeArchive(plain.directory, ours)
    const read = fresh()
    await skopeo.copyBetween(`oci-archive:${ours}:v1`, `oci:${read}:v1`, ['--preserve-digests'])
    assert((await ImageLayout.open(read)).find('v1').digest === plain.digest, 'the digest is another')
    await skopeo.copyBetween(`oci:${plain.directory}:v1`, `oci-archive:${theirs}:v1`, ['--preserve-digests'])
    const archive = await ImageLayout.openArchive(theirs)
    const copied = fresh()
    await copyToLayout(archive, archive.find('v1').digest, await LayoutWriter.open(copied), { name: 'v1' })
    assert(archive.find('v1').digest === plain.digest, 'the digest is another')
    await assertPlain(copied)
  },
])

CASES.push([
  'docker-archive: what skopeo writes as docker saves it, of several images, is read by us with the same layers inside',
  async () => {
    const file = `${fresh()}.tar`
    const image = await original(['none', 'gzip']) // docker's own form knows no zstd
    await skopeo.copyBetween(`oci:${image.directory}:v1`, `docker-archive:${file}:registry.example/app:v1`, [
      '--additional-tag=app:also',
    ])
    const archive = await DockerArchive.open(file)
    const digest = archive.find('registry.example/app:v1')
    assert(digest === archive.find('app:also'), 'two names, two images')
    const inside = async (source: ImageSource, of: Digest) =>
      (await resolveImage(source, of, { platform })).layers.map(({ diffId }) => diffId).join()
    assert(
      (await inside(archive, digest)) === (await inside(await ImageLayout.open(image.directory), image.digest)),
      'the layers are others',
    )
    await unpackImage(archive, digest, fresh(), { platform })
    // and what we make of it goes back as docker has it
    const [again, back] = [fresh(), `${fresh()}.tar`]
    await copyToLayout(archive, digest, await LayoutWriter.open(again), { name: 'v1' })
    await skopeo.copyBetween(`oci:${again}:v1`, `docker-archive:${back}:app:v1`)
    assert(
      (await inside(await DockerArchive.open(back), (await DockerArchive.open(back)).find('app:v1'))) ===
        (await inside(archive, digest)),
      'the layers are others on the way back',
    )
  },
])

CASES.push([
  'layers that skopeo compresses while it encrypts, and whose archives it promises, are decrypted by us',
  async () => {
    const sealed = fresh()
    const scheme = SCHEMES['jwe, RSA-2048'] as Scheme
    await skopeo.copyCompressing(plain.directory, sealed, flags('--encryption-key', scheme.encryptionKeys))
    const layers = await layersOf(await decryptedBySelf(sealed, [await scheme.by()]))
    assert(!layers.some(({ form }) => form.encrypted || form.compression === 'none'), 'skopeo compressed nothing')
    const diffIds = (found: typeof layers) => JSON.stringify(found.map(({ diffId }) => diffId))
    assert(diffIds(layers) === diffIds(await layersOf(plain.directory)), 'other archives')
    const source = await ImageLayout.open(sealed)
    const decryptor = layerDecryptor([await scheme.by()])
    await unpackImage(source, source.find('v1').digest, fresh(), { decryptor, platform })
  },
])

CASES.push([
  'a key that is nobody’s opens nothing, here as there',
  async () => {
    const sealed = await encryptedBySelf([await (SCHEMES['jwe, RSA-2048'] as Scheme).to()])
    const stranger = jweKeys([readPrivateKey(file(keys.strangerKey), 'stranger')])
    const code = await decryptedBySelf(sealed, [stranger]).then(
      () => 'none',
      (error: unknown) => (error as { code?: string }).code,
    )
    assert(code === 'encryption.wrong-key', `we say ${code}`)
    const theirs = await skopeo.copy(sealed, fresh(), ['--decryption-key', keys.strangerKey]).then(
      () => 'none',
      () => 'refused',
    )
    assert(theirs === 'refused', 'skopeo decrypted')
  },
])

async function startBroker(directory: string): Promise<{ clinic: TestClinic; owner: string }> {
  const key = PrincipalKey.generate()
  const certificate = toBase64(SimulatorManufacturer.create().certificate)
  const anchors = [{ name: 'simulator', class: 'simulated' as const, certificate }]
  const { config } = await initBroker(
    {
      directory,
      profile: 'simulated',
      listen: { host: '127.0.0.1', port: 0 },
      publicUrl: 'https://127.0.0.1:0',
      tenants: [{ id: 'owner', owner: 'owner', ownerKey: key.key, anchors }],
    },
    new Date(),
  )
  const clinic = await startClinic('owner', key, config, [])
  writeFileSync(path.join(directory, 'owner.pem'), key.toPem())
  const owner = path.join(directory, 'owner.json')
  writeFileSync(owner, JSON.stringify({ vouchsafe: 'owner/v1', key: 'owner.pem', broker: clinic.pin }))
  return { clinic, owner }
}

let passed = 0
let failed = 0
try {
  for (const [name, run] of CASES) {
    const started = performance.now()
    try {
      await run()
      passed++
      console.log(`ok      ${name} (${Math.round(performance.now() - started)} ms)`)
    } catch (error) {
      failed++
      console.log(`FAILED  ${name}\n        ${(error as Error).message.slice(0, 800)}`)
    }
  }
} finally {
  // gpg starts an agent for its folder, which would outlive it
  try {
    execFileSync('gpgconf', ['--homedir', keys.gnupgHome, '--kill', 'all'], { stdio: 'ignore' })
  } catch {
    // not there: nothing to end
  }
  rmSync(scratch, { recursive: true, force: true })
  for (const name of [vouchsafe, `${vouchsafe}.LEGAL.txt`]) rmSync(name, { force: true })
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
