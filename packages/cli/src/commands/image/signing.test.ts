import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import * as openpgp from 'openpgp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pushImage } from '@vouchsafe/image'
import { parseSigningKey } from '@vouchsafe/image/signing'
import { FakeRegistry } from '../../../../image/src/testing/registry.ts'
import { image } from '../../../../image/src/testing/pull.ts'
import { client, local } from '../../../../image/src/testing/registry-client.ts'
import { newKey, pem } from '../../../../image/src/testing/signing.ts'
import { file } from '../../../../image/src/testing/unpack.ts'
import { CommandLine } from '../testing/command-line.ts'

const line = new CommandLine()
const server = new FakeRegistry({ signingService: true })
let reference = ''
let digest = ''
const registries = ['--registries', 'registries.json'] as const
const answer = <T>(...args: readonly string[]) => line.answer<T>('image', ...args, ...registries)
const run = (...args: readonly string[]) => line.run('image', ...args, ...registries)

/** A fresh image in the registry for each test, so that signatures of another do not count. */
async function publish(path: string): Promise<{ reference: string; digest: string }> {
  const apk = 'P:musl\nV:1.2.4-r2\nA:x86_64\n'
  const made = await image([[file('lib/apk/db/installed', apk), file('name', path)]])
  const c = client({ [server.host]: local })
  await pushImage(made.source, made.digest, c.endpoint({ registry: server.host, path }), { tag: 'v1' })
  return { reference: `${server.host}/${path}`, digest: made.digest }
}

beforeAll(async () => {
  await server.start()
  line.write('registries.json', JSON.stringify({ [server.host]: { plainHttp: true, privateNetwork: true } }))
  line.write('pass', 'open sesame\n')
  await line.answer('image', 'key', 'owner.key', '--passphrase-file', 'pass')
  await line.answer('image', 'key', 'other.key', '--passphrase-file', 'pass')
  await line.answer('image', 'key', 'second', '--passphrase-file', 'pass')
  const published = await publish('team/app')
  reference = published.reference
  digest = published.digest
})
afterAll(() => {
  server.close()
  line.remove()
})
const owner = ['--key', 'owner.key', '--passphrase-file', 'pass'] as const

