import { createHash, randomBytes, randomInt } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import tls from 'node:tls'
import { GuestClient, OwnerClient, PinnedConnection, PrincipalKey } from '@vouchsafe/client'
import {
  type Statement,
  fromBase64,
  fromUtf8,
  parseAgreement,
  parseExportedEntry,
  signProof,
  signStatement,
  toBase64Url,
  utf8,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RawGuest, newP256, openSealed, releaseRequest } from 'vouchsafe/attack/raw-guest'
import { type TwoClinics, launchOf, startClinic, startTwoClinics, stopClinic } from '../testing/two-clinics.ts'
import { ROUTES } from './routes.ts'

let world: TwoClinics

beforeAll(async () => {
  world = await startTwoClinics()
  await world.approve(world.a)
  await world.approve(world.b)
})
afterAll(() => world?.stop())

const refusal = (code: string) => expect.objectContaining({ code })
const attested = () => world.guest.attest(world.a.guest, world.machine, world.agreement)
const ledgerOf = async () => {
  const lines = (await world.a.owner.exportLedger()).trimEnd().split('\n')
  return lines.map((line) => fromUtf8(parseExportedEntry(line).entry))
}
const connect = () => new PinnedConnection(world.a.broker.url, fromBase64(world.a.pin.identity), { timeoutMs: 10_000 })

describe('replay and races', () => {
  test('A17 of a hundred redemptions of one proof at once, one releases, and the ledger holds one release', async () => {
    const request = await releaseRequest(world.a.guest, await attested(), ['patients/key'])
    const answers = await Promise.allSettled(Array.from({ length: 100 }, () => request.send()))
    const decisions = new Set(answers.flatMap((a) => (a.status === 'fulfilled' ? [a.value.decision] : [])))
    expect(decisions.size).toBe(1)
    const [decision] = decisions
    expect((await ledgerOf()).filter((e) => e.includes(`"subject":"${decision}"`))).toHaveLength(1)
  })

  test('A17 one nonce in a hundred different requests releases once', async () => {
    const by = await attested()
    const nonce = await world.a.guest.nonce('release', by.session)
    const requests = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const body = utf8(JSON.stringify({ resources: ['patients/key'], requestId: toBase64Url(randomBytes(16)) }))
        const proof = await signProof(
          { method: 'POST', path: world.a.guest.releasePath, body, token: by.token, nonce },
          by.proofKey.jwk,
          by.proofKey.privateKey as never,
          nodeCrypto,
        )
        return { body, proof }
      }),
    )
    const before = (await ledgerOf()).filter((e) => e.includes('"outcome":"release"')).length
    const answers = await Promise.allSettled(
      requests.map(({ body, proof }) => world.a.guest.release(body, by.token, proof)),
    )
    expect(answers.filter((a) => a.status === 'fulfilled')).toHaveLength(1)
    expect((await ledgerOf()).filter((e) => e.includes('"outcome":"release"'))).toHaveLength(before + 1)
    for (const a of answers) if (a.status === 'rejected') expect(a.reason).toEqual(refusal('token.replayed'))
  })

  test('J09 the same request id fetches the same decision, sealed to the same key, and releases nothing twice', async () => {
    const by = await attested()
    const id = toBase64Url(randomBytes(16))
    const first = await (await releaseRequest(world.a.guest, by, ['patients/key'], id)).send()
    const before = (await ledgerOf()).length
    const again = await (await releaseRequest(world.a.guest, by, ['patients/key'], id)).send()
    expect(again.decision).toBe(first.decision)
    expect(again.lease.id).toBe(first.lease.id)
    expect(await ledgerOf()).toHaveLength(before)
    const secret = await openSealed(world.a.pin, by, world.agreement, 'patients/key', again.sealed[0]?.jwe ?? '')
    expect(fromUtf8(secret)).toBe('data key of clinic-a')
  })

  test('A20 whoever knows a request id but not its key fetches nothing', async () => {
    const by = await attested()
    const id = toBase64Url(randomBytes(16))
    await (await releaseRequest(world.a.guest, by, ['patients/key'], id)).send()
    const thief = { ...by, proofKey: newP256() }
    await expect((await releaseRequest(world.a.guest, thief, ['patients/key'], id)).send()).rejects.toThrow(
      refusal('token.proof'),
    )
  })

  test('A03 a nonce of one session, purpose or tenant is none in another', async () => {
    const { body } = await world.guest.attestBody(world.a.guest, world.machine, world.agreement)
    for (const nonce of [
      await world.a.guest.nonce('attest', 'another-session-1'),
      await world.a.guest.nonce('release', body.session),
      await world.b.guest.nonce('attest', body.session),
      body.nonce.slice(0, -2) + (body.nonce.endsWith('AA') ? 'BB' : 'AA'),
      'nonsense',
    ])
      await expect(world.a.guest.attest({ ...body, nonce })).rejects.toThrow(refusal('evidence.stale'))
  })
})

