import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { missingVectors, readVectorText } from '@vouchsafe/testkit'
import * as openpgp from 'openpgp'
import { describe, expect, test } from 'vitest'
import { type Digest, parseDigest } from '../oci/digest.ts'
import { MEDIA } from '../oci/media-types.ts'
import { parseReference } from '../oci/reference.ts'
import { pullToStore } from '../pull/pull-image.ts'
import { attachCosign } from '../sign/attach.ts'
import { cosignPayload, signCosign, signSimple } from '../sign/sign-payload.ts'
import { fresh, openStore } from '../testing/pull.ts'
import { at, keyData, newKey, pem, published, said } from '../testing/signing.ts'
import { HARDENED } from '../unpack/profile.ts'
import type { ImageDecision } from './decide-image.ts'
import { readMaterialFrom } from './material.ts'
import { parsePolicy } from './parse-policy.ts'
import { decideBySignatures, pullPolicy } from './pull-policy.ts'
import { mergeRegistriesD } from './registries-d.ts'

const byRepository = { type: 'matchRepository' }
const accept = { type: 'insecureAcceptAnything' }
type Published = Awaited<ReturnType<typeof published>>
const pull = ({ client, name, digest, asked, policy }: Published, ...rest: Parameters<Published['policy']>) =>
  pullToStore(openStore(), HARDENED, { source: client.reader(name), asked, digest, policy: policy(...rest) })

describe('GU-08 H03 the policy decides before any byte behind the manifest is fetched', () => {
  test('an unsigned image: refused with reasons, and not one blob was asked for', async () => {
    const image = await published()
    const before = image.server.seen.length
    const requirement = { type: 'sigstoreSigned', keyData: keyData(newKey()), signedIdentity: byRepository }
    await expect(pull(image, [requirement])).rejects.toMatchObject({
      code: 'policy.refused',
      message: expect.stringContaining('default: sigstoreSigned: the image carries no signature'),
    })
    const asked = image.server.seen.slice(before).map(({ path: at }) => at)
    expect(asked.some((at) => at.includes('/manifests/'))).toBe(true)
    expect(asked.filter((at) => at.includes('/blobs/'))).toEqual([])
  })

  test('GU-29 where no signature was looked for, the answer says why', async () => {
    const image = await published()
    const key = newKey()
    const payload = cosignPayload({ digest: image.digest, dockerReference: image.reference })
    await attachCosign(image.client, image.name, image.digest, signCosign(payload, key))
    const { publicKey } = await openpgp.generateKey({ userIDs: [{ email: 'a@b.example' }], format: 'binary' })
    const ring = { type: 'signedBy', keyType: 'GPGKeys', keyData: Buffer.from(publicKey).toString('base64') }
    const one = { type: 'sigstoreSigned', keyData: keyData(key), signedIdentity: byRepository }
    const signers = [{ name: 'ann', keyData: keyData(key) }]
    const some = { type: 'vouchsafeSigners', threshold: 1, signers, signedIdentity: byRepository }
    const registries = { docker: new Map() }
    const { findings } = await image.decide([ring, one, some], { registries })
    expect(
      findings.map(({ fulfilled, explanation }) => [fulfilled, explanation.replace(/^.*: (?=registries)/, '')]),
    ).toEqual([
      [false, 'registries.d names no signature store for it'],
      [false, 'registries.d does not say use-sigstore-attachments for it'],
      [false, 'registries.d does not say use-sigstore-attachments for it'],
    ])
    expect((await image.decide([one, some])).kind).toBe('accept')
  })

  test('a signed image is pulled, and the decision is told', async () => {
    const image = await published()
    const key = newKey()
    const payload = cosignPayload({ digest: image.digest, dockerReference: image.reference })
    await attachCosign(image.client, image.name, image.digest, signCosign(payload, key))
    const decisions: ImageDecision[] = []
    const requirement = { type: 'sigstoreSigned', keyData: keyData(key), signedIdentity: byRepository }
    const report = await pull(image, [requirement], { onDecision: (decision) => decisions.push(decision) })
    expect(report.lowerDirs).toHaveLength(1)
    expect(decisions.map(({ kind, signers }) => [kind, signers[0]?.key])).toEqual([['accept', key.public.id]])
  })

  test('CS-13 stored already, and still refused when the signature is wanted anew by another key', async () => {
    const image = await published()
    const store = openStore()
    const request = (policy: ReturnType<Published['policy']>) => ({
      source: image.client.reader(image.name),
      asked: image.asked,
      digest: image.digest,
      policy,
    })
    await pullToStore(store, HARDENED, request(image.policy([accept])))
    const strict = image.policy([{ type: 'sigstoreSigned', keyData: keyData(newKey()), signedIdentity: byRepository }])
    await expect(pullToStore(store, HARDENED, request(strict))).rejects.toMatchObject({ code: 'policy.refused' })
  })
})

