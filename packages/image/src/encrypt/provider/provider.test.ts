import { chmodSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fromHex, Secret, toBase64, utf8 } from '@vouchsafe/core'
import { missingVectors, readVector, vectorsRoot } from '@vouchsafe/testkit'
import { afterEach, describe, expect, test } from 'vitest'
import { scratchSpace } from '../../testing/image.ts'
import { parseCocoPacket, unwrapUnderKek } from '../coco-packet.ts'
import { privateOptionsBytes } from '../options.ts'
import { digestOf } from '../../oci/digest.ts'
import { answerKeyProvider, type KekPort } from './broker-provider.ts'
import { askCommand } from './command.ts'
import { grpcProvider } from './grpc-client.ts'
import { type KeyProviderServer, serveKeyProvider } from './grpc-server.ts'
import { providerKeys, providerRecipients, type ProviderPort } from './holders.ts'
import {
  parseProviderRequest,
  parseUnwrapResponse,
  parseWrapResponse,
  unwrapRequest,
  unwrapResponse,
  wrapRequest,
  wrapResponse,
} from './messages.ts'
import { parseProviderConfig } from './provider-config.ts'

const sampleKek = new Secret(fromHex('d99b7705b0ba7a168295b3a3367270b0dd9b371bf514ca8b9ba7f0a33711daea'))
const options = privateOptionsBytes({
  symmetricKey: new Secret(new Uint8Array(32).fill(7)),
  digest: digestOf(utf8('layer')),
  nonce: new Uint8Array(16).fill(9),
})
const parameters = (text: string) => [utf8(text)]

/** A broker's keys, in memory: every resource there is has its own. */
function memoryKeys(held = new Map<string, Secret>()): KekPort & { readonly held: Map<string, Secret> } {
  return {
    held,
    obtain: (resource) => {
      const kek = held.get(resource) ?? new Secret(crypto.getRandomValues(new Uint8Array(32)))
      held.set(resource, kek)
      return Promise.resolve(kek)
    },
    find: (resource) => Promise.resolve(held.get(resource)),
  }
}

const inProcess = (keys: KekPort): ProviderPort => ({ ask: (_, request) => answerKeyProvider(request, keys) })

describe('the key provider protocol', () => {
  test('GU-12 what is wrapped under a key id is unwrapped again, and a guest reads the packet', async () => {
    const keys = memoryKeys()
    const to = providerRecipients('attestation-agent', inProcess(keys), parameters('keyid=kbs:///images/app/key'))
    const [packet] = await to.wrap(options)
    expect(await providerKeys('attestation-agent', inProcess(keys), []).unwrap(packet!)).toEqual(options)
    expect(parseCocoPacket(packet!).kid).toBe('kbs:///images/app/key')
    expect(unwrapUnderKek(parseCocoPacket(packet!), keys.held.get('images/app/key')!)).toEqual(options)
  })

  test.each([
    ['Enabled', /^default\/image-kek\/[0-9a-f-]{36}$/, 'A256GCM'],
    ['keyid=/r/t/tag', /^r\/t\/tag$/, 'A256GCM'],
    ['keyid=kbs://broker.example/r/t/tag::algorithm=A256CTR', /^r\/t\/tag$/, 'A256CTR'],
  ])('parameters %s choose key and algorithm', async (text, resource, wrapType) => {
    const keys = memoryKeys()
    const [packet] = await providerRecipients('attestation-agent', inProcess(keys), parameters(text)).wrap(options)
    expect([...keys.held.keys()][0]).toMatch(resource)
    expect(parseCocoPacket(packet!).wrapType).toBe(wrapType)
  })

  test.each(['sample=true', 'keypath=/etc/shadow', 'keyid=kbs:///../x', 'algorithm=A128GCM', 'nonsense'])(
    'parameter %s is refused',
    async (text) => {
      const request = wrapRequest('attestation-agent', parameters(text), options)
      await expect(answerKeyProvider(request, memoryKeys())).rejects.toMatchObject({
        code: expect.stringMatching(/^encryption\.(?:recipient|malformed)$/),
      })
    },
  )

  test('what is no layer’s options is neither wrapped nor handed out', async () => {
    const request = wrapRequest('attestation-agent', [], utf8('{"symkey":"AAAA"}'))
    await expect(answerKeyProvider(request, memoryKeys())).rejects.toMatchObject({ code: 'encryption.malformed' })
  })

  test('a key that is not at hand, or another one, is told', async () => {
    const keys = memoryKeys()
    const [packet] = await providerRecipients('attestation-agent', inProcess(keys), parameters('keyid=/a/b/c')).wrap(
      options,
    )
    const ask = (held: Map<string, Secret>) =>
      answerKeyProvider(unwrapRequest('attestation-agent', [], packet!), memoryKeys(held))
    await expect(ask(new Map())).rejects.toMatchObject({ code: 'encryption.no-key' })
    await expect(ask(new Map([['a/b/c', sampleKek]]))).rejects.toMatchObject({ code: 'encryption.wrong-key' })
  })

  test('byte fields are read in every dialect, and written as numbers', () => {
    const wrap = (optsdata: unknown) =>
      parseProviderRequest(utf8(JSON.stringify({ op: 'keywrap', keywrapparams: { ec: null, optsdata } })))
    for (const form of [toBase64(options), [...options], new TextDecoder().decode(options)])
      expect(wrap(form)).toMatchObject({ kind: 'wrap', privateOptions: options })
    expect(JSON.parse(new TextDecoder().decode(wrapResponse(Uint8Array.of(1, 2))))).toMatchObject({
      keywrapresults: { annotation: [1, 2] },
    })
    expect(parseUnwrapResponse(unwrapResponse(options))).toEqual(options)
    for (const bad of [[256], ['a'], 7, null, 'not base64'])
      expect(() => wrap(bad)).toThrow(expect.objectContaining({ code: 'encryption.malformed' }))
    expect(() => parseWrapResponse(utf8('{"keywrapresults":{"annotation":[]}}'))).toThrow(
      expect.objectContaining({ code: 'encryption.malformed' }),
    )
    expect(() => parseProviderRequest(utf8('{"op":"x"}'))).toThrow(
      expect.objectContaining({ code: 'encryption.malformed' }),
    )
  })

  test('a provider is told its own parameters only', () => {
    const request = new TextDecoder().decode(unwrapRequest('mine', parameters('p'), Uint8Array.of(1)))
    expect(JSON.parse(request)).toMatchObject({
      keyunwrapparams: { dc: { Parameters: { mine: [toBase64(utf8('p'))] } } },
    })
    expect(request).not.toContain('privkeys')
  })
})

