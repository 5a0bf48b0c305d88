import { generateKeyPairSync } from 'node:crypto'
import http2 from 'node:http2'
import { type DescMessage, type MessageInitShape, create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { TokenService, Verifier } from '@vouchsafe/client/distributor'
import {
  VouchsafeError,
  claimedIdentity,
  parseClientTerms,
  parseSchema,
  parseStrictJson,
  toBase64Url,
  utf8,
  verifyIdentityDocument,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { encodeTpmPublic } from '@vouchsafe/tpm/codec'
import { TEMPLATES, Tpm } from '@vouchsafe/tpm'
import {
  GCE_ISSUER,
  GcePlatform,
  feed,
  gceAuditEntry,
  gceRecording,
  missingVectors,
  readVector,
} from '@vouchsafe/testkit'
import { readSecretsFile, newTerms } from 'vouchsafe/distributor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readEkCertificate } from '../../../core/src/x509/index.ts'
import { AUDIENCE, DistributorWorld, SERVER_NAME } from '../testing/distributor-world.ts'
import { factsOfGce, recordedInstanceSchema } from './gce/document.ts'
import { readKeys } from './identity-keys.ts'

const isOurs = (error: unknown) => error instanceof VouchsafeError && error.code !== 'internal'
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')
const json = (value: unknown) => utf8(JSON.stringify(value))

describe('messages of a client, over its connection', () => {
  let world: DistributorWorld
  let session: http2.ClientHttp2Session
  beforeAll(async () => {
    world = await DistributorWorld.start()
    await world.provision()
    session = http2.connect(`https://${world.grpc.host}:${world.grpc.port}`, {
      ca: world.servers.certificate,
      servername: SERVER_NAME,
      cert: world.client.certificate,
      key: world.client.key,
    })
  })
  afterAll(async () => {
    session.destroy()
    await world.stop()
  })

  /** One call with these bytes as its message, sound or not. */
  function call(path: string, message: Uint8Array): Promise<number> {
    const prefix = new Uint8Array(5)
    new DataView(prefix.buffer).setUint32(1, message.length)
    return new Promise((resolve, reject) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        authorization: `Bearer ${document}`,
      })
      let status = Number.NaN
      stream.on('response', (headers) => (status = Number(headers['grpc-status'] ?? status)))
      stream.on('trailers', (headers) => (status = Number(headers['grpc-status'] ?? status)))
      stream.on('error', reject)
      stream.on('close', () => resolve(status))
      stream.resume()
      stream.end(Buffer.concat([prefix, message]))
    })
  }
  let document = ''
  function decodes(schema: DescMessage, message: Uint8Array): boolean {
    try {
      fromBinary(schema, message)
      return true
    } catch {
      return false
    }
  }
  const INTERNAL = 13

  test('each gets a status that is none of ours for a bug, and the server goes on', async () => {
    const { ekPub, akPub, akName, attestation, signature } = await shownByTpm(world.machine.tpm)
    const sealKey = json(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }))
    const encode = <D extends DescMessage>(schema: D, init: MessageInitShape<D>) =>
      toBinary(schema, create(schema, init))
    const { makeCredential, activateCredential, offerQuote, provideQuote, provideSigningKey } = Verifier.method
    const begin = encode(makeCredential.input, { requestId: '1', akName, ekPub, akPub, sealKey })
    const offer = encode(offerQuote.input, { requestId: '2', platformAkPub: akPub, sealKey })
    const calls = [
      { name: 'Verifier/MakeCredential', input: makeCredential.input, good: begin, before: null },
      {
        name: 'Verifier/ActivateCredential',
        input: activateCredential.input,
        good: encode(activateCredential.input, {
          requestId: '1',
          secret: 'ABCDEFGHIJ',
          attestation,
          signature,
          proof: new Uint8Array(32),
        }),
        before: ['Verifier/MakeCredential', begin],
      },
      { name: 'Verifier/OfferQuote', input: offerQuote.input, good: offer, before: null },
      {
        name: 'Verifier/ProvideQuote',
        input: provideQuote.input,
        good: encode(provideQuote.input, {
          requestId: '3',
          attestation,
          signature,
          registers: { 0: new Uint8Array(32), 7: new Uint8Array(32) },
          bootLog: new Uint8Array(64),
        }),
        before: ['Verifier/OfferQuote', offer],
      },
      {
        name: 'Verifier/ProvideSigningKey',
        input: provideSigningKey.input,
        good: encode(provideSigningKey.input, {
          requestId: '4',
          signingkey: utf8(world.instance.attestationKey ?? ''),
          attestation,
          signature,
          signingPublic: akPub,
        }),
        before: ['Verifier/OfferQuote', offer],
      },
      {
        name: 'TokenService/GetToken',
        input: TokenService.method.getToken.input,
        good: encode(TokenService.method.getToken.input, { requestId: '5', processID: 'p' }),
        before: null,
      },
    ] as const
    const statuses = new Map<string, number>()
    let count = 0
    let renewAt = 0
    await feed(
      calls.map(({ good }, at) => Uint8Array.of(at, ...good)),
      async (bytes) => {
        count++
        // it is good for half a minute
        if (performance.now() > renewAt) {
          document = world.document()
          renewAt = performance.now() + 10_000
        }
        const { name, before, input } = calls[(bytes[0] ?? 0) % calls.length] ?? calls[0]
        const message = bytes.slice(1)
        // what is no message never reaches us, and gRPC's own answer to that is `internal`: a few of those are enough
        const isMessage = decodes(input, message)
        if (!isMessage && count % 50 !== 0) throw new VouchsafeError('input.malformed', 'no message')
        if (before !== null) await call(`/tokenservice.${before[0]}`, before[1])
        const status = await call(`/tokenservice.${name}`, message)
        statuses.set(`${name} ${status}`, (statuses.get(`${name} ${status}`) ?? 0) + 1)
        if (Number.isNaN(status) || (status === INTERNAL && isMessage)) throw new Error(`${name}: status ${status}`)
      },
      isOurs,
    )
    console.info(Object.fromEntries(statuses))
    expect(world.logged.filter(({ event }) => event === 'internal.error')).toEqual([])
    // sound calls were taken, so that what comes after the first check was reached
    for (const name of ['MakeCredential', 'OfferQuote', 'ProvideQuote'])
      expect(statuses.get(`Verifier/${name} 0`), name).toBeGreaterThan(0)
    expect((await world.fetch()).secrets).toHaveLength(1)
  })
})