describe('relay and forwarding', () => {
  test('A07 A08 evidence relayed with another key is refused, and the token it yields is bound to its own', async () => {
    const { body } = await world.guest.attestBody(world.a.guest, world.machine, world.agreement)
    await expect(world.a.guest.attest({ ...body, sealKey: newP256().jwk })).rejects.toThrow(refusal('evidence.binding'))
    const by = await attested()
    await expect(
      (await releaseRequest(world.a.guest, { ...by, proofKey: newP256() }, ['patients/key'])).send(),
    ).rejects.toThrow(refusal('token.proof'))
  })

  test('A08 evidence made for one broker says nothing at the other', async () => {
    const { body } = await world.guest.attestBody(world.a.guest, world.machine, world.agreement)
    const nonce = await world.b.guest.nonce('attest', body.session)
    await expect(world.b.guest.attest({ ...body, nonce })).rejects.toThrow(refusal('evidence.binding'))
  })

  test('B08 A09 a clean machine that is not enrolled gets nothing, whatever it measured', async () => {
    const other = await RawGuest.start()
    try {
      for (const machine of [world.machine, 'tpm:nobody']) {
        const { body } = await other.attestBody(world.a.guest, machine, world.agreement)
        await expect(world.a.guest.attest(body)).rejects.toThrow(refusal('evidence.unenrolled'))
      }
    } finally {
      await other.stop()
    }
  })
})

describe('enrolment', () => {
  test('B15 takes a ticket, once', async () => {
    await expect(world.guest.enrol(world.a.guest, 't-made-up')).rejects.toThrow(refusal('enrolment.ticket'))
    const { ticket } = await world.a.owner.issueTicket('guest-2', 60)
    await expect(world.guest.enrol(world.b.guest, ticket)).rejects.toThrow(refusal('enrolment.ticket'))
  })

  test('B14 the same machine is not enrolled twice', async () => {
    const { ticket } = await world.a.owner.issueTicket('guest', 60)
    await expect(world.guest.enrol(world.a.guest, ticket)).rejects.toThrow(refusal('enrolment.conflict'))
  })

  test('B09 B10 B14 after a restart a machine is refused until it enrols again, by a ticket that names it; its leases end', async () => {
    const { a } = world
    const other = await RawGuest.start({ manufacturer: world.manufacturer })
    try {
      const machine = await other.enrol(a.guest, (await a.owner.issueTicket('guest-4', 60)).ticket)
      await other.launch(launchOf(world.agreement))
      const before = await other.attest(a.guest, machine, world.agreement)
      await (await releaseRequest(a.guest, before, ['patients/key'])).send()
      const leases = async () => (await a.owner.listLeases()).leases.filter((l) => l.machine === machine)
      expect(await leases()).toHaveLength(1)

      await other.machine.reboot()
      await other.launch(launchOf(world.agreement))
      await expect(other.attest(a.guest, machine, world.agreement)).rejects.toThrow(refusal('appraisal.reset'))
      const { ticket: ofAnother } = await a.owner.issueTicket('guest', 60, world.machine)
      await expect(other.enrol(a.guest, ofAnother)).rejects.toThrow(refusal('enrolment.conflict'))

      const { ticket } = await a.owner.issueTicket('guest-4', 60, machine)
      expect(await other.enrol(a.guest, ticket)).toBe(machine)
      expect(await leases()).toEqual([])
      await expect((await releaseRequest(a.guest, before, ['patients/key'])).send()).rejects.toThrow(
        refusal('appraisal.reset'),
      )
      await expect(other.attest(a.guest, machine, world.agreement)).resolves.toHaveProperty('token')
      await expect(a.owner.issueTicket('guest-5', 60, 'tpm:nobody')).rejects.toThrow(refusal('enrolment.unknown'))
    } finally {
      await other.stop()
    }
  })

  test('G06 a retired machine attests no more, its leases end, and only a new ticket brings it back', async () => {
    const { a } = world
    const other = await RawGuest.start({ manufacturer: world.manufacturer })
    try {
      const enrol = async () => other.enrol(a.guest, (await a.owner.issueTicket('guest-6', 60)).ticket)
      const machine = await enrol()
      await other.launch(launchOf(world.agreement))
      const attested = await other.attest(a.guest, machine, world.agreement)
      await (await releaseRequest(a.guest, attested, ['patients/key'])).send()
      const { endedLeases } = await a.owner.retireMachine(machine)
      expect(endedLeases).toHaveLength(1)
      await expect(other.attest(a.guest, machine, world.agreement)).rejects.toThrow(refusal('evidence.unenrolled'))
      await expect((await releaseRequest(a.guest, attested, ['patients/key'])).send()).rejects.toThrow(
        refusal('evidence.unenrolled'),
      )
      await expect(a.owner.retireMachine(machine)).rejects.toThrow(refusal('enrolment.unknown'))
      const listed = (await a.owner.listMachines()).machines.find((m) => m.machine === machine)
      expect(listed?.ended).not.toBeNull()
      expect(await enrol()).toBe(machine)
      await expect(other.attest(a.guest, machine, world.agreement)).resolves.toHaveProperty('token')
    } finally {
      await other.stop()
    }
  })

  test('B04 a TPM of a manufacturer that is no anchor is refused', async () => {
    const other = await RawGuest.start()
    try {
      const { ticket } = await world.a.owner.issueTicket('guest-3', 60)
      await expect(other.enrol(world.a.guest, ticket)).rejects.toThrow(refusal('endorsement.untrusted'))
    } finally {
      await other.stop()
    }
  })
})

