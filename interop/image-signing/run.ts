import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { digestOf } from '@vouchsafe/image'
import {
  attachCosign,
  cosignPayload,
  generateSigningKey,
  mergeRegistriesD,
  parseKeyRing,
  parseSigningKey,
  signCosign,
  type SigningKey,
  signSimple,
  verifySimpleSignature,
} from '@vouchsafe/image/signing'
import * as openpgp from 'openpgp'
import { type Case, type Published, runCases, SignedImages } from '../image-registry/signed-images.ts'
import { Skopeo } from '../skopeo/skopeo.ts'
import { signingServiceCase } from './signing-service.ts'

/*
 * Peer: skopeo, the reference reader of policy.json, built from source since Debian's has sigstore switched off. The same
 * policy files are given to both: each side judges what the other signed, by sigstore keys under tags in Debian's
 * docker-registry, and by OpenPGP in signature stores. Debian's skopeo signs by GnuPG, which the other is built without.
 */
const scratch = mkdtempSync(path.join(tmpdir(), 'vouchsafe-signing-'))
const file = (name: string) => path.join(scratch, name)
const images = await SignedImages.start(scratch)
const { client } = images
const publish = () => images.publish()
const passphrase = 'interop'
new Skopeo(scratch)
const program = process.env['VOUCHSAFE_SKOPEO'] ?? file('skopeo')

mkdirSync(file('registries.d'))
const registriesYaml = `default-docker:\n  use-sigstore-attachments: true\n  lookaside: file://${file('store')}\n  sigstore: file://${file('store')}\n`
writeFileSync(file('registries.d/default.yaml'), registriesYaml)
writeFileSync(file('passphrase'), passphrase)