describe.skipIf(missingVectors())('messages recorded from Go', () => {
  const folder = 'guest/generated/ocicrypt-go'
  test.each(['keyprovider-coco-v1', 'mixed-jwe-keyprovider'])(
    'GU-12 %s: each message is read, and the unwrapped options are those that were wrapped',
    async (name) => {
      const wrap = parseProviderRequest(readVector(`${folder}/${name}/keyprovider-keywrap-request.json`))
      const packet = parseWrapResponse(readVector(`${folder}/${name}/keyprovider-keywrap-response.json`))
      const unwrap = parseProviderRequest(readVector(`${folder}/${name}/keyprovider-keyunwrap-request.json`))
      const opened = parseUnwrapResponse(readVector(`${folder}/${name}/keyprovider-keyunwrap-response.json`))
      if (wrap.kind !== 'wrap' || unwrap.kind !== 'unwrap') throw new Error('kinds')
      expect(opened).toEqual(wrap.privateOptions)
      expect(unwrap.packet).toEqual(packet)
      expect(unwrapUnderKek(parseCocoPacket(packet), sampleKek)).toEqual(opened)
      const answer = await answerKeyProvider(
        readVector(`${folder}/${name}/keyprovider-keyunwrap-request.json`),
        memoryKeys(new Map([['default/test-key/1', sampleKek]])),
      )
      expect(parseUnwrapResponse(answer)).toEqual(opened)
    },
  )

  test('our requests to wrap are Go’s to the byte, but for the null that Go writes for no parameters', () => {
    const theirs = new TextDecoder().decode(
      readVector(`${folder}/keyprovider-coco-v1/keyprovider-keywrap-request.json`),
    )
    const wrap = parseProviderRequest(utf8(theirs))
    if (wrap.kind !== 'wrap') throw new Error('kind')
    const ours = wrapRequest('attestation-agent', parameters('sample=true'), wrap.privateOptions)
    expect(new TextDecoder().decode(ours)).toBe(
      theirs.trim().replace('"DecryptConfig":{"Parameters":null}', '"DecryptConfig":{"Parameters":{}}'),
    )
  })

  test.each([
    ['ocicrypt-rs/data/ocicrypt_config.json'],
    ['confidential-data-hub/hub/src/image/ocicrypt_config.json'],
    ['image-rs/test_data/ocicrypt_keyprovider_ttrpc.conf'],
    ['image-rs/test_data/ocicrypt_keyprovider_grpc.conf'],
  ])('GU-12 the configuration %s is read', (name) => {
    expect(path.isAbsolute(vectorsRoot)).toBe(true)
    const providers = parseProviderConfig(readVector(`guest/guest-components/${name}`), name)
    expect(providers.size).toBeGreaterThan(0)
    for (const { kind } of providers.values()) expect(['command', 'grpc', 'unsupported']).toContain(kind)
  })
})