describe('who may call', () => {
  const filled = (route: { readonly path: string }) =>
    route.path
      .replace(':tenant', 'clinic-a')
      .replace(':path*', 'patients/key')
      .replace(':decision', 'd-1')
      .replace(':lease', 'l-1')
      .replace(':machine', 'tpm:nobody')

  test('B15 J06 no signed route answers without a signature, and none to a stranger’s', async () => {
    const stranger = PrincipalKey.generate()
    const connection = connect()
    for (const route of ROUTES.filter((r) => r.access.kind === 'signed')) {
      const body = route.request === null ? {} : { body: utf8('{}') }
      const bare = await connection.send({ method: route.method, path: filled(route), ...body })
      expect(bare.status, route.summary).toBe(401)
      const nonce = await world.a.guest.nonce('request', 'stranger-session-1')
      const signature = await stranger.signRequest(
        { method: route.method, path: filled(route), body: body.body ?? new Uint8Array(), brokerId: world.a.pin.id },
        nonce,
        'stranger-session-1',
      )
      const signed = await connection.send({
        method: route.method,
        path: filled(route),
        ...body,
        headers: { authorization: `Vouchsafe-Signature ${signature}` },
      })
      expect(signed.status, route.summary).toBe(401)
    }
    connection.close()
  })

  test('J06 KB-10 an auditor reads and changes nothing; an operator makes tickets and reads nothing', async () => {
    const auditor = PrincipalKey.generate()
    const operator = PrincipalKey.generate()
    await world.a.owner.addPrincipal({ role: 'auditor', id: 'auditor', key: auditor.key })
    await world.a.owner.addPrincipal({ role: 'operator', id: 'operator', key: operator.key })
    const as = (key: PrincipalKey) => new OwnerClient(world.a.pin, key, { timeoutMs: 10_000 })
    const auditing = as(auditor)
    const operating = as(operator)
    await expect(auditing.exportLedger()).resolves.toContain('entry')
    await expect(auditing.putResource('x/y', utf8('z'), 0)).rejects.toThrow(refusal('request.forbidden'))
    await expect(
      auditing.distrust(
        { id: 'r', subject: { kind: 'machine', machine: world.machine }, reason: 'x' },
        { dryRun: false },
      ),
    ).rejects.toThrow(refusal('request.forbidden'))
    await expect(operating.issueTicket('g', 60)).resolves.toHaveProperty('ticket')
    await expect(operating.exportLedger()).rejects.toThrow(refusal('request.forbidden'))
    await expect(operating.addPrincipal({ role: 'owner', id: 'clinic-a', key: operator.key })).rejects.toThrow(
      refusal('request.forbidden'),
    )
    auditing.close()
    operating.close()
  })

  test('G09 B’s owner is a stranger at A', async () => {
    const stranger = new OwnerClient(world.a.pin, world.b.key, { timeoutMs: 10_000 })
    await expect(stranger.listResources()).rejects.toThrow(refusal('request.signature'))
    stranger.close()
  })

  test('a signed call cannot be sent again, changed, or sent elsewhere', async () => {
    const session = 'session-of-owner-1'
    const nonce = await world.a.guest.nonce('request', session)
    const path = '/v1/tenants/clinic-a/tickets'
    const body = utf8(JSON.stringify({ name: 'g', lifetimeSeconds: 60 }))
    const signature = await world.a.key.signRequest(
      { method: 'POST', path, body, brokerId: world.a.pin.id },
      nonce,
      session,
    )
    const connection = connect()
    const send = (change: { readonly path?: string; readonly body?: Uint8Array }) =>
      connection.send({
        method: 'POST',
        path,
        body,
        headers: { authorization: `Vouchsafe-Signature ${signature}` },
        ...change,
      })
    const changed = await send({ body: utf8(JSON.stringify({ name: 'g', lifetimeSeconds: 604_800 })) })
    expect(changed.status).toBe(401)
    expect((await send({ path: '/v1/tenants/clinic-a/principals' })).status).toBe(401)
    expect((await send({})).status).toBe(200)
    const again = await send({})
    expect(again.status).toBeGreaterThanOrEqual(400)
    connection.close()
  })
})

