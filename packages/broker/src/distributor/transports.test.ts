import { createHash, X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { type Socket, connect as connectPlain } from 'node:net'
import path from 'node:path'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { DistributorConnection } from '@vouchsafe/client/distributor'
import { fromUtf8, utf8 } from '@vouchsafe/core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { DistributorWorld, SERVER_NAME } from '../testing/distributor-world.ts'
import { readDistributorConfig } from './config.ts'

let world: DistributorWorld | undefined
afterEach(async () => {
  await world?.stop()
  world = undefined
})

const refusal = (code: string) => expect.objectContaining({ code })
const valueOf = (fetched: Awaited<ReturnType<DistributorWorld['fetch']>>) =>
  fromUtf8(fetched.secrets[0]?.value ?? new Uint8Array())
const thumbprint = (pem: string) => createHash('sha256').update(new X509Certificate(pem).raw).digest('hex')

describe('TD-13 TD-35 the transport is chosen at start', () => {
  test('TLS: no client certificate is asked for, own certificates and names', async () => {
    world = await DistributorWorld.start({ transport: 'tls' })
    await world.provision()
    expect(valueOf(await world.fetch({ identity: null }))).toBe('fooobar')
  })

  test('TD-15 TD-16 DEF-28 mTLS: address and certificate are asked for by thumbprint, never by serial number', async () => {
    world = await DistributorWorld.start({ transport: 'mtls' })
    const w = world
    await w.provision({ certificate: w.thumbprint, address: '127.0.0.1' })
    expect(valueOf(await w.fetch())).toBe('fooobar')
    const { serialNumber } = new X509Certificate(w.client.certificate)
    const twin = await w.clients.issue([{ type: 'email', value: 'mallory@example.com' }], serialNumber)
    expect(new X509Certificate(twin.certificate).serialNumber).toBe(serialNumber)
    const refused = await w.whyRefused(w.fetch({ identity: twin }))
    expect(refused.codes).toEqual(['appraisal.channel'])
    expect(refused.reasons).toContain(thumbprint(twin.certificate))
    await w.provision({ certificate: w.thumbprint, address: '34.121.225.36' })
    const elsewhere = await w.whyRefused(w.fetch())
    expect(elsewhere.reasons).toBe('appraisal.channel: wanted address 34.121.225.36, found address 127.0.0.1')
    // without a certificate, or with one of another authority, nobody gets as far as a call
    await expect(w.fetch({ identity: null })).rejects.toThrow(refusal('peer.untrusted'))
    const foreign = await w.servers.issue([{ type: 'email', value: 'a@b.c' }])
    await expect(w.fetch({ identity: foreign })).rejects.toThrow(/peer|refused|answer/)
  })

  test('TD-17 platform: the account that the transport proves must be that of the identity document', async () => {
    world = await DistributorWorld.start({ transport: 'platform' })
    const w = world
    await w.provision()
    expect(valueOf(await w.fetch())).toBe('fooobar')
    const other = await w.clients.issue([{ type: 'email', value: 'other@client-project.iam.gserviceaccount.com' }])
    const refused = await w.whyRefused(w.fetch({ identity: other }))
    expect(refused.reasons).toContain('found transport account other@client-project.iam.gserviceaccount.com')
    const two = await w.clients.issue([
      { type: 'email', value: 'tokenclient@client-project.iam.gserviceaccount.com' },
      { type: 'email', value: 'other@client-project.iam.gserviceaccount.com' },
    ])
    await expect(w.fetch({ identity: two })).rejects.toThrow(refusal('appraisal.channel'))
  })

  test('TD-13 a transport of one’s own can be put in its place', async () => {
    world = await DistributorWorld.start({ transport: 'tls' })
    const w = world
    await w.provision({ address: '203.0.113.7' })
    await w.broker.stop()
    w.alice.close()
    const cert = readFileSync(path.join(w.directory, 'server.pem'))
    const key = readFileSync(path.join(w.directory, 'server.key'))
    await w.serve({
      transport: {
        serverOptions: { cert, key, minVersion: 'TLSv1.3' },
        // a gateway in front would tell the address that it saw
        channelOf: () => ({ transport: 'tls', address: '203.0.113.7', certificate: null, account: null }),
      },
    })
    expect(valueOf(await w.fetch({ identity: null }))).toBe('fooobar')
  })

  test('G13 a client trusts the named authority and name alone', async () => {
    world = await DistributorWorld.start({ transport: 'tls' })
    const w = world
    await w.provision()
    const reach = { host: w.grpc.host, port: w.grpc.port }
    const others = [
      { ...reach, authority: w.clients.certificate, serverName: SERVER_NAME },
      { ...reach, authority: w.servers.certificate, serverName: 'elsewhere.example' },
      { ...reach, authority: w.servers.certificate },
    ]
    for (const address of others) {
      const connection = new DistributorConnection(address, async () => w.document())
      await expect(connection.token.getToken({ requestId: 'r' })).rejects.toThrow(refusal('peer.untrusted'))
      connection.close()
    }
  })
})

describe('H21 (partly: the ports of a broker; guests have no mesh yet) no configuration leaves TLS out', () => {
  /** The first byte of what a port answers to these bytes; undefined when it hangs up without a word. */
  function answerTo(socket: Socket, sent: string): Promise<number | undefined> {
    return new Promise((resolve) => {
      socket.on('data', ([first]: Buffer) => {
        socket.destroy()
        resolve(first)
      })
      socket.on('error', () => resolve(undefined))
      socket.on('close', () => resolve(undefined))
      socket.write(sent)
    })
  }
  const handshake = (port: number, options: ConnectionOptions) =>
    new Promise<string | null>((resolve, reject) => {
      const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options }, () => {
        resolve(socket.getProtocol())
        socket.destroy()
      }).once('error', reject)
    })
  const HTTP1 = 'GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n'
  const HTTP2 = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'
  const TLS_ALERT = 21

  let w: DistributorWorld
  let ports: readonly [number, number]
  beforeAll(async () => {
    w = await DistributorWorld.start({ transport: 'mtls' })
    ports = [Number(new URL(w.broker.url).port), w.grpc.port]
    await stop()
  })
  afterAll(() => w?.stop())

  const stop = async () => {
    await w.broker.stop()
    w.alice.close()
  }
  /** Starts again with another transport, on the ports that were there, so that whoever listens is found. */
  async function serveWith(transport: Readonly<Record<string, unknown>>): Promise<void> {
    const change = (name: string, changes: object) => {
      const file = path.join(w.directory, name)
      writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), ...changes }))
    }
    const [native, grpc] = ports
    change('alice/broker.json', { listen: { host: '127.0.0.1', port: native } })
    change('distributor.json', { listen: { host: '127.0.0.1', port: grpc }, transport })
    await w.serve()
  }
  const MATERIAL = { certificate: { file: 'server.pem' }, key: { file: 'server.key' } }
  const CLIENTS = { clientAuthorities: { file: 'clients.pem' } }
  const MTLS = { kind: 'mtls', ...MATERIAL, ...CLIENTS }

  test.each([
    ['tls', { kind: 'tls', ...MATERIAL }],
    ['mtls', MTLS],
    ['platform', { ...MTLS, kind: 'platform' }],
  ])('each port of a broker with transport %s', async (_kind, transport) => {
    await serveWith(transport)
    for (const port of ports) {
      for (const plain of [HTTP1, HTTP2])
        expect([TLS_ALERT, undefined]).toContain(await answerTo(connectPlain(port, '127.0.0.1'), plain))
      await expect(handshake(port, { maxVersion: 'TLSv1.2' })).rejects.toThrow()
      expect(await handshake(port, { cert: w.client.certificate, key: w.client.key })).toBe('TLSv1.3')
    }
    await stop()
  })

  test.each([
    ['whose certificate is gone', { certificate: { file: 'nothing.pem' } }, 'input.malformed'],
    ['whose key is gone', { key: { file: 'nothing.key' } }, 'input.malformed'],
    ['whose key is a secret that nobody put', { key: { resource: 'tls/key' } }, 'release.unknown'],
    ['whose client authorities are gone', { clientAuthorities: { file: 'nothing.pem' } }, 'input.malformed'],
    ['that names a transport without TLS', { kind: 'plain' }, 'input.malformed'],
  ])('a broker %s never gets ready, and neither port listens', async (_what, changes, code) => {
    await expect(serveWith({ ...MTLS, ...changes })).rejects.toThrow(refusal(code))
    for (const port of ports) await expect(handshake(port, {})).rejects.toThrow(/ECONNREFUSED/)
  })
})

