import zlib from 'node:zlib'
import { utf8 } from '@vouchsafe/core'
import { feed } from '@vouchsafe/testkit'
import { test } from 'vitest'
import { ImageError } from './errors.ts'
import { parseImageConfig } from './oci/config.ts'
import { digestOf } from './oci/digest.ts'
import { parseManifestOrIndex } from './oci/manifest.ts'
import { MEDIA } from './oci/media-types.ts'
import { parseReference, referenceText } from './oci/reference.ts'
import { parsePolicy, writePolicy } from './policy/parse-policy.ts'
import { mergeRegistriesD } from './policy/registries-d.ts'
import { parseAuthFile } from './registry/auth-file.ts'
import { parseRegistries } from './registry/registries-file.ts'
import { parsePayload, writePayload } from './signature/payload.ts'
import { parseSignatureFile, writeSignatureFile } from './signature/stored-signature.ts'
import { parseBuildIdentity, writeBuildIdentity } from './statement/build-identity.ts'
import { parseProvenance, provenanceStatement } from './statement/provenance.ts'
import { parseStatement, writeStatement } from './statement/statement.ts'
import { TarReader } from './tar/read-tar.ts'
import { mendedTar, rawTar } from './testing/archive.ts'
import { newKey } from './testing/signing.ts'
import { decompressLayer } from './unpack/decompress.ts'
import { DEFAULT_UNPACK_LIMITS } from './unpack/limits.ts'

/*
 * What registries and the people behind images choose, changed at random, for five minutes each unless
 * VOUCHSAFE_FUZZ_SECONDS says otherwise: errors of ours and nothing else. The annotations of encrypted layers are fed
 * beside their parsers, whole images in unpack/hostile.long.test.ts.
 */
const isOurs = (error: unknown) => error instanceof ImageError

const json = (value: unknown) => utf8(JSON.stringify(value))
const digest = digestOf(utf8('x'))
const blob = (mediaType: string) => ({ mediaType, digest, size: 1, annotations: { a: 'b' } })

test('H06 manifests, indexes and configurations', async () => {
  const manifest = { schemaVersion: 2, mediaType: MEDIA.manifest }
  const parsers: readonly ((bytes: Uint8Array) => unknown)[] = [
    (bytes) => parseManifestOrIndex(bytes, MEDIA.manifest, 'fuzz'),
    (bytes) => parseManifestOrIndex(bytes, MEDIA.index, 'fuzz'),
    (bytes) => parseImageConfig(bytes, 'fuzz'),
  ]
  await feedEach(parsers, [
    json({ ...manifest, config: blob(MEDIA.config), layers: [blob(MEDIA.layer), blob(MEDIA.layerGzip)] }),
    json({
      schemaVersion: 2,
      mediaType: MEDIA.index,
      manifests: [{ ...blob(MEDIA.manifest), platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } }],
    }),
    json({
      os: 'linux',
      architecture: 'amd64',
      config: { User: '1', Env: ['A=b'], Entrypoint: ['/x'], Cmd: [], Labels: { a: 'b' } },
      rootfs: { type: 'layers', diff_ids: [digest] },
    }),
  ])
})

test('H05 policies, places of signatures and credentials', async () => {
  const identity = { type: 'remapIdentity', prefix: 'a.example/b', signedPrefix: 'c.example' }
  const parsers: readonly ((bytes: Uint8Array) => unknown)[] = [
    // what is read is written, and reads again
    (bytes) => parsePolicy(utf8(writePolicy(parsePolicy(bytes)))),
    (bytes) => mergeRegistriesD([{ what: 'fuzz', bytes }]),
    (bytes) => parseAuthFile(bytes),
    (bytes) => parseRegistries(bytes),
  ]
  await feedEach(parsers, [
    json({
      default: [{ type: 'reject' }],
      transports: {
        docker: {
          'a.example/b': [{ type: 'sigstoreSigned', keyPath: '/k', signedIdentity: identity }],
          '': [{ type: 'signedBy', keyType: 'GPGKeys', keyPath: '/k' }],
        },
      },
    }),
    utf8(
      'default-docker:\n  lookaside: file:///var/x\ndocker:\n  a.example/b:\n    use-sigstore-attachments: true\n  b: &b {}\n',
    ),
    json({ auths: { 'a.example/b': { auth: Buffer.from('u:p').toString('base64') } } }),
    json({ 'a.example': { privateNetwork: true, realmHosts: ['b.example'], mirrors: [{ registry: 'c.example' }] } }),
  ])
})