describe('bad input', () => {
  test.each([
    ['J02 a body larger than the route’s', '/nonces', 'x'.repeat(100_000), 413, 'input.too-large'],
    ['a body that is no JSON', '/nonces', '{', 400, 'input.malformed'],
    [
      'E14 a member twice',
      '/nonces',
      '{"purpose":"attest","purpose":"attest","session":"0123456789abcdef"}',
      400,
      'input.malformed',
    ],
    [
      'J12 a member that is not known',
      '/nonces',
      '{"purpose":"attest","session":"0123456789abcdef","admin":true}',
      400,
      'input.unknown-member',
    ],
    [
      'a purpose that does not exist',
      '/nonces',
      '{"purpose":"all","session":"0123456789abcdef"}',
      400,
      'input.malformed',
    ],
  ])('refuses %s', async (_what, route, body, status, code) => {
    const connection = connect()
    const answer = await connection.send({ method: 'POST', path: `/v1/tenants/clinic-a${route}`, body: utf8(body) })
    expect(answer.status).toBe(status)
    expect(JSON.parse(fromUtf8(answer.body))).toMatchObject({ code, requestId: expect.stringMatching(/^r-/) })
    connection.close()
  })

  test('F11 paths that could be read in two ways lead nowhere', async () => {
    const connection = connect()
    for (const odd of [
      '/v1/tenants/clinic-a/resources/../tickets',
      '/v1/tenants/clinic-a//resources',
      '/v1/tenants/clinic-a/resources/a%2fb',
      '/v1/tenants/CLINIC-A',
      '/v1/tenants/clinic-a/',
      '/v1/tenants/clinic-c',
      '/',
    ]) {
      const answer = await connection.send({ method: 'GET', path: odd })
      expect([401, 404], odd).toContain(answer.status)
    }
    connection.close()
  })

  test('an unknown resource and somebody else’s look the same to a guest', async () => {
    await expect((await releaseRequest(world.a.guest, await attested(), ['nothing/here'])).send()).rejects.toThrow(
      refusal('policy.no-condition'),
    )
  })
})

describe('TLS', () => {
  test('G13 a client refuses a broker that is not the pinned one', async () => {
    const wrong = new GuestClient({ ...world.a.pin, identity: world.b.pin.identity }, { timeoutMs: 5_000 })
    await expect(wrong.tenant()).rejects.toThrow(refusal('peer.untrusted'))
    wrong.close()
  })

  /** Connects, asks one thing, and gives the session that the server offered and whether an earlier one was taken. */
  const visit = (options: tls.ConnectionOptions) =>
    new Promise<{ readonly session: Buffer | undefined; readonly reused: boolean }>((resolve, reject) => {
      let session: Buffer | undefined
      let reused = false
      const port = Number(new URL(world.a.broker.url).port)
      const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options }, () => {
        reused = socket.isSessionReused()
        socket.write('GET /v1/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
      })
      socket.on('session', (offered) => (session = offered))
      socket.on('data', () => {})
      socket.on('close', () => resolve({ session, reused }))
      socket.on('error', reject)
    })

  test('DEF-07 A14 no session is resumed, under its own server name or another', async () => {
    const { session } = await visit({ servername: 'clinic-a.example' })
    for (const servername of ['clinic-a.example', 'clinic-b.example']) {
      const again = await visit(session === undefined ? { servername } : { servername, session })
      expect(again.reused).toBe(false)
    }
  })

  test('A10 TLS below 1.3 is refused', async () => {
    await expect(visit({ maxVersion: 'TLSv1.2' })).rejects.toThrow()
  })
})