describe('GU-09 all requirements of a scope must hold', () => {
  const key = newKey()
  const good = { type: 'sigstoreSigned', keyData: keyData(key), signedIdentity: byRepository }
  const bad = { ...good, keyData: keyData(newKey()) }
  test.each([
    ['one good', [good], 'accept'],
    ['two good', [good, good], 'accept'],
    ['good and bad', [good, bad], 'refuse'],
    ['good and reject', [good, { type: 'reject' }], 'refuse'],
    ['reject', [{ type: 'reject' }], 'refuse'],
    ['anything', [accept], 'accept'],
    ['a base layer, which nobody checks', [{ type: 'signedBaseLayer', baseLayerIdentity: byRepository }], 'refuse'],
    ['a key type that nobody implements', [{ type: 'signedBy', keyType: 'X509Certificates', keyPath: '/x' }], 'refuse'],
  ] as const)('%s', async (_what, requirements, wanted) => {
    const { client, name, digest, reference, decide } = await published()
    await attachCosign(client, name, digest, signCosign(cosignPayload({ digest, dockerReference: reference }), key))
    expect((await decide(requirements)).kind).toBe(wanted)
  })

  test('H05 with the switch on, accepting anything counts for nothing', async () => {
    const { decide } = await published()
    const decision = await decide([accept], { requireSignature: true })
    expect([decision.kind, said(decision)]).toEqual(['refuse', expect.stringContaining('one is wanted')])
  })
})

test('H02 where an index was asked for, either document may be signed, and a policy may say which', async () => {
  const { client, name, digest, reference, asked } = await published()
  const index = `sha256:${'c'.repeat(64)}` as Digest
  const [onIndex, onManifest] = [newKey(), newKey()]
  // both lie under the tag of what they sign
  await attachCosign(
    client,
    name,
    index,
    signCosign(cosignPayload({ digest: index, dockerReference: reference }), onIndex),
  )
  await attachCosign(
    client,
    name,
    digest,
    signCosign(cosignPayload({ digest, dockerReference: reference }), onManifest),
  )
  const documents = [
    { role: 'index', digest: index, bytes: new Uint8Array() },
    { role: 'manifest', digest, bytes: new Uint8Array() },
  ] as const
  const decide = async (by: typeof onIndex, signed?: 'index' | 'manifest') => {
    const requirement = {
      type: 'vouchsafeSigners',
      threshold: 1,
      signers: [{ name: 'a', keyData: keyData(by) }],
      signedIdentity: byRepository,
      ...(signed === undefined ? {} : { signed }),
    }
    const policy = parsePolicy(new TextEncoder().encode(JSON.stringify({ default: [requirement] })))
    const ports = { policy, client, material: readMaterialFrom({}), at: () => at }
    const decision = await decideBySignatures({ asked, documents }, ports)
    return [decision.kind, decision.signers[0]?.signed]
  }
  expect(await decide(onIndex)).toEqual(['accept', 'index'])
  expect(await decide(onManifest)).toEqual(['accept', 'manifest'])
  expect(await decide(onIndex, 'index')).toEqual(['accept', 'index'])
  expect(await decide(onIndex, 'manifest')).toEqual(['refuse', undefined])
  expect(await decide(onManifest, 'index')).toEqual(['refuse', undefined])
})

