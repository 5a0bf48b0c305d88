import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { connect } from 'node:tls'
import { channelBinding } from '@vouchsafe/client'
import { pinPkiRoot, VouchsafeError } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { SimulatedTokenAuthority, type SimulatedWorkload } from '@vouchsafe/simulator'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { startProxy } from './machine/proxy.ts'
import { CHANNEL, PATH, PROTOCOL, SERVER_NAME } from './protocol.ts'
import { selfSigned } from './self-signed.ts'
import { type Ports, serve, type Settings } from './usleep/serve.ts'
import { compilePolicy } from './uwear/judge.ts'
import { type Errand, sendNight } from './uwear/send-night.ts'

const directory = mkdtempSync(path.join(tmpdir(), 'session-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const open: (() => void)[] = []
afterEach(() => open.splice(0).forEach((close) => close()))

const authority = SimulatedTokenAuthority.create()
const sha256 = createHash('sha256').update(authority.root).digest('hex')
const root = pinPkiRoot(authority.root, { sha256, class: 'simulated', name: 'simulator' }, nodeCrypto)
const digest = `sha256:${'a'.repeat(64)}`
const values = JSON.parse(readFileSync(new URL('uwear/values.json', import.meta.url), 'utf8')) as object
const policy = compilePolicy({ ...values, allowed_submods_container_image_digest: [digest] })
const [uwear, usleep, stranger] = await Promise.all(['uwear', SERVER_NAME, 'stranger'].map((n) => selfSigned(n)))
if (uwear === undefined || usleep === undefined || stranger === undefined) throw new Error('no identities')
const dataFile = new URL('uwear/sleep.json', import.meta.url).pathname
const workload: SimulatedWorkload = {
  instance: { project: 'usleep-project', zone: 'z', name: 'usleep-1', id: '1' },
  accounts: ['workload@usleep-project'],
  image: { reference: `usleep@${digest}`, digest },
  args: [],
  env: {},
  overrides: { args: [], env: {} },
  debug: false,
}

interface Log {
  readonly event: string
  readonly [field: string]: unknown
}

/** USleep in this process, with what a test wants otherwise. */
async function startUsleep(changes: { settings?: Partial<Settings>; ports?: Partial<Ports>; workload?: object } = {}) {
  const log: Log[] = []
  const asked: { audience: string; nonce: string }[] = []
  const running = { ...workload, ...changes.workload }
  const settings = { audience: 'uwear', senders: [uwear?.sha256 ?? ''], ...changes.settings }
  const { port, close } = await serve(settings, {
    identity: usleep ?? stranger!,
    requestToken: (audience, nonce) => {
      asked.push({ audience, nonce })
      return authority.mint(running, { audience, nonces: [nonce] })
    },
    log: (event, fields = {}) => void log.push({ event, ...fields }),
    ...changes.ports,
  })
  open.push(close)
  return { port, log, asked, events: () => log.map((line) => line.event) }
}

const errand = (port: number, changes: Partial<Errand> = {}): Errand => ({
  address: { host: '127.0.0.1', port },
  identity: uwear,
  root,
  policy,
  dataFile,
  ...changes,
})
const failing = (outcome: Awaited<ReturnType<typeof sendNight>>) =>
  outcome.rules.filter((r) => !r.holds).map((r) => r.rule)
const soon = (what: () => boolean) => expect.poll(what, { timeout: 5_000, interval: 10 }).toBe(true)

describe('the whole exchange', () => {
  test('HD-04 HD-05 HD-12 goes over one WebSocket: token as text, night as binary, verdict back', async () => {
    const { port, log, asked } = await startUsleep()
    const outcome = await sendNight(errand(port))
    expect(outcome).toMatchObject({ allow: true, sent: true, verdict: { verdict: 'great sleep!' } })
    expect(failing(outcome)).toEqual([])
    expect(asked).toEqual([{ audience: 'uwear', nonce: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/) }])
    await soon(() => log.length === 2)
    expect(log).toEqual([
      { event: 'token.sent' },
      { event: 'verdict.sent', verdict: 'great sleep!', asCodelab: 'total sleep time is less than 8 hours' },
    ])
  })

  test('a short night is called short', async () => {
    const { port } = await startUsleep()
    const file = path.join(directory, 'short.json')
    writeFileSync(file, readFileSync(dataFile, 'utf8').replace('270', '200'))
    await expect(sendNight(errand(port, { dataFile: file }))).resolves.toMatchObject({
      verdict: { verdict: 'total sleep time is less than 8 hours' },
    })
  })

  test('DEF-32 HD-15 the operator’s log holds no token, no key and nothing of the night but its verdict', async () => {
    const { port, log, asked } = await startUsleep()
    await sendNight(errand(port))
    await soon(() => log.length === 2)
    const text = JSON.stringify(log)
    for (const secret of ['Amy', '29', '270', '135', '105', '510', asked[0]?.nonce ?? '', 'eyJ', uwear.sha256])
      expect(text).not.toContain(secret)
  })
})

describe('HD-09 where the policy says no', () => {
  /** A file that cannot be read: whoever opens it before the policy has allowed it, throws. */
  const untouchable = path.join(directory, 'absent.json')

  test.each<[string, Parameters<typeof startUsleep>[0], string[]]>([
    ['another image', { workload: { image: { reference: 'x', digest: 'sha256:b' } } }, ['image_digest_verified']],
    ['another audience', { settings: { audience: 'other' } }, ['audience_verified']],
    ['DEF-30 a debug guest', { workload: { debug: true } }, ['debug_verified', 'support_verified']],
    [
      'DEF-31 another machine, account and command',
      {
        workload: {
          instance: { project: 'p', zone: 'z', name: 'i', id: '1' },
          accounts: ['me@p'],
          overrides: { args: ['sh'], env: {} },
        },
      },
      ['project_verified', 'instance_verified', 'account_verified', 'overrides_verified'],
    ],
  ])('for %s the data file is not even opened', async (_what, changes, rules) => {
    const { port, events } = await startUsleep(changes)
    const outcome = await sendNight(errand(port, { dataFile: untouchable }))
    expect(outcome).toMatchObject({ allow: false, sent: false })
    expect(failing(outcome)).toEqual(rules)
    await soon(() => events().includes('token.refused'))
    expect(events()).toEqual(['token.sent', 'token.refused'])
  })

  test('and where a token is not authentic, nothing is sent either', async () => {
    const forger = SimulatedTokenAuthority.create()
    for (const [requestToken, code] of [
      [
        (audience: string, nonce: string) => forger.mint(workload, { audience, nonces: [nonce] }),
        'endorsement.untrusted',
      ],
      [() => Promise.resolve('not.a.token'), 'token.malformed'],
      [() => Promise.resolve('x'.repeat(60_000)), 'token.malformed'],
      [
        (audience: string, nonce: string) =>
          authority.mint(workload, { audience, nonces: [nonce] }, new Date(Date.now() - 4_000_000)),
        'token.expired',
      ],
    ] as const) {
      const { port } = await startUsleep({ ports: { requestToken } })
      await expect(sendNight(errand(port, { dataFile: untouchable }))).rejects.toThrow(
        expect.objectContaining({ code }),
      )
    }
  })

  test('E12 A01 a token that was made for another connection is replayed in vain', async () => {
    const stolen: string[] = []
    const first = await startUsleep({
      ports: {
        requestToken: async (audience, nonce) => {
          stolen.push(await authority.mint(workload, { audience, nonces: [nonce] }))
          return stolen[0] ?? ''
        },
      },
    })
    await sendNight(errand(first.port))
    const thief = await startUsleep({ ports: { requestToken: () => Promise.resolve(stolen[0] ?? '') } })
    const outcome = await sendNight(errand(thief.port, { dataFile: untouchable }))
    expect(failing(outcome)).toEqual(['nonce_verified'])
  })
})

describe('the channel', () => {
  test('A13 a load balancer that ends TLS is noticed and named, also when USleep lets it in', async () => {
    const { port, events } = await startUsleep({ settings: { senders: [uwear.sha256, stranger.sha256] } })
    const proxy = await startProxy({ host: '127.0.0.1', port }, stranger)
    open.push(proxy.close)
    const outcome = await sendNight(errand(proxy.port))
    expect(outcome.sent).toBe(false)
    expect(outcome.rules.filter((r) => !r.holds)).toEqual([
      { rule: 'nonce_verified', holds: false, why: expect.stringMatching(/^token\.nonce: .*terminates TLS/) },
    ])
    await soon(() => events().includes('token.refused'))
  })

  test('DEF-33 A10 without a binding no token is asked for, and the connection ends', async () => {
    const bind: typeof channelBinding = () => {
      throw new VouchsafeError('channel.unavailable', 'no exporter')
    }
    const { port, log, asked } = await startUsleep({ ports: { bind } })
    await expect(sendNight(errand(port))).rejects.toThrow(
      expect.objectContaining({ code: 'peer.unreachable', message: expect.stringContaining('channel.unavailable') }),
    )
    expect(asked).toEqual([])
    expect(log).toEqual([{ event: 'connection.failed', code: 'channel.unavailable' }])
  })

  test('A11 A12 a token bound for another protocol, or by the other end, does not count', async () => {
    for (const other of [
      { ...CHANNEL, protocol: 'vouchsafe-sleep.v2' },
      { ...CHANNEL, attester: 'client' as const },
    ]) {
      const bind: typeof channelBinding = (socket, { side }) => channelBinding(socket, { side, ...other })
      const { port } = await startUsleep({ ports: { bind } })
      expect(failing(await sendNight(errand(port)))).toEqual(['nonce_verified'])
    }
  })
})

describe('DEF-36 who may connect to USleep', () => {
  test('is who its image names, and nobody else feeds it data', async () => {
    const { port, log, asked } = await startUsleep()
    await expect(sendNight(errand(port, { identity: stranger }))).rejects.toThrow(
      expect.objectContaining({ code: 'peer.unreachable', message: expect.stringContaining('401') }),
    )
    await expect(upgrade(port, { certificate: false })).resolves.toBe(401)
    expect(asked).toEqual([])
    expect(log).toEqual([
      { event: 'connection.refused', reason: 'sender' },
      { event: 'connection.refused', reason: 'sender' },
    ])
  })

  test('A15 is told by server name, authority and certificate together: whichever differs, it is refused', async () => {
    const { port, asked } = await startUsleep()
    const table: [Upgrade, number | 'handshake'][] = [
      [{}, 101],
      [{ servername: 'other.example' }, 'handshake'],
      [{ servername: '' }, 421],
      [{ host: 'other.example' }, 421],
      [{ host: `${SERVER_NAME}.` }, 421],
      [{ host: SERVER_NAME.toUpperCase() }, 421],
      [{ servername: 'other.example', host: 'other.example' }, 'handshake'],
      [{ servername: '', host: 'other.example' }, 421],
      [{ path: '/' }, 404],
      [{ path: `${PATH}/` }, 404],
      [{ origin: 'https://usleep.example' }, 403],
      [{ origin: 'null' }, 403],
      [{ protocol: 'vouchsafe-sleep.v2' }, 400],
      [{ protocol: `${PROTOCOL}, other` }, 400],
      [{ certificate: false }, 401],
    ]
    for (const [request, wanted] of table)
      await expect(upgrade(port, request), JSON.stringify(request)).resolves.toBe(wanted)
    expect(asked).toHaveLength(1)
  })

  test('A10 is not asked anything below TLS 1.3', async () => {
    const { port } = await startUsleep()
    await expect(upgrade(port, { maxVersion: 'TLSv1.2' })).resolves.toBe('handshake')
  })

  test('A14 is never recognised by a session resumed', async () => {
    const { port } = await startUsleep()
    const dialled = async (session?: Buffer) => {
      const socket = connect({
        port,
        host: '127.0.0.1',
        servername: SERVER_NAME,
        cert: uwear.cert,
        key: uwear.key,
        rejectUnauthorized: false,
        ...(session === undefined ? {} : { session }),
      })
      open.push(() => socket.destroy())
      const tickets: Buffer[] = []
      socket.on('session', (ticket) => tickets.push(ticket))
      await new Promise<void>((resolve) => {
        socket.once('data', () => resolve()) // tickets come with the first data
        socket.write(`GET / HTTP/1.1\r\nhost: ${SERVER_NAME}\r\n\r\n`)
      })
      return { reused: socket.isSessionReused(), ticket: tickets.at(-1) ?? socket.getSession() }
    }
    const { reused, ticket } = await dialled()
    expect(reused).toBe(false)
    expect(ticket).toBeInstanceOf(Buffer)
    await expect(dialled(ticket)).resolves.toMatchObject({ reused: false })
  })
})

describe('what USleep is sent', () => {
  test.each<[string, string | Buffer]>([
    ['text', '{}'],
    ['no JSON', Buffer.from('{')],
    ['a member too many', Buffer.from(readFileSync(dataFile, 'utf8').replace('{', '{"admin":true,'))],
    ['a member twice', Buffer.from(readFileSync(dataFile, 'utf8').replace('{', '{"age":1,'))],
    ['negative minutes', Buffer.from(readFileSync(dataFile, 'utf8').replace('270', '-1'))],
    ['more than a message may hold', Buffer.alloc(70_000)],
  ])('is refused when it is %s, and not repeated in the log', async (_what, message) => {
    const { port, log, events } = await startUsleep()
    const tls = connect({ port, host: '127.0.0.1', servername: SERVER_NAME, ...uwear, rejectUnauthorized: false })
    const webSocket = new WebSocket(`wss://${SERVER_NAME}${PATH}`, PROTOCOL, { createConnection: () => tls })
    webSocket.on('error', () => undefined)
    open.push(() => webSocket.terminate())
    webSocket.once('message', () => webSocket.send(message))
    const code = await new Promise<number>((resolve) => void webSocket.once('close', resolve))
    expect([4400, 1009]).toContain(code)
    await soon(() => events().includes('connection.failed'))
    expect(JSON.stringify(log)).not.toMatch(/Amy|admin|minutes/)
    expect(events()).not.toContain('verdict.sent')
  })
})

interface Upgrade {
  readonly servername?: string
  readonly host?: string
  readonly path?: string
  readonly origin?: string
  readonly protocol?: string
  readonly certificate?: boolean
  readonly maxVersion?: 'TLSv1.2'
}

/** Asks for the WebSocket by hand. @returns The status, or `handshake` when TLS failed. */
function upgrade(port: number, request: Upgrade): Promise<number | 'handshake'> {
  const {
    servername = SERVER_NAME,
    host = SERVER_NAME,
    path: url = PATH,
    protocol = PROTOCOL,
    origin,
    maxVersion,
  } = request
  return new Promise((resolve) => {
    const socket = connect({
      port,
      host: '127.0.0.1',
      servername,
      rejectUnauthorized: false,
      ...(request.certificate === false ? {} : { cert: uwear?.cert, key: uwear?.key }),
      ...(maxVersion === undefined ? {} : { maxVersion }),
    })
    open.push(() => socket.destroy())
    socket.once('error', () => resolve('handshake'))
    socket.once('data', (data: Buffer) => resolve(Number(data.toString().split(' ')[1])))
    socket.once('secureConnect', () =>
      socket.write(
        [
          `GET ${url} HTTP/1.1`,
          `host: ${host}`,
          'connection: Upgrade',
          'upgrade: websocket',
          'sec-websocket-version: 13',
          'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==',
          `sec-websocket-protocol: ${protocol}`,
          ...(origin === undefined ? [] : [`origin: ${origin}`]),
          '\r\n',
        ].join('\r\n'),
      ),
    )
  })
}