describe('what others hand to the distributor, changed: a value, or an error of ours', () => {
  const platform = new GcePlatform()
  const document = platform.document({ id: '1' }, AUDIENCE)
  const keys = readKeys(json(platform.jwks()))

  test('identity documents', () => {
    const [head = '', body = '', signature = ''] = document.split('.')
    const corpus = [document, `${toBase64Url(utf8('{"alg":"RS256","kid":"x"}'))}.${body}.${signature}`].map(utf8)
    const trust = { keys, issuer: GCE_ISSUER, audience: AUDIENCE, maxAgeSeconds: 3600, at: new Date() }
    // the parts also in the clear, so that what is inside them changes
    const plain = utf8(Buffer.from(head, 'base64url').toString() + '\n' + Buffer.from(body, 'base64url').toString())
    return feed(
      [...corpus.slice(0, 1), plain],
      async (bytes) => {
        const [h = '', b] = text(bytes).split('\n')
        const changed =
          b === undefined ? text(bytes) : [h, b].map((p) => toBase64Url(utf8(p))).join('.') + `.${signature}`
        claimedIdentity(changed)
        const identity = await verifyIdentityDocument(changed, trust, nodeCrypto)
        // what verifies is what was signed
        expect([identity.instance, changed]).toEqual(['1', document])
      },
      isOurs,
    )
  })

  test('keys of an identity issuer', () => {
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' })
    const jwks = { keys: [...platform.jwks().keys, { ...ec, kid: 'ec', use: 'sig', alg: 'ES256' }] }
    return feed([json(jwks)], readKeys, isOurs)
  })

  test('the platform’s answers', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const pem = publicKey.export({ format: 'pem', type: 'spki' }).toString()
    const recording = gceRecording({
      id: '1',
      endorsementKey: pem,
      attestationKey: pem,
      address: '34.1.2.3',
      confidential: 'SEV_SNP',
      audit: [gceAuditEntry('v1.compute.instances.setMetadata', '2026-01-02T10:05:00Z')],
    })
    return feed(
      [json(recording)],
      (bytes) => {
        const read = parseSchema(recordedInstanceSchema, parseStrictJson(bytes, { maxBytes: 1 << 20 }), 'recording')
        factsOfGce(read, 'recorded', new Date(0))
      },
      isOurs,
    )
  })

  test('terms of a client', () => {
    const facts = factsOfGce(
      parseSchema(recordedInstanceSchema, gceRecording({ id: '1' }), 'recording'),
      'recorded',
      new Date(0),
    )
    const terms = newTerms(facts, {
      owner: { id: 'alice', key: `ed25519:${'A'.repeat(43)}` },
      purpose: 'count sheep',
      previous: null,
      at: new Date(),
      lifetimeSeconds: 3600,
      identityMaxAgeSeconds: 30,
      images: ['i'],
      metadataKeys: [],
      allowManagementAgent: false,
      address: null,
      certificate: 'ab'.repeat(32),
      tpm: { exemptBecause: 'this machine has no TPM' },
      memoryEncryption: 'any',
      deliver: { to: 'client-certificate', times: 1 },
      secrets: [{ name: 'secret1', type: 'RAW', data: 'AAAA' }],
    })
    return feed([json(terms)], (bytes) => parseClientTerms(bytes, nodeCrypto), isOurs)
  })

  test('files of secrets', () => {
    const accessToken = { audience: 'https://a', resources: ['r'], rights: ['read'], lifetimeSeconds: 60 }
    const secrets = [
      { name: 'a', type: 'RAW', data: 'AAAA' },
      { name: 'b', type: 'TPM', data: 'AAAA', sealed: true, layout: 'direct' },
      { name: 'c', type: 'RAW', accessToken },
    ]
    return feed([json(secrets)], (bytes) => readSecretsFile(bytes, 'secrets'), isOurs)
  })

  test.skipIf(missingVectors())('endorsement certificates', () => {
    const corpus = ['rsa2048', 'secp384r1'].map((kind) => readVector(`seed-systems/ek/swtpm-ek-${kind}.der`))
    return feed(corpus, readEkCertificate, isOurs)
  })
})

/** What a client shows of its TPM. */
async function shownByTpm(address: string) {
  await using tpm = await Tpm.open(address)
  await using ek = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ekEccP256 })
  await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
  const { attest, signature } = await tpm.quote({
    key: ak,
    bank: 'sha256',
    pcrs: [0, 1, 7],
    extraData: new Uint8Array(32),
  })
  const akName = Buffer.from(ak.name).toString('hex')
  return {
    ekPub: encodeTpmPublic(ek.public),
    akPub: encodeTpmPublic(ak.public),
    akName,
    attestation: attest,
    signature,
  }
}
