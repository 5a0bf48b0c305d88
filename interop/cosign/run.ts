import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Digest } from '@vouchsafe/image'
import {
  attachBundle,
  attachCosign,
  attachEnvelope,
  cosignPayload,
  dsseEnvelope,
  findStatements,
  generateSigningKey,
  parsePublicKey,
  parseSigningKey,
  PREDICATES,
  signBundle,
  signCosign,
  signingKey,
  type SigningKey,
  signStatement,
  writeStatement,
} from '@vouchsafe/image/signing'
import { type Case, type Published, runCases, SignedImages } from '../image-registry/signed-images.ts'
import { Cosign, passphrase } from './cosign.ts'

/*
 * Peer: cosign. Signatures and statements by keys go both ways, under tags and as bundles, in Debian's docker-registry,
 * which lacks the referrers API: both sides find bundles by the fallback tag.
 */
const scratch = mkdtempSync(path.join(tmpdir(), 'vouchsafe-cosign-'))
const images = await SignedImages.start(scratch)
const { client } = images
const publish = () => images.publish()
const cosign = new Cosign()

const insecure = ['--allow-http-registry', '--allow-insecure-registry'] as const
const OLD = ['--new-bundle-format=false'] as const
const NEW = ['--new-bundle-format=true'] as const
const theirsVerify = (image: Published, key: string, format: readonly string[]) =>
  cosign.run(
    'verify',
    '--key',
    key,
    '--insecure-ignore-tlog=true',
    ...format,
    ...insecure,
    `${image.reference}@${image.digest}`,
  )
const theirsSign = (image: Published, format: readonly string[]) =>
  cosign.run(
    'sign',
    '--yes',
    '--key',
    'theirs.key',
    '--tlog-upload=false',
    '--use-signing-config=false',
    ...format,
    ...insecure,
    `${image.reference}@${image.digest}`,
  )

async function oursAccepts(image: Published, publicPem: string, identity: string): Promise<boolean> {
  const requirement = {
    type: 'sigstoreSigned',
    keyData: Buffer.from(publicPem).toString('base64'),
    signedIdentity: { type: identity },
  }
  const decision = await images.decide(`${image.reference}@${image.digest}`, { default: [requirement] })
  return decision.kind === 'accept'
}

function ourKey(kind: 'p256' | 'rsa' | 'ed25519'): SigningKey {
  const pair =
    kind === 'p256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : kind === 'rsa'
        ? generateKeyPairSync('rsa', { modulusLength: 2048 })
        : generateKeyPairSync('ed25519')
  const key = signingKey(pair.privateKey)
  writeFileSync(cosign.file(`${kind}.pub`), pemOf(key))
  return key
}
const pemOf = (key: SigningKey) => key.public.key.export({ format: 'pem', type: 'spki' }).toString()
const oursByTag = (image: Published, key: SigningKey, digest = image.digest) =>
  attachCosign(
    client,
    image.name,
    image.digest,
    signCosign(cosignPayload({ digest, dockerReference: image.reference }), key),
  )
const oursByBundle = (image: Published, key: SigningKey, digest = image.digest) =>
  attachBundle(
    client,
    image.name,
    image.descriptor,
    signBundle(signStatement({ digest, dockerReference: image.reference }), key),
    PREDICATES.sign,
    new Date(),
  )
const refuses = (run: () => unknown, why: string) => assert.throws(run, /./, why)
const other = `sha256:${'e'.repeat(64)}` as Digest

cosign.run('generate-key-pair', '--output-key-prefix', 'theirs')
const theirPublic = readFileSync(cosign.file('theirs.pub'), 'utf8')
const stranger = ourKey('p256')
writeFileSync(cosign.file('stranger.pub'), pemOf(stranger))