test('H03 signatures, statements and names', async () => {
  const payload = writePayload({
    kind: 'cosign',
    manifestDigest: digest,
    dockerReference: 'a.example/b:c',
    optional: { ward: 'north' },
  })
  const rootCommit = 'a'.repeat(40)
  const builder = { source: 'git+https://a.example/b', rootCommit, key: newKey('ed25519').public }
  const checkedOut = { commit: 'b'.repeat(40), tree: 'c'.repeat(40), roots: [rootCommit], files: 1 }
  const parsers: readonly ((bytes: Uint8Array) => unknown)[] = [
    (bytes) => parsePayload(bytes, 'cosign'),
    (bytes) => parseSignatureFile(bytes, 'fuzz'),
    (bytes) => parseStatement(bytes),
    (bytes) => parseProvenance(parseStatement(bytes).predicate),
    (bytes) => parseBuildIdentity(bytes),
    (bytes) => {
      const text = Buffer.from(bytes).toString('utf8')
      const again = referenceText(parseReference(text))
      if (referenceText(parseReference(again)) !== again) throw new Error(`${text} is read as ${again}`)
    },
  ]
  await feedEach(parsers, [
    payload,
    writeSignatureFile({
      kind: 'cosign',
      place: 'x',
      payload,
      annotations: new Map([['dev.cosignproject.cosign/signature', 'AAAA']]),
    }),
    writeStatement({ subjects: [{ name: 'a', digest }], predicateType: 'https://a.example/p', predicate: { b: 1 } }),
    provenanceStatement(digest, { identity: builder, checkedOut, description: 'a.json', at: new Date(0) }),
    utf8(writeBuildIdentity(builder)),
    utf8(`a.example:5000/b/c:v1@${digest}`),
  ])
})

test('H07 H10 archives and compressed streams', async () => {
  const archive = rawTar([
    { name: 'd/', type: '5' },
    {
      name: 'f',
      body: 'x'.repeat(700),
      pax: [
        ['path', 'd/f'],
        ['SCHILY.xattr.user.a', 'b'],
        ['mtime', '1.5'],
      ],
    },
    { name: 'l', type: '2', link: 'f', gnuLongName: 'long'.repeat(40) },
    { name: 'h', type: '1', link: 'd/f' },
  ])
  let read = 0
  const visitor = {
    begin: () => void read++,
    data: () => undefined,
    end: () => undefined,
  }
  const tar = (bytes: Uint8Array) => {
    const reader = new TarReader(visitor)
    for (let at = 0; at < bytes.length; at += 999) reader.push(bytes.subarray(at, at + 999))
    reader.finish()
  }
  const inflate = (form: 'gzip' | 'zstd') => async (bytes: Uint8Array) => {
    for await (const chunk of decompressLayer(pieces(bytes), form, DEFAULT_UNPACK_LIMITS)) void chunk
  }
  const parsers = [tar, tar, inflate('gzip'), inflate('zstd')]
  await feedEach(
    parsers.map((parse, i) => (i === 1 ? (bytes: Uint8Array) => tar(mendedTar(bytes)) : parse)),
    [archive, archive, zlib.gzipSync(archive), zlib.zstdCompressSync(archive)],
  )
  if (read === 0) throw new Error('no entry was ever read')
})

/** Which parser reads an input is its first byte, so that changes wander between them. */
async function feedEach(
  parsers: readonly ((bytes: Uint8Array) => unknown)[],
  sound: readonly Uint8Array[],
): Promise<void> {
  const corpus = sound.map((bytes, i) => Uint8Array.of(i, ...bytes))
  await feed(corpus, (bytes) => parsers[(bytes[0] ?? 0) % parsers.length]?.(bytes.slice(1)), isOurs)
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 100) yield bytes.subarray(at, at + 100)
}