describe('GU-26 H02 pulled by an index of several platforms', () => {
  const keys = { index: newKey(), manifest: newKey() } as const
  /** Two requirements, both of which must hold. */
  const both = (['index', 'manifest'] as const).map((signed) => ({
    type: 'vouchsafeSigners',
    threshold: 1,
    signers: [{ name: `who signs ${signed}`, keyData: keyData(keys[signed]) }],
    signedIdentity: byRepository,
    signed,
  }))

  async function indexed() {
    const image = await published()
    const { digest, mediaType, size } = image.subject
    const entry = (architecture: string) => ({ mediaType, digest, size, platform: { os: 'linux', architecture } })
    const entries = [{ ...entry('arm64'), digest: `sha256:${'d'.repeat(64)}` }, entry('amd64')]
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.index, manifests: entries }))
    const index = parseDigest(image.server.put('team/app', 'multi', bytes, MEDIA.index))
    const sign = (what: keyof typeof keys) => {
      const at = what === 'index' ? index : digest
      const payload = cosignPayload({ digest: at, dockerReference: image.reference })
      return attachCosign(image.client, image.name, at, signCosign(payload, keys[what]))
    }
    const run = () => pull({ ...image, digest: index }, both)
    return { ...image, index, sign, run }
  }

  test.each([
    ['nothing', []],
    ['the index alone', ['index']],
    ['the manifest alone', ['manifest']],
  ] as const)('refused where %s is signed', async (_what, signed) => {
    const { sign, run } = await indexed()
    for (const what of signed) await sign(what)
    await expect(run()).rejects.toMatchObject({
      code: 'policy.refused',
      message: expect.stringContaining('0 of the 1 signers that are wanted'),
    })
  })

  test('taken where both are, and each is what its digest says', async () => {
    const { sign, run, server, index, digest } = await indexed()
    await sign('index')
    await sign('manifest')
    expect((await run()).image.manifestDigest).toBe(digest)
    for (const document of [index, digest]) {
      const kept = server.manifests.get(`team/app:${document}`)!
      server.manifests.set(`team/app:${document}`, { ...kept, bytes: Buffer.from(`${String(kept.bytes)} `) })
      await expect(run(), document).rejects.toMatchObject({ code: 'digest.mismatch' })
      server.manifests.set(`team/app:${document}`, kept)
    }
    expect((await run()).image.manifestDigest).toBe(digest)
  })
})