describe('vouchsafe image sign, verify, attach, sbom', () => {
  test('CS-06 GU-10 signed by tag, verified by its key only; exit status says which', async () => {
    const before = await run('verify', `${reference}:v1`, '--key', 'owner.key.pub')
    expect([before.status, before.stdout]).toEqual([1, expect.stringContaining('0 of the 1 signers')])
    expect(await answer('sign', `${reference}:v1`, ...owner, '--annotation', 'ward=north')).toMatchObject({
      digest,
      algorithm: 'ECDSA_P256_SHA256',
    })
    const yes = await answer<{ accepted: boolean; signers: object[] }>(
      'verify',
      `${reference}:v1`,
      '--key',
      'owner.key.pub',
    )
    expect(yes).toMatchObject({ accepted: true, signers: [{ name: 'owner.key.pub', signed: 'manifest' }] })
    const no = await run('verify', `${reference}:v1`, '--key', 'other.key.pub')
    expect([no.status, no.stdout]).toEqual([1, expect.stringContaining('signature.unverified')])
  })

  test('CS-11 written out, signed elsewhere by OpenSSL’s means, attached by another; two of three', async () => {
    const at = await publish('team/offline')
    const keys = { ann: newKey(), ben: newKey('rsa'), cleo: newKey('ed25519') }
    for (const [name, key] of Object.entries(keys)) line.write(`${name}.pub`, pem(key))
    const all = Object.keys(keys).flatMap((name) => ['--key', `${name}.pub`])
    const verify = () => run('verify', at.reference + ':v1', ...all, '--threshold', '2')
    await answer('sign', `${at.reference}:v1`, '--payload-out', 'payload')
    line.write(
      'ann.sig',
      Buffer.from(keys.ann.sign(new Uint8Array(readFileSync(line.file('payload'))))).toString('base64'),
    )
    const attach = (name: string, ...more: readonly string[]) =>
      run(
        'attach',
        `${at.reference}:v1`,
        '--payload',
        'payload',
        '--signature',
        `${name}.sig`,
        '--public-key',
        `${name}.pub`,
        ...more,
      )
    expect((await attach('ann')).status).toBe(0)
    expect((await verify()).status).toBe(1)
    // a bundle this time, by another party
    await answer('sign', `${at.reference}:v1`, '--payload-out', 'payload', '--scheme', 'bundle')
    line.write(
      'ben.sig',
      Buffer.from(keys.ben.sign(new Uint8Array(readFileSync(line.file('payload'))))).toString('base64'),
    )
    line.write('cleo.sig', Buffer.from(keys.ann.sign(new Uint8Array([1]))).toString('base64'))
    const wrong = await attach('cleo', '--scheme', 'bundle')
    expect([wrong.status, wrong.stderr]).toEqual([1, expect.stringContaining('signature.unverified')])
    expect((await attach('ben', '--scheme', 'bundle')).status).toBe(0)
    const yes = await verify()
    expect([yes.status, yes.stdout]).toEqual([0, expect.stringContaining('2 of the 2 signers that are wanted')])
  })

  test('CS-84 diff shows who signed one image and not the other, by the keys it is given', async () => {
    const [before, after] = [
      `${(await publish('team/before')).reference}:v1`,
      `${(await publish('team/after')).reference}:v1`,
    ]
    await answer('sign', before, ...owner)
    await answer('sign', before, '--key', 'other.key', '--passphrase-file', 'pass')
    await answer('sign', after, ...owner)
    const signers = ['--signer', 'owner.key.pub', '--signer', 'other.key.pub'] as const
    const changed = await run('diff', before, after, ...signers, '--settings-only')
    expect([changed.status, changed.stdout]).toEqual([
      1,
      expect.stringContaining('signature    other.key.pub: signed -> (not there)'),
    ])
    expect(changed.stdout).not.toContain('owner.key.pub')
    // a signature by nobody who was named is nobody’s
    const strange = await run('diff', before, after, '--signer', 'second.pub', '--settings-only', '--json')
    expect(JSON.parse(strange.stdout)).toMatchObject({ signatures: [] })
    expect((await run('diff', before, after, '--settings-only')).stdout).toContain('signatures   not compared')
  })

  test('CS-05 who builds has no key, who signs needs no registry, and who may read the public key cannot sign', async () => {
    const at = await publish('team/apart')
    mkdirSync(line.file('built'))
    await answer('sign', `${at.reference}:v1`, '--payload-out', 'built/payload')
    expect(readdirSync(line.file('built'))).toEqual(['payload'])
    // the private half: for its owner's eyes, and under a passphrase
    expect(statSync(line.file('owner.key')).mode & 0o777).toBe(0o600)
    for (const [key, code] of [
      ['owner.key', 'key.passphrase'],
      ['owner.key.pub', 'key.malformed'],
    ] as const)
      expect((await run('sign', `${at.reference}:v1`, '--key', key)).stderr).toContain(code)
    expect((await run('verify', `${at.reference}:v1`, '--key', 'owner.key.pub')).status).toBe(1)
    const signer = parseSigningKey(readFileSync(line.file('owner.key'), 'utf8'), { passphrase: 'open sesame' })
    const payload = new Uint8Array(readFileSync(line.file('built/payload')))
    line.write('built/signature', Buffer.from(signer.sign(payload)).toString('base64'))
    const brought = ['--payload', 'built/payload', '--signature', 'built/signature', '--public-key', 'owner.key.pub']
    expect((await run('attach', `${at.reference}:v1`, ...brought)).status).toBe(0)
    expect((await run('verify', `${at.reference}:v1`, '--key', 'owner.key.pub')).status).toBe(0)
  })

  test('a payload for another image is not attached', async () => {
    await answer('sign', `${reference}:v1`, '--payload-out', 'payload')
    const key = newKey()
    line.write('k.pub', pem(key))
    line.write('k.sig', Buffer.from(key.sign(new Uint8Array(readFileSync(line.file('payload'))))).toString('base64'))
    const other = await publish('team/other')
    const refused = await run(
      'attach',
      `${other.reference}:v1`,
      '--payload',
      'payload',
      '--signature',
      'k.sig',
      '--public-key',
      'k.pub',
    )
    expect([refused.status, refused.stderr]).toEqual([2, expect.stringContaining('signed for another image')])
  })

  test('CS-08 CS-09 CS-10 an SBOM is made, signed, listed, and fetched again by its type', async () => {
    const at = await publish('team/sbom')
    expect(await answer('sbom', `${at.reference}:v1`, '--out', 'plain.json')).toMatchObject({
      packages: 1,
      format: 'spdx',
    })
    await answer('sbom', `${at.reference}:v1`, '--format', 'cyclonedx', ...owner)
    const fetch = (key: string, type: string) =>
      run('verify', `${at.reference}:v1`, '--key', key, '--type', type, '--out', 'fetched.json')
    expect((await fetch('owner.key.pub', 'cyclonedx')).status).toBe(0)
    expect(JSON.parse(readFileSync(line.file('fetched.json'), 'utf8'))).toMatchObject({
      bomFormat: 'CycloneDX',
      components: [{ name: 'musl', version: '1.2.4-r2' }],
    })
    expect((await run('verify', `${at.reference}:v1`, '--key', 'other.key.pub', '--type', 'cyclonedx')).status).toBe(1)
    // that there is none is an answer, with what was refused, and nothing is written
    rmSync(line.file('fetched.json'))
    const none = await fetch('other.key.pub', 'cyclonedx')
    expect([none.status, none.stdout]).toEqual([
      1,
      expect.stringMatching(/: 0 of .*\nno {2}referrer .*signature\.unverified/s),
    ])
    expect(existsSync(line.file('fetched.json'))).toBe(false)
    expect((await run('verify', `${at.reference}:v1`, '--key', 'owner.key.pub', '--type', 'spdx')).status).toBe(1)
    const { attached } = await answer<{ attached: { predicateType: string }[] }>(
      'verify',
      `${at.reference}:v1`,
      '--list',
    )
    expect(attached.map(({ predicateType }) => predicateType)).toEqual(['https://cyclonedx.org/bom'])
  })

  test('GU-08 CS-12 pull by policy: refused before it is there, then taken', async () => {
    const at = await publish('team/pulled')
    const policy = (key: string) => {
      const requirement = {
        type: 'sigstoreSigned',
        keyPath: line.file(key),
        signedIdentity: { type: 'matchRepository' },
      }
      line.write(
        'policy.json',
        JSON.stringify({ default: [{ type: 'reject' }], transports: { docker: { [server.host]: [requirement] } } }),
      )
    }
    policy('owner.key.pub')
    const pull = () => run('pull', `${at.reference}:v1`, '--policy', 'policy.json', '--to', 'rootfs')
    const refused = await pull()
    expect([refused.status, refused.stderr, existsSync(line.file('rootfs'))]).toEqual([
      1,
      expect.stringMatching(/policy.refused.*the image carries no signature/s),
      false,
    ])
    await answer('sign', `${at.reference}:v1`, ...owner)
    expect((await pull()).status).toBe(0)
    expect(readFileSync(line.file('rootfs/name'), 'utf8')).toBe('team/pulled')
  })

  test('GU-30 one policy: an open repository unsigned, a protected one by any key of its ring; the reason where refused', async () => {
    const [open, guarded] = [await publish('open/app'), await publish('guarded/app')]
    const ring = ['owner.key.pub', 'second.pub'].map((name) => readFileSync(line.file(name)).toString('base64'))
    const requirement = { type: 'sigstoreSigned', keyDatas: ring, signedIdentity: { type: 'matchRepository' } }
    const docker = { [`${server.host}/guarded`]: [requirement] }
    line.write('two.json', JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }], transports: { docker } }))
    const pull = async (from: { readonly reference: string }, to: string) => {
      const { status, stderr } = await run('pull', `${from.reference}:v1`, '--policy', 'two.json', '--to', to)
      return [status, existsSync(line.file(to)), stderr]
    }
    expect(await pull(open, 'of-open')).toEqual([0, true, expect.anything()])
    const unsigned = await pull(guarded, 'of-guarded')
    expect(unsigned).toEqual([1, false, expect.stringMatching(/policy\.refused.*carries no signature/s)])
    await answer('sign', `${guarded.reference}:v1`, '--key', 'other.key', '--passphrase-file', 'pass')
    const another = await pull(guarded, 'of-guarded')
    expect(another).toEqual([1, false, expect.stringMatching(/policy\.refused.*signature\.unverified/s)])
    await answer('sign', `${guarded.reference}:v1`, '--key', 'second', '--passphrase-file', 'pass')
    expect(await pull(guarded, 'of-guarded')).toEqual([0, true, expect.anything()])
  })

  test('GU-29 files that cannot be used are named, with the exit status of bad input', async () => {
    line.write('policy.json', '{"default":[]}')
    line.write('no.pub', 'no key\n')
    for (const [args, code, name] of [
      [['verify', `${reference}:v1`, '--policy', 'policy.json'], 'policy.malformed', 'policy.json'],
      [['verify', `${reference}:v1`, '--key', 'no.pub'], 'policy.material', 'no.pub'],
      [['sign', `${reference}:v1`, '--key', 'owner.key'], 'key.passphrase', 'owner.key'],
      [['sign', `${reference}:v1`, '--key', 'owner.key.pub'], 'key.malformed', 'owner.key.pub'],
    ] as const) {
      const { status, stderr } = await run(...args)
      expect([status, stderr]).toEqual([3, expect.stringMatching(new RegExp(`${code}.*${name}`, 's'))])
    }
    for (const args of [
      ['verify', `${reference}:v1`],
      ['sign', `${reference}:v1`],
      ['verify', 'oci:nowhere', '--key', 'no.pub'],
    ])
      expect((await run(...args)).status).toBeGreaterThan(1)
  })

  test('GU-10 an OpenPGP signature in a local store, found through registries.d', async () => {
    const at = await publish('team/gpg')
    const { privateKey, publicKey } = await openpgp.generateKey({ userIDs: [{ name: 'Owner' }], format: 'armored' })
    line.write('owner.asc', privateKey)
    line.write('ring.asc', publicKey)
    await answer('sign', `${at.reference}:v1`, '--gpg-key', 'owner.asc', '--lookaside', 'store')
    mkdirSync(line.file('registries.d'))
    line.write('registries.d/default.yaml', `default-docker: {lookaside: "file://${line.file('store')}"}\n`)
    line.write(
      'gpg.json',
      JSON.stringify({ default: [{ type: 'signedBy', keyType: 'GPGKeys', keyPath: line.file('ring.asc') }] }),
    )
    const verify = (...more: readonly string[]) => run('verify', `${at.reference}:v1`, '--policy', 'gpg.json', ...more)
    expect((await verify('--registries-d', 'registries.d')).status).toBe(0)
    expect((await verify()).status).toBe(1)
  })

  test('GU-28 an OpenPGP signature in the registry’s own signing service, by a policy that names the scheme', async () => {
    const at = await publish('team/service')
    const { privateKey, publicKey } = await openpgp.generateKey({ userIDs: [{ name: 'Owner' }], format: 'armored' })
    line.write('service.asc', privateKey)
    line.write('service-ring.asc', publicKey)
    const requirement = {
      type: 'vouchsafeScheme',
      scheme: 'registry-service',
      parameters: { keyPaths: [line.file('service-ring.asc')] },
    }
    line.write('service.json', JSON.stringify({ default: [requirement] }))
    const verify = () => run('verify', `${at.reference}:v1`, '--policy', 'service.json')
    expect([(await verify()).status, (await verify()).stdout]).toEqual([1, expect.stringContaining('no signature')])
    const nowhere = await run('sign', `${at.reference}:v1`, '--gpg-key', 'service.asc')
    expect([nowhere.status, nowhere.stderr]).toEqual([2, expect.stringContaining('--signing-service')])
    expect((await run('sign', `${at.reference}:v1`, '--gpg-key', 'service.asc', '--signing-service')).status).toBe(0)
    expect((await verify()).status).toBe(0)
  })
})