describe('consent', () => {
  test('G06 F15 CS-30 a withdrawal ends running leases at once and denies what comes after', async () => {
    const { a, agreement } = world
    const own = parseAgreement(utf8(JSON.stringify({ ...agreement.body, name: 'withdrawn-later' })), nodeCrypto)
    await a.owner.proposeAgreement(own.bytes)
    await world.b.owner.proposeAgreement(own.bytes)
    await world.approve(a, own)
    await world.approve(world.b, own)
    const other = await RawGuest.start({ manufacturer: world.manufacturer })
    try {
      const machine = await other.enrol(a.guest, (await a.owner.issueTicket('g', 60)).ticket)
      await other.launch(launchOf(own))
      const by = await other.attest(a.guest, machine, own)
      const { lease } = await (await releaseRequest(a.guest, by, ['patients/key'])).send()
      const statement: Statement = {
        says: 'withdraw',
        agreement: own.digest,
        owner: 'clinic-a',
        key: a.key.key,
        reason: 'changed our mind',
        issued: new Date().toISOString(),
      }
      const envelope = signStatement(statement, (bytes) => a.key.sign(bytes))
      await a.owner.bringStatement({ ...envelope, signatures: envelope.signatures.map((s) => ({ ...s })) })
      expect((await a.owner.listLeases()).leases.map((l) => l.id)).not.toContain(lease.id)
      await expect((await releaseRequest(a.guest, by, ['patients/key'])).send()).rejects.toThrow(
        refusal('agreement.withdrawn'),
      )
    } finally {
      await other.stop()
    }
  })
})

describe('at rest and in the log', () => {
  test('G11 G15 the secret stands nowhere in clear: not in the store, not in the log', async () => {
    await (await releaseRequest(world.a.guest, await attested(), ['patients/key'])).send()
    const canary = 'data key of clinic-a'
    for (const name of readdirSync(world.directory, { recursive: true, withFileTypes: true })) {
      if (name.isFile())
        expect(readFileSync(path.join(name.parentPath, name.name)).includes(canary), name.name).toBe(false)
    }
    expect(JSON.stringify(world.logged)).not.toContain(canary)
  })

  test('I08 a short secret cannot be guessed from the ledger, the log or the store’s files', async () => {
    const { a } = world
    const pin = String(randomInt(10_000)).padStart(4, '0')
    await a.owner.putResource('short/pin', utf8(pin), 0)
    const files = readdirSync(path.dirname(a.config), { recursive: true, withFileTypes: true }).filter((f) =>
      f.isFile(),
    )
    const stored = Buffer.concat(files.map((f) => readFileSync(path.join(f.parentPath, f.name))))
    const everything = [await a.owner.exportLedger(), JSON.stringify(world.logged), stored.toString('latin1')].join(
      '\n',
    )
    // the whole dictionary, as a guesser would: plain hashes, raw and in every spelling that the house uses
    const guesses = new Set<string>()
    const raw = new Set<number>()
    for (let guess = 0; guess < 10_000; guess++) {
      const hash = createHash('sha256').update(String(guess).padStart(4, '0')).digest()
      for (const spelling of ['hex', 'base64', 'base64url'] as const) guesses.add(hash.toString(spelling))
      raw.add(hash.readUIntBE(0, 6))
    }
    const words = everything.match(/[A-Za-z0-9+/_-]{43,}=?/g) ?? []
    expect(words.filter((word) => guesses.has(word))).toEqual([])
    for (let at = 0; at + 6 <= stored.length; at++)
      if (raw.has(stored.readUIntBE(at, 6))) throw new Error(`a hash of a guess lies at ${at} of the store's files`)
    expect(everything).toContain('short/pin')
  })

  test('E16 tokens and keys outlive a restart', async () => {
    const by = await attested()
    const { id, key, config } = world.a
    await stopClinic(world.a)
    const again = await startClinic(id, key, config, world.logged)
    Object.assign(world.a, again)
    const request = await releaseRequest(again.guest, by, ['patients/key'])
    await expect(request.send()).resolves.toHaveProperty('decision')
  })
})