describe('GU-30 one policy: an open repository, a protected one, and the two refusals', () => {
  const ways = ['kbs://', 'files', 'inline'] as const
  test.each(ways)('keys from %s', async (way) => {
    const [key, stranger] = [newKey(), newKey()]
    const directory = fresh()
    mkdirSync(directory, { recursive: true })
    writeFileSync(path.join(directory, 'cosign.pub'), pem(key))
    const source = {
      'kbs://': { keyPath: 'kbs:///default/cosign-public-key/test' },
      files: { keyPath: path.join(directory, 'cosign.pub') },
      inline: { keyData: keyData(key) },
    }[way]
    const asked: string[] = []
    const material = readMaterialFrom({
      resource: (uri) => {
        asked.push(uri)
        return Promise.resolve(new TextEncoder().encode(pem(key)))
      },
    })
    const image = await published()
    const policyFor = (scope: string) =>
      parsePolicy(
        new TextEncoder().encode(
          JSON.stringify({
            default: [accept],
            transports: { docker: { [scope]: [{ type: 'sigstoreSigned', ...source, signedIdentity: byRepository }] } },
          }),
        ),
      )
    const run = (scope: string) =>
      pullToStore(openStore(), HARDENED, {
        source: image.client.reader(image.name),
        asked: image.asked,
        digest: image.digest,
        policy: pullPolicy({ policy: policyFor(scope), client: image.client, material, at: () => at }),
      })
    // unsigned, from an open repository
    expect((await run('protected.example')).lowerDirs).toHaveLength(1)
    // unsigned, from the protected one
    await expect(run(image.reference)).rejects.toThrow('the image carries no signature')
    // signed by another key
    const payload = cosignPayload({ digest: image.digest, dockerReference: image.reference })
    await attachCosign(image.client, image.name, image.digest, signCosign(payload, stranger))
    await expect(run(image.reference)).rejects.toThrow('signature.unverified')
    // signed by the right key
    await attachCosign(image.client, image.name, image.digest, signCosign(payload, key))
    expect((await run(image.reference)).lowerDirs).toHaveLength(1)
    expect(asked.length > 0).toBe(way === 'kbs://')
  })

  test('several keys in one ring, simple signatures in a local store', async () => {
    const image = await published()
    const make = async (name: string) =>
      openpgp.generateKey({ userIDs: [{ name }], format: 'object', date: new Date('2026-01-01T00:00:00Z') })
    const [first, second, stranger] = await Promise.all(['a', 'b', 'c'].map(make))
    const directory = fresh()
    mkdirSync(directory, { recursive: true })
    const ring = path.join(directory, 'ring.gpg')
    writeFileSync(ring, Buffer.concat([first!.publicKey.write(), second!.publicKey.write()]))
    const store = path.join(directory, 'store')
    const registries = mergeRegistriesD([
      { what: 'a.yaml', bytes: new TextEncoder().encode(`default-docker: {lookaside: "file://${store}"}`) },
    ])
    const place = path.join(store, `${image.name.path}@${image.digest.replace(':', '=')}`)
    mkdirSync(place, { recursive: true })
    const put = async (number: number, key: openpgp.PrivateKey, reference: string) => {
      const made = await signSimple({ digest: image.digest, dockerReference: reference }, key.write(), { at })
      writeFileSync(path.join(place, `signature-${number}`), made.message)
    }
    const requirement = [{ type: 'signedBy', keyType: 'GPGKeys', keyPath: ring }]
    const decide = () => image.decide(requirement, { registries })
    expect(said(await decide())).toContain('carries no signature')
    await put(1, stranger!.privateKey, `${image.reference}:v1`)
    expect(said(await decide())).toContain('signature.unverified')
    await put(2, second!.privateKey, `${image.reference}:v2`)
    expect(said(await decide())).toContain('matchRepoDigestOrExact does not allow')
    await put(3, second!.privateKey, `${image.reference}:v1`)
    expect((await decide()).kind).toBe('accept')
  })
})