const CASES: readonly Case[] = [
  ...(['p256', 'rsa', 'ed25519'] as const).flatMap((kind) => [
    [
      `signed by us under the tag (${kind}), verified by cosign; refused with another key`,
      async () => {
        const image = await publish()
        await oursByTag(image, ourKey(kind))
        theirsVerify(image, `${kind}.pub`, OLD)
        refuses(() => theirsVerify(image, 'stranger.pub', OLD), 'another key')
      },
    ] as const,
    [
      `signed by us as a bundle (${kind}), verified by cosign; refused with another key`,
      async () => {
        const image = await publish()
        await oursByBundle(image, ourKey(kind))
        theirsVerify(image, `${kind}.pub`, NEW)
        refuses(() => theirsVerify(image, 'stranger.pub', NEW), 'another key')
      },
    ] as const,
  ]),
  [
    'signed by us for another digest: refused by cosign and by us, both schemes',
    async () => {
      const image = await publish()
      const key = ourKey('p256')
      await oursByTag(image, key, other)
      await oursByBundle(image, key, other)
      refuses(() => theirsVerify(image, 'p256.pub', OLD), 'another digest')
      refuses(() => theirsVerify(image, 'p256.pub', NEW), 'another digest')
      assert.equal(await oursAccepts(image, pemOf(key), 'matchRepository'), false)
    },
  ],
  [
    'signed by cosign under the tag, verified by us; refused with another key, and elsewhere',
    async () => {
      const image = await publish()
      theirsSign(image, OLD)
      assert.equal(await oursAccepts(image, theirPublic, 'matchRepository'), true)
      assert.equal(await oursAccepts(image, pemOf(stranger), 'matchRepository'), false)
      assert.equal(await oursAccepts(image, theirPublic, 'matchExact'), false)
      theirsVerify(image, 'theirs.pub', OLD)
    },
  ],
  [
    'signed by cosign as a bundle, verified by us by its digest; it names no image, so no rule about names is met',
    async () => {
      const image = await publish()
      theirsSign(image, NEW)
      assert.equal(await oursAccepts(image, theirPublic, 'vouchsafeDigestOnly'), true)
      assert.equal(await oursAccepts(image, pemOf(stranger), 'vouchsafeDigestOnly'), false)
      assert.equal(await oursAccepts(image, theirPublic, 'matchRepository'), false)
    },
  ],
  [
    'two signers, one of them cosign, under one tag: each still verifies',
    async () => {
      const image = await publish()
      const key = ourKey('p256')
      await oursByTag(image, key)
      theirsSign(image, OLD)
      await oursByTag(image, stranger)
      theirsVerify(image, 'p256.pub', OLD)
      theirsVerify(image, 'theirs.pub', OLD)
      theirsVerify(image, 'stranger.pub', OLD)
    },
  ],
  [
    'cosign’s encrypted key signs for us; ours signs in cosign',
    async () => {
      const image = await publish()
      const theirs = parseSigningKey(readFileSync(cosign.file('theirs.key'), 'utf8'), { passphrase })
      await oursByTag(image, theirs)
      theirsVerify(image, 'theirs.pub', OLD)
      const { privatePem, publicPem } = generateSigningKey(passphrase)
      writeFileSync(cosign.file('ours.key'), privatePem)
      writeFileSync(cosign.file('ours.pub'), publicPem)
      const second = await publish()
      const to = ['--tlog-upload=false', '--use-signing-config=false', ...OLD, ...insecure]
      cosign.run('sign', '--yes', '--key', 'ours.key', ...to, `${second.reference}@${second.digest}`)
      assert.equal(await oursAccepts(second, publicPem, 'matchRepository'), true)
    },
  ],
  ...([OLD, NEW] as const).map(
    (format) =>
      [
        `statements (${format[0]}): cosign’s verified by us, ours by cosign; refused with another key`,
        async () => {
          const image = await publish()
          writeFileSync(cosign.file('predicate.json'), '{"spdxVersion":"SPDX-2.3","name":"x"}')
          const at = `${image.reference}@${image.digest}`
          const to = ['--tlog-upload=false', '--use-signing-config=false', ...format, ...insecure]
          cosign.run(
            'attest',
            '--yes',
            '--key',
            'theirs.key',
            '--type',
            'spdxjson',
            '--predicate',
            'predicate.json',
            ...to,
            at,
          )
          const trust = { kind: 'keys', keys: [parsePublicKey(theirPublic)] } as const
          const found = await findStatements(client.reader(image.name), image.digest, trust, PREDICATES.spdx)
          assert.equal(found.verified.length, 1)
          const no = { kind: 'keys', keys: [stranger.public] } as const
          assert.equal((await findStatements(client.reader(image.name), image.digest, no)).verified.length, 0)
          const second = await publish()
          const key = ourKey('p256')
          const statement = writeStatement({
            subjects: [{ name: second.reference, digest: second.digest }],
            predicateType: PREDICATES.cyclonedx,
            predicate: { bomFormat: 'CycloneDX' },
          })
          await (format === OLD
            ? attachEnvelope(client, second.name, second.digest, dsseEnvelope(statement, key), PREDICATES.cyclonedx)
            : attachBundle(
                client,
                second.name,
                second.descriptor,
                signBundle(statement, key),
                PREDICATES.cyclonedx,
                new Date(),
              ))
          const verify = (file: string) =>
            cosign.run(
              'verify-attestation',
              '--key',
              file,
              '--type',
              'cyclonedx',
              '--insecure-ignore-tlog=true',
              ...format,
              ...insecure,
              `${second.reference}@${second.digest}`,
            )
          verify('p256.pub')
          refuses(() => verify('stranger.pub'), 'another key')
        },
      ] as const,
  ),
]

try {
  await runCases(CASES)
} finally {
  await images.stop()
  cosign.remove()
  rmSync(scratch, { recursive: true, force: true })
}
