import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { Secret, toBase64, utf8 } from '@vouchsafe/core'
import { feed, makeCertificate } from '@vouchsafe/testkit'
import { expect, test } from 'vitest'
import { ImageError } from '../errors.ts'
import { digestOf } from '../oci/digest.ts'
import { readEncryptedLayer } from './annotations.ts'
import { guestKeys, wrapUnderKek } from './coco-packet.ts'
import { parsePrivateOptions, privateOptionsBytes, publicOptionsAnnotation } from './options.ts'
import { parseProviderConfig } from './provider/provider-config.ts'
import { parseProviderRequest, unwrapRequest, wrapRequest } from './provider/messages.ts'
import type { KeyHolder, Recipients } from './recipients.ts'
import { jweKeys, jweRecipients } from './schemes/jwe.ts'
import { pkcs11Keys, pkcs11Recipients } from './schemes/pkcs11-packet.ts'
import { parsePkcs11KeyFile } from './schemes/pkcs11-uri.ts'
import { pkcs7Keys, pkcs7Recipients } from './schemes/pkcs7.ts'

const isOurs = (error: unknown) => error instanceof ImageError && /^(?:encryption|document|digest)\./.test(error.code)

const options = privateOptionsBytes({
  symmetricKey: new Secret(new Uint8Array(32).fill(1)),
  digest: digestOf(utf8('layer')),
  nonce: new Uint8Array(16).fill(2),
})
const kek = new Secret(new Uint8Array(32).fill(3))
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const made = makeCertificate({ subject: 'owner', keyKind: 'RSA-2048' })
const certificate = new X509Certificate(made.der)

/** A packet that was changed opens to the options that were wrapped, or to nothing. */
const SCHEMES: readonly (readonly [string, Recipients, KeyHolder])[] = [
  ['JWE', jweRecipients([{ key: ec.publicKey }]), jweKeys([{ key: ec.privateKey }])],
  [
    'JWE, general',
    jweRecipients([{ key: ec.publicKey }, { key: made.key.publicKey }]),
    jweKeys([{ key: ec.privateKey }]),
  ],
  ['PKCS#7', pkcs7Recipients([certificate]), pkcs7Keys([{ certificate, key: made.key.privateKey }])],
  [
    'PKCS#11',
    pkcs11Recipients([made.key.publicKey], 'sha1'),
    pkcs11Keys([{ decryptOaep: () => Promise.resolve(undefined) }]),
  ],
  [
    'annotation packet',
    { scheme: 'provider.x', wrap: (o) => Promise.resolve([wrapUnderKek(o, kek, { resource: 'a/b' })]) },
    guestKeys(() => Promise.resolve(kek)),
  ],
]

test.each(SCHEMES)(
  'H11 %s packets, changed: an error of ours, or the options that were wrapped',
  async (_name, to, by) => {
    const corpus = await to.wrap(options)
    await feed(
      corpus,
      async (bytes) => {
        const opened = await by.unwrap(bytes)
        if (opened !== undefined) expect(Buffer.compare(opened, options)).toBe(0)
      },
      isOurs,
    )
  },
)

test('H11 annotations, options, provider messages and key files, changed: errors of ours', async () => {
  const layer = (annotations: ReadonlyMap<string, string>) =>
    readEncryptedLayer({ mediaType: 'x/y', digest: digestOf(options), size: 1, annotations })
  const publicOptions = publicOptionsAnnotation({ hmac: new Uint8Array(32) })
  const keyFile = utf8('pkcs11:\n  uri: "pkcs11:token=x;object=%61?pin-value=1"\nmodule:\n  env:\n    A: b\n')
  const config = utf8(
    JSON.stringify({ 'key-providers': { a: { grpc: 'h:1' }, b: { cmd: { path: '/x', args: ['y'] } } } }),
  )
  const parsers: readonly ((bytes: Uint8Array) => unknown)[] = [
    (bytes) => parsePrivateOptions(bytes, 'options'),
    (bytes) =>
      layer(
        new Map([
          ['org.opencontainers.image.enc.pubopts', toBase64(bytes)],
          ['org.opencontainers.image.enc.keys.jwe', 'AAAA'],
        ]),
      ),
    (bytes) =>
      layer(
        new Map([
          ['org.opencontainers.image.enc.pubopts', publicOptions],
          ['org.opencontainers.image.enc.keys.jwe', new TextDecoder().decode(bytes)],
        ]),
      ),
    (bytes) => parseProviderRequest(bytes),
    (bytes) => parseProviderConfig(bytes, 'conf'),
    (bytes) => parsePkcs11KeyFile(bytes, 'key'),
  ]
  // the first byte says who reads it
  const sound = [
    options,
    Buffer.from(publicOptions, 'base64'),
    utf8('AAAA,AAAA'),
    wrapRequest('p', [], options),
    config,
    keyFile,
  ]
  const corpus = [
    ...sound.map((bytes, i) => Uint8Array.of(i, ...bytes)),
    Uint8Array.of(3, ...unwrapRequest('p', [], options)),
  ]
  await feed(corpus, (bytes) => parsers[(bytes[0] ?? 0) % parsers.length]?.(bytes.slice(1)), isOurs)
})