describe('GU-10 H13 signatures in a store that is reached by HTTP', async () => {
  const { privateKey, ring } = await (async () => {
    const made = await openpgp.generateKey({
      userIDs: [{ name: 'a' }],
      format: 'object',
      date: new Date('2026-01-01T00:00:00Z'),
    })
    return { privateKey: made.privateKey, ring: Buffer.from(made.publicKey.write()).toString('base64') }
  })()
  const requirement = [{ type: 'signedBy', keyType: 'GPGKeys', keyData: ring }]
  const stored = (url: string) =>
    mergeRegistriesD([{ what: 'a.yaml', bytes: new TextEncoder().encode(`default-docker: {lookaside: "${url}"}`) }])

  test('found one by one up to the first that is missing; anything but a clear answer is none', async () => {
    const image = await published()
    const made = await signSimple(
      { digest: image.digest, dockerReference: `${image.reference}:v1` },
      privateKey.write(),
      { at },
    )
    const asked: string[] = []
    let status = 404
    image.server.lie = (seen, response) => {
      if (!seen.path.startsWith('/sigs/')) return undefined
      asked.push(seen.path)
      if (status === 302) response.writeHead(302, { location: `/sigs/elsewhere` }).end()
      else if (status === 200 && seen.path.endsWith('/signature-2')) response.writeHead(200).end(made.message)
      else if (status === 200 && seen.path.endsWith('/signature-1')) response.writeHead(200).end('junk')
      else response.writeHead(status === 200 ? 404 : status).end()
      return true
    }
    const decide = () => image.decide(requirement, { registries: stored(`http://${image.server.host}/sigs`) })
    expect((await decide()).kind).toBe('refuse')
    status = 200
    expect((await decide()).kind).toBe('accept')
    expect(asked.at(-1)).toBe(`/sigs/team/app@${image.digest.replace(':', '=')}/signature-3`)
    status = 302
    await expect(decide()).rejects.toMatchObject({ code: 'registry.protocol' })
    status = 503
    await expect(decide()).rejects.toMatchObject({ code: 'registry.unavailable' })
  })

  test('H10 a store cannot fill the memory: all signatures of an image together have a limit', async () => {
    const image = await published()
    let asked = 0
    const lookaside = () => Promise.resolve(asked++ < 40 ? new Uint8Array(2 * 1024 * 1024).fill(0x80) : undefined)
    await expect(
      image.decide(requirement, { registries: stored(`http://${image.server.host}/sigs`), lookaside }),
    ).rejects.toMatchObject({ code: 'signature.limit' })
    expect(asked).toBe(33)
  })

  test('a store in a private network that nobody listed is not asked', async () => {
    const image = await published()
    const registries = stored('http://127.0.0.1:1/sigs')
    await expect(image.decide(requirement, { registries })).rejects.toMatchObject({ code: 'registry.address' })
  })
})

describe('GU-29 who cannot read something is told what and where', () => {
  const policyWith = (trust: object) => [{ type: 'sigstoreSigned', ...trust, signedIdentity: byRepository }]
  test.each([
    ['a key file that is missing', { keyPath: '/nonexistent/cosign.pub' }, /^\/nonexistent\/cosign.pub: ENOENT/],
    ['a resource without broker', { keyPath: 'kbs:///a/b/c' }, /^kbs:\/\/\/a\/b\/c: no broker/],
    ['an address of another kind', { keyPath: 'https://x.example/k' }, /^https:\/\/x.example\/k: neither/],
    ['a key that is none', { keyData: 'bm9uc2Vuc2U=' }, /^keyData: not one PEM block/],
    ['the second of two keys', { keyDatas: [keyData(newKey()), 'bm9uc2Vuc2U='] }, /^keyDatas\[1\]: not one PEM/],
  ])('%s', async (_what, trust, message) => {
    const { decide } = await published()
    await expect(decide(policyWith(trust))).rejects.toMatchObject({
      code: 'policy.material',
      message: expect.stringMatching(message),
    })
  })

  test('a broker that refuses is no reason to go on without the key', async () => {
    const { decide } = await published()
    const material = readMaterialFrom({ resource: () => Promise.reject(new Error('denied')) })
    await expect(decide(policyWith({ keyPath: 'kbs:///a/b/c' }), { material })).rejects.toMatchObject({
      code: 'policy.material',
      message: 'kbs:///a/b/c: denied',
    })
  })
})

test.skipIf(missingVectors())(
  'GU-30 the sample broker’s policy reads, and leaves other repositories open',
  async () => {
    const text = readVectorText('guest/guest-components/attestation-agent/kbc/src/sample_kbc/policy.json')
    const { client } = await published()
    const ports = {
      policy: parsePolicy(new TextEncoder().encode(text)),
      client,
      material: readMaterialFrom({}),
      at: () => at,
    }
    const decision = await decideBySignatures({ asked: parseReference('quay.io/other/app:1'), documents: [] }, ports)
    expect([decision.kind, decision.scope]).toEqual(['accept', 'default'])
  },
)