function skopeo(...args: readonly string[]): string {
  return execFileSync(program, ['--registries.d', file('registries.d'), ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** What both sides say of an image under one policy. They must agree. */
async function bothSay(image: Published, requirement: object, tag?: string): Promise<boolean> {
  const transports = { docker: { [images.host]: [requirement] } }
  return bothSayUnder(image, { default: [{ type: 'reject' }], transports }, tag)
}

async function bothSayUnder(image: Published, policy: object, tag = 'v1'): Promise<boolean> {
  writeFileSync(file('policy.json'), JSON.stringify(policy))
  const bytes = new TextEncoder().encode(registriesYaml.replace(/^ {2}lookaside.*\n/m, ''))
  const registries = mergeRegistriesD([{ what: 'default.yaml', bytes }])
  const decision = await images.decide(`${image.reference}:${tag}`, policy, { registries })
  let theirs = true
  try {
    const target = `dir:${mkdtempSync(file('pulled-'))}`
    skopeo(
      '--policy',
      file('policy.json'),
      'copy',
      '--remove-signatures',
      '--src-tls-verify=false',
      `docker://${image.reference}:${tag}`,
      target,
    )
  } catch (error) {
    assert.match(String((error as { stderr?: string }).stderr), /[Ss]ource image rejected|signature|policy/)
    theirs = false
  }
  const ours = decision.kind === 'accept'
  assert.equal(ours, theirs, `we say ${ours}, skopeo says ${theirs}: ${JSON.stringify(decision.findings)}`)
  return ours
}

const { privatePem, publicPem } = generateSigningKey(passphrase)
const key = parseSigningKey(privatePem, { passphrase })
writeFileSync(file('ours.key'), privatePem)
writeFileSync(file('ours.pub'), publicPem)
writeFileSync(file('other.pub'), generateSigningKey('x').publicPem)
const byKey = (pub: string, identity: object = { type: 'matchRepository' }) => ({
  type: 'sigstoreSigned',
  keyPath: file(pub),
  signedIdentity: identity,
})

const CASES: readonly Case[] = [
  [
    'signed by us under the tag: one policy, both accept; another key, another name, no signature: both refuse',
    async () => {
      const image = await publish()
      assert.equal(await bothSay(image, byKey('ours.pub')), false)
      const sign = (dockerReference: string, digest = image.digest) =>
        attachCosign(client, image.name, image.digest, signCosign(cosignPayload({ digest, dockerReference }), key))
      await sign('r.example/another')
      await sign(image.reference, digestOf(new Uint8Array()))
      assert.equal(await bothSay(image, byKey('ours.pub')), false)
      await sign(image.reference)
      assert.equal(await bothSay(image, byKey('ours.pub')), true)
      assert.equal(await bothSay(image, byKey('other.pub')), false)
      assert.equal(await bothSay(image, byKey('ours.pub', { type: 'matchExact' })), false)
      await sign(`${image.reference}:v1`)
      assert.equal(await bothSay(image, byKey('ours.pub', { type: 'matchExact' })), true)
      const remap = { type: 'remapIdentity', prefix: images.host, signedPrefix: 'vendor.example' }
      assert.equal(await bothSay(image, byKey('ours.pub', remap)), false)
      await sign(`${image.reference.replace(images.host, 'vendor.example')}:v1`)
      assert.equal(await bothSay(image, byKey('ours.pub', remap)), true)
      const exact = { type: 'exactRepository', dockerRepository: 'r.example/another' }
      assert.equal(await bothSay(image, byKey('ours.pub', exact)), true)
    },
  ],
  [
    'GU-30 one policy file: an open repository unsigned, a protected one by our key; no signature and another key refused, as skopeo has it',
    async () => {
      const [open, protectedOne] = [await publish(), await publish()]
      const sign = (by: SigningKey) =>
        attachCosign(
          client,
          protectedOne.name,
          protectedOne.digest,
          signCosign(cosignPayload({ digest: protectedOne.digest, dockerReference: protectedOne.reference }), by),
        )
      const stranger = parseSigningKey(generateSigningKey('s').privatePem, { passphrase: 's' })
      const docker = { [protectedOne.reference]: [byKey('ours.pub')] }
      const policy = { default: [{ type: 'insecureAcceptAnything' }], transports: { docker } }
      assert.equal(await bothSayUnder(open, policy), true)
      assert.equal(await bothSayUnder(protectedOne, policy), false)
      await sign(stranger)
      assert.equal(await bothSayUnder(protectedOne, policy), false)
      await sign(key)
      assert.equal(await bothSayUnder(protectedOne, policy), true)
    },
  ],
  [
    'signed by skopeo with our key: both accept by tag, both refuse another tag',
    async () => {
      const image = await publish()
      skopeo(
        '--insecure-policy',
        'copy',
        '--dest-tls-verify=false',
        '--sign-by-sigstore-private-key',
        file('ours.key'),
        '--sign-passphrase-file',
        file('passphrase'),
        `oci:${image.directory}:v1`,
        `docker://${image.reference}:signed`,
      )
      assert.equal(await bothSay(image, byKey('ours.pub', { type: 'matchExact' }), 'signed'), true)
      assert.equal(await bothSay(image, byKey('other.pub', { type: 'matchExact' }), 'signed'), false)
      assert.equal(await bothSay(image, byKey('ours.pub', { type: 'matchExact' }), 'v1'), false)
    },
  ],
  [
    'simple signatures: ours accepted by skopeo, skopeo’s by us, from one store; another key and another tag refused',
    async () => {
      const date = new Date(Date.now() - 3_600_000)
      // a kind of key that GnuPG 2.2 reads as well
      const made = await openpgp.generateKey({
        type: 'rsa',
        rsaBits: 2048,
        userIDs: [{ name: 'Owner', email: 'o@clinic.example' }],
        format: 'object',
        date,
      })
      const home = file('gnupg')
      mkdirSync(home, { mode: 0o700 })
      writeFileSync(file('owner.sec'), made.privateKey.write())
      writeFileSync(file('owner.gpg'), made.publicKey.write())
      const stranger = await openpgp.generateKey({
        type: 'rsa',
        rsaBits: 2048,
        userIDs: [{ name: 'S' }],
        format: 'object',
        date,
      })
      writeFileSync(file('stranger.gpg'), stranger.publicKey.write())
      const byRing = (ring: string) => ({ type: 'signedBy', keyType: 'GPGKeys', keyPath: file(ring) })
      const image = await publish()
      assert.equal(await bothSay(image, byRing('owner.gpg')), false)
      const what = { digest: image.digest, dockerReference: `${image.reference}:v1` }
      const signature = await signSimple(what, made.privateKey.write(), { at: new Date() })
      const place = path.join(file('store'), `${image.name.path}@${image.digest.replace(':', '=')}`)
      mkdirSync(place, { recursive: true })
      writeFileSync(path.join(place, 'signature-1'), signature.message)
      assert.equal(await bothSay(image, byRing('owner.gpg')), true)
      assert.equal(await bothSay(image, byRing('stranger.gpg')), false)
      // theirs, by GnuPG
      execFileSync('gpg', ['--homedir', home, '--batch', '--import', file('owner.sec')], { stdio: 'ignore' })
      const { bytes } = await client.reader(image.name).readTag('v1')
      writeFileSync(file('manifest.json'), bytes)
      execFileSync(
        'skopeo',
        [
          'standalone-sign',
          file('manifest.json'),
          `${image.reference}:v1`,
          made.publicKey.getFingerprint().toUpperCase(),
          '-o',
          file('theirs.sig'),
        ],
        { env: { ...process.env, GNUPGHOME: home }, stdio: 'pipe' },
      )
      const rings = [await parseKeyRing(made.publicKey.write(), 'ring')]
      const found = {
        kind: 'simple',
        place: 'theirs',
        message: new Uint8Array(readFileSync(file('theirs.sig'))),
      } as const
      const { payload, signer } = await verifySimpleSignature(found, { rings, at: new Date() })
      assert.deepEqual([payload.manifestDigest, payload.dockerReference], [image.digest, `${image.reference}:v1`])
      assert.equal(signer.fingerprint, made.publicKey.getFingerprint().toUpperCase())
      const others = [await parseKeyRing(stranger.publicKey.write(), 'ring')]
      await assert.rejects(verifySimpleSignature(found, { rings: others, at: new Date() }), {
        code: 'signature.unverified',
      })
    },
  ],
  signingServiceCase(scratch),
]

try {
  await runCases(CASES)
} finally {
  await images.stop()
  rmSync(scratch, { recursive: true, force: true })
}