test('TD-14 TLS material comes from files or from named secrets of the broker', async () => {
  world = await DistributorWorld.start({ transport: 'mtls' })
  const w = world
  await w.provision()
  for (const [name, file] of [
    ['tls/certificate', 'server.pem'],
    ['tls/key', 'server.key'],
    ['tls/clients', 'clients.pem'],
  ] as const) {
    await w.alice.putResource(name, new Uint8Array(readFileSync(path.join(w.directory, file))), 0)
    writeFileSync(path.join(w.directory, file), 'gone')
  }
  await w.broker.stop()
  w.alice.close()
  const file = path.join(w.directory, 'distributor.json')
  const config = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
  config['transport'] = {
    kind: 'mtls',
    certificate: { resource: 'tls/certificate' },
    key: { resource: 'tls/key' },
    clientAuthorities: { resource: 'tls/clients' },
  }
  writeFileSync(file, JSON.stringify(config))
  await w.serve()
  expect(valueOf(await w.fetch())).toBe('fooobar')
})

test('unknown members of a configuration stop the start', async () => {
  world = await DistributorWorld.start({ transport: 'tls' })
  const file = path.join(world.directory, 'distributor.json')
  const config = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
  writeFileSync(file, utf8(JSON.stringify({ ...config, useTPM: false })))
  expect(() => readDistributorConfig(file)).toThrow(refusal('input.unknown-member'))
})