describe('a provider over gRPC', () => {
  let server: KeyProviderServer | undefined
  afterEach(async () => server?.close())
  const serve = async (keys: KekPort, refused: unknown[] = []) => {
    server = await serveKeyProvider(
      { host: '127.0.0.1', port: 0 },
      (request) => answerKeyProvider(request, keys),
      (error) => refused.push(error),
    )
    return grpcProvider(`127.0.0.1:${server.port}`)
  }

  test('GU-12 wraps and unwraps', async () => {
    const port = await serve(memoryKeys())
    const [packet] = await providerRecipients('attestation-agent', port, parameters('keyid=/a/b/c')).wrap(options)
    expect(await providerKeys('attestation-agent', port, []).unwrap(packet!)).toEqual(options)
  })

  test('tells a peer a code and no more, and the caller all of it', async () => {
    const refused: unknown[] = []
    const port = await serve(memoryKeys(), refused)
    const [packet] = await providerRecipients(
      'attestation-agent',
      inProcess(memoryKeys()),
      parameters('keyid=/secret/path/x'),
    ).wrap(options)
    const error = await port.ask('unwrap', unwrapRequest('attestation-agent', [], packet!)).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'encryption.provider', message: expect.stringContaining('encryption.no-key') })
    expect((error as Error).message).not.toContain('secret/path')
    expect(refused).toMatchObject([{ code: 'encryption.no-key' }])
    // the method says one thing, the request another
    await expect(port.ask('wrap', unwrapRequest('attestation-agent', [], packet!))).rejects.toMatchObject({
      message: expect.stringContaining('encryption.malformed'),
    })
  })

  test('listens to this machine only, and asks others only by TLS', async () => {
    await expect(
      serveKeyProvider(
        { host: '0.0.0.0', port: 0 },
        () => Promise.reject(new Error()),
        () => undefined,
      ),
    ).rejects.toMatchObject({ code: 'encryption.provider' })
    expect(() => grpcProvider('192.0.2.1:50000')).toThrow(expect.objectContaining({ code: 'encryption.provider' }))
    expect(() => grpcProvider('nowhere')).toThrow(expect.objectContaining({ code: 'encryption.provider' }))
    await expect(grpcProvider('127.0.0.1:1').ask('wrap', new Uint8Array())).rejects.toMatchObject({
      code: 'encryption.provider',
    })
  })
})

describe('a provider that is a program', () => {
  const fresh = scratchSpace('provider')
  const program = (body: string) => {
    const file = fresh()
    writeFileSync(file, `#!/bin/sh\n${body}\n`)
    chmodSync(file, 0o755)
    return { path: file, args: ['one', 'two'] }
  }

  test('is given the request and its arguments, and answers', async () => {
    const answer = await askCommand(program('printf "%s %s " "$1" "$2"; cat'), utf8('request'))
    expect(new TextDecoder().decode(answer)).toBe('one two request')
  })

  test.each([
    ['fails', 'echo no token >&2; exit 3', /ended with 3: no token/],
    ['answers without end', 'yes', /more than/],
  ])('that %s is told', async (_what, body, message) => {
    await expect(askCommand(program(body), utf8('x'))).rejects.toMatchObject({
      code: 'encryption.provider',
      message: expect.stringMatching(message),
    })
  })

  test('that is not there is told', async () => {
    await expect(askCommand({ path: '/nowhere/provider', args: [] }, utf8('x'))).rejects.toMatchObject({
      code: 'encryption.provider',
    })
  })
})

describe('provider configurations', () => {
  const read = (entry: object) =>
    parseProviderConfig(utf8(JSON.stringify({ 'key-providers': { p: entry } })), 'conf').get('p')
  test('a command counts before gRPC', () => {
    expect(read({ cmd: { path: '/x', args: ['a'] }, grpc: '127.0.0.1:1' })).toEqual({
      kind: 'command',
      command: { path: '/x', args: ['a'] },
    })
    expect(read({ grpc: 'h:1', 'grpc-tls': { 'root-ca-file': '/ca', 'cert-file': '' } })).toEqual({
      kind: 'grpc',
      address: 'h:1',
      tls: { rootCaFile: '/ca' },
    })
  })
  test.each([[{}], [{ path: '/x' }], [{ cmd: {} }], [{ grpc: 'h:1', 'grpc-tls': { 'insecure-skip-verify': true } }]])(
    '%j is refused',
    (entry) => {
      expect(() => read(entry)).toThrow(expect.objectContaining({ code: 'encryption.malformed' }))
    },
  )
})
