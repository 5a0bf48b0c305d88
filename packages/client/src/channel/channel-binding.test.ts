import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import tls from 'node:tls'
import { LEFT_TO_POLICY, pinPkiRoot, verifyPkiToken } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { SimulatedTokenAuthority } from '@vouchsafe/simulator'
import { makeCertificate } from '@vouchsafe/testkit'
import { afterAll, describe, expect, test } from 'vitest'
import { type BindableSocket, channelBinding, type ChannelSide } from './channel-binding.ts'

const pem = (der: Uint8Array) =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`
function identity(subject: string) {
  const made = makeCertificate({ subject })
  return { cert: pem(made.der), key: made.key.privateKey.export({ type: 'pkcs8', format: 'pem' }) }
}

const open: { destroy(): void }[] = []
afterAll(() => open.forEach((one) => one.destroy()))

interface Ends {
  readonly client: tls.TLSSocket
  readonly server: tls.TLSSocket
  readonly listener: tls.Server
}

/** Both ends of one connection. */
async function connect(serverOptions: tls.TlsOptions = {}, clientOptions: tls.ConnectionOptions = {}): Promise<Ends> {
  const listener = tls.createServer({ ...identity('server'), ...serverOptions })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  open.push({ destroy: () => void listener.close() })
  return { listener, ...(await dial(listener, clientOptions)) }
}

async function dial(listener: tls.Server, options: tls.ConnectionOptions = {}) {
  const accepted = once(listener, 'secureConnection') as Promise<[tls.TLSSocket]>
  const port = (listener.address() as AddressInfo).port
  const client = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options })
  open.push(client)
  await once(client, 'secureConnect')
  const [server] = await accepted
  open.push(server)
  return { client, server }
}

const attested = { attester: 'server', protocol: 'test.v1' } as const
const atClient: ChannelSide = { side: 'client', ...attested }
const atServer: ChannelSide = { side: 'server', ...attested }
const unavailable = (message: string) =>
  expect.objectContaining({ code: 'channel.unavailable', message: expect.stringContaining(message) })

describe('a channel binding', () => {
  test('HD-04 is the same at both ends, and another for every connection', async () => {
    const one = await connect()
    const value = channelBinding(one.client, atClient)
    expect(value).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(channelBinding(one.server, atServer)).toBe(value)
    const two = await dial(one.listener)
    expect(channelBinding(two.client, atClient)).not.toBe(value)
    expect(channelBinding(two.server, atServer)).toBe(channelBinding(two.client, atClient))
  })

  test('DEF-08 A11 uses the registered label with an empty context, and differs by protocol', async () => {
    const { client } = await connect()
    const asked: unknown[][] = []
    const spy: BindableSocket = {
      ...bindable(client),
      exportKeyingMaterial: (...args) => {
        asked.push(args)
        return client.exportKeyingMaterial(...args)
      },
    }
    const value = channelBinding(spy, atClient)
    expect(asked).toEqual([[32, 'EXPORTER-Channel-Binding', Buffer.alloc(0)]])
    expect(channelBinding(client, { ...atClient, protocol: 'test.v2' })).not.toBe(value)
    for (const [label, context] of [
      ['testing_nonce', Buffer.alloc(0)],
      ['EXPORTER-Channel-Binding', Buffer.from('context')],
    ] as const) {
      const sloppy: BindableSocket = {
        ...bindable(client),
        exportKeyingMaterial: (length) => client.exportKeyingMaterial(length, label, context),
      }
      expect(channelBinding(sloppy, atClient), label).not.toBe(value)
    }
  })

  test('A12 reflected to its sender is another one: it says which end attests, and with which certificate', async () => {
    const one = identity('both ends')
    for (const other of [identity('client'), one]) {
      const mutual = await connect({ ...one, requestCert: true, rejectUnauthorized: false }, other)
      const server = channelBinding(mutual.client, atClient)
      const client = channelBinding(mutual.client, { ...atClient, attester: 'client' })
      expect(client).not.toBe(server)
      expect(channelBinding(mutual.server, { ...atServer, attester: 'client' })).toBe(client)
    }
    const plain = await connect()
    expect(() => channelBinding(plain.server, { ...atServer, attester: 'client' })).toThrow(
      unavailable('no certificate'),
    )
  })

  test('DEF-33 A10 is refused where the exporter fails, gives zeros or too little, and nothing goes on without', async () => {
    const { client } = await connect()
    const stubbed = (exportKeyingMaterial: BindableSocket['exportKeyingMaterial']) => () =>
      channelBinding({ ...bindable(client), exportKeyingMaterial }, atClient)
    expect(
      stubbed(() => {
        throw new Error('no exporter here')
      }),
    ).toThrow(unavailable('exports no keying material'))
    expect(stubbed(() => Buffer.alloc(32))).toThrow(unavailable('zeros'))
    expect(stubbed(() => Buffer.alloc(0))).toThrow(unavailable('0 bytes'))
    expect(stubbed(() => Buffer.alloc(16, 1))).toThrow(unavailable('16 bytes'))
  })

  test('A10 is refused with TLS 1.2 and over a resumed session', async () => {
    const old = await connect({ maxVersion: 'TLSv1.2' })
    expect(() => channelBinding(old.client, atClient)).toThrow(unavailable('TLSv1.2'))
    const first = await connect()
    const ticket = once(first.client, 'session') as Promise<[Buffer]>
    first.server.write('x') // a client reads its ticket with the first data
    first.client.resume()
    const [session] = await ticket
    const again = await dial(first.listener, { session })
    expect(again.client.isSessionReused()).toBe(true)
    expect(() => channelBinding(again.client, atClient)).toThrow(unavailable('resumed'))
    expect(() => channelBinding(again.server, atServer)).toThrow(unavailable('resumed'))
  })
})

test('A13 a proxy that terminates TLS in between makes the token’s nonce another one, and that is the reason given', async () => {
  const authority = SimulatedTokenAuthority.create()
  const workload = {
    instance: { project: 'p', zone: 'z', name: 'i', id: '1' },
    accounts: [],
    image: { reference: 'w', digest: 'sha256:00' },
    args: [],
    env: {},
    overrides: { args: [], env: {} },
    debug: false,
  }
  const sha256 = Buffer.from(nodeCrypto.digest('sha256', authority.root)).toString('hex')
  const root = pinPkiRoot(authority.root, { sha256, class: 'simulated', name: 'simulator' }, nodeCrypto)
  const judge = async (token: string, socket: tls.TLSSocket) =>
    verifyPkiToken(
      token,
      {
        root,
        issuer: LEFT_TO_POLICY,
        audience: 'uwear',
        nonce: channelBinding(socket, atClient),
        at: new Date(),
      },
      nodeCrypto,
    )
  const certificate = identity('workload')
  const proxyToWorkload = await connect(certificate)
  // the proxy even has the workload's own certificate: it is the connection that differs
  const ownerToProxy = await connect(certificate)
  const nonces = [channelBinding(proxyToWorkload.server, atServer)]
  const token = await authority.mint(workload, { audience: 'uwear', nonces })
  await expect(judge(token, proxyToWorkload.client)).resolves.toBeDefined()
  await expect(judge(token, ownerToProxy.client)).rejects.toThrow(expect.objectContaining({ code: 'token.nonce' }))
})

/** The five functions, free of their socket. */
function bindable(socket: tls.TLSSocket): BindableSocket {
  return {
    exportKeyingMaterial: (...args) => socket.exportKeyingMaterial(...args),
    getPeerCertificate: () => socket.getPeerCertificate(),
    getProtocol: () => socket.getProtocol(),
    getCertificate: () => socket.getCertificate(),
    isSessionReused: () => socket.isSessionReused(),
  }
}
