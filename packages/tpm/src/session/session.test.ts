import { describe, expect, test } from 'vitest'
import { objectAttributes } from '../codec/public-area.ts'
import type { TpmPublic } from '../codec/public-area.ts'
import { sealedDataTemplate, TEMPLATES } from '../codec/templates.ts'
import { openTransport } from '../transport/open-transport.ts'
import type { Transport } from '../transport/transport.ts'
import { permanentEntity } from '../tpm/entity.ts'
import { Tpm } from '../tpm/tpm.ts'
import type { StartSessionOptions } from '../tpm/start-session.ts'
import { startSwtpm } from '../testing/swtpm.ts'
import { tpmRefuses, useTpm } from '../testing/tpm-fixture.ts'

const text = (value: string) => new TextEncoder().encode(value)
const get = useTpm()
const password = text('password')
const secret = text('the sealed secret')

/** A storage key and a sealed object with a password. */
async function sealedObject(tpm: Tpm) {
  const srk = await tpm.createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256, authValue: text('srk') })
  const template = sealedDataTemplate({ attributes: ['fixedTPM', 'fixedParent', 'userWithAuth', 'noDA'] })
  const made = await tpm.create({ parent: srk, template, authValue: password, data: secret })
  const load = (authValue: Uint8Array) => tpm.load({ parent: srk, ...made, authValue })
  return { srk, load, object: await load(password) }
}

describe('HMAC sessions', () => {
  test.each<[string, (srk: Awaited<ReturnType<typeof sealedObject>>) => Partial<StartSessionOptions>]>([
    ['neither salted nor bound', () => ({})],
    ['salted to a storage key', ({ srk }) => ({ salt: srk })],
    ['bound to the object itself', ({ object }) => ({ bind: object })],
    ['bound to another entity', ({ srk }) => ({ bind: srk })],
    ['salted and bound', ({ srk, object }) => ({ salt: srk, bind: object })],
    ['of SHA-384', ({ srk }) => ({ salt: srk, hash: 'sha384' })],
    [
      'of SHA-512 with AES-256',
      ({ srk }) => ({ salt: srk, hash: 'sha512', symmetric: { algorithm: 'aes', keyBits: 256, mode: 'cfb' } }),
    ],
    ['that obfuscate by XOR', ({ srk }) => ({ salt: srk, symmetric: { algorithm: 'xor', hash: 'sha256' } })],
  ])('%s authorize, encrypt both ways, and roll their nonces', async (_what, optionsFor) => {
    const tpm = get()
    const context = await sealedObject(tpm)
    const { srk, object } = context
    const session = await tpm.startSession({ type: 'hmac', ...optionsFor(context) })
    for (let round = 0; round < 3; round++) {
      const itemHandle = { session, encryptResponse: round !== 1 }
      const { outData } = await tpm.run('Unseal', { itemHandle: object }, { auth: { itemHandle } })
      expect(outData).toEqual(secret)
      const { outPrivate } = await tpm.run(
        'Create',
        {
          parentHandle: srk,
          inSensitive: { userAuth: new Uint8Array(), data: text(`round ${round}`) },
          inPublic: sealedDataTemplate({ attributes: ['fixedTPM', 'fixedParent', 'userWithAuth'] }),
          outsideInfo: new Uint8Array(),
          creationPCR: [],
        },
        { auth: { parentHandle: { session, encryptCommand: true, encryptResponse: true } } },
      )
      expect(outPrivate.length).toBeGreaterThan(50)
    }
    await tpm.endSession(session)
    await expect(tpm.run('Unseal', { itemHandle: object }, { auth: { itemHandle: session } })).rejects.toMatchObject({
      code: 'input.malformed',
    })
    await Promise.all([srk.flush(), object.flush()])
  })

  test('a wrong password is refused, with the place of its session', async () => {
    const tpm = get()
    const { srk, load, object } = await sealedObject(tpm)
    await using wrong = await load(text('wrong'))
    const session = await tpm.startSession({ type: 'hmac', salt: srk })
    const unseal = tpm.run('Unseal', { itemHandle: wrong }, { auth: { itemHandle: session } })
    await expect(unseal).rejects.toMatchObject(tpmRefuses('TPM_RC_BAD_AUTH', { kind: 'session', number: 1 }))
    // a refusal does not spend the session
    const { outData } = await tpm.run(
      'Unseal',
      { itemHandle: object },
      { auth: { itemHandle: { session, last: true } } },
    )
    expect(outData).toEqual(secret)
    expect(session.isEnded).toBe(true)
    await Promise.all([srk.flush(), object.flush()])
  })

  test('one session authorizes, another decrypts, a third encrypts', async () => {
    const tpm = get()
    const { srk, object } = await sealedObject(tpm)
    const [authorize, command, response] = await Promise.all(
      [1, 2, 3].map(() => tpm.startSession({ type: 'hmac', salt: srk })),
    )
    if (authorize === undefined || command === undefined || response === undefined) throw new Error('three sessions')
    const made = await tpm.run(
      'Create',
      {
        parentHandle: srk,
        inSensitive: { userAuth: new Uint8Array(), data: secret },
        inPublic: sealedDataTemplate({ attributes: ['fixedTPM', 'fixedParent', 'userWithAuth'] }),
        outsideInfo: new Uint8Array(),
        creationPCR: [],
      },
      {
        auth: { parentHandle: authorize },
        sessions: [
          { session: command, encryptCommand: true },
          { session: response, encryptResponse: true },
        ],
      },
    )
    await using loaded = await tpm.load({ parent: srk, private: made.outPrivate, public: made.outPublic })
    expect((await tpm.run('Unseal', { itemHandle: loaded })).outData).toEqual(secret)
    for (const session of [authorize, command, response]) await tpm.endSession(session)
    await Promise.all([srk.flush(), object.flush()])
  })

  test('a password may authorize while a session encrypts', async () => {
    const tpm = get()
    const { srk, object } = await sealedObject(tpm)
    const session = await tpm.startSession({ type: 'hmac', salt: srk })
    const { outData } = await tpm.run(
      'Unseal',
      { itemHandle: object },
      { sessions: [{ session, encryptResponse: true }] },
    )
    expect(outData).toEqual(secret)
    await tpm.endSession(session)
    await Promise.all([srk.flush(), object.flush()])
  })

  test('more are held than the TPM has slots', async () => {
    const tpm = get()
    const { srk, object } = await sealedObject(tpm)
    const sessions = []
    for (let count = 0; count < 8; count++) sessions.push(await tpm.startSession({ type: 'hmac', salt: srk }))
    for (const session of [...sessions, ...sessions.toReversed()])
      expect((await tpm.run('Unseal', { itemHandle: object }, { auth: { itemHandle: session } })).outData).toEqual(
        secret,
      )
    for (const session of sessions) await tpm.endSession(session)
    expect(await tpm.getCapability('handles', 0x02000000)).toEqual([])
    expect(await tpm.getCapability('handles', 0x03000000)).toEqual([])
    await Promise.all([srk.flush(), object.flush()])
  })

  test.each([
    ['bound to the hierarchy', true],
    ['not bound', false],
  ])('the answer to a change of password is under the new one: %s', async (_what, bound) => {
    const tpm = get()
    const newAuth = text('new password')
    const session = await tpm.startSession({ type: 'hmac', ...(bound ? { bind: 'endorsement' } : {}) })
    const change = (authHandle: Parameters<typeof permanentEntity>, value: Uint8Array) =>
      tpm.run(
        'HierarchyChangeAuth',
        { authHandle: permanentEntity(...authHandle), newAuth: value },
        { auth: { authHandle: { session, encryptCommand: true } } },
      )
    await change(['endorsement'], newAuth)
    await change(['endorsement', newAuth], new Uint8Array())
    await tpm.endSession(session)
  })

  test('a session that could do nothing for a command is refused, and nothing is sent', async () => {
    const tpm = get()
    const session = await tpm.startSession({ type: 'hmac' })
    const run = tpm.run('GetRandom', { bytesRequested: 8 }, { sessions: [{ session, encryptCommand: true }] })
    await expect(run).rejects.toMatchObject({ code: 'input.malformed' })
    const idle = tpm.run('GetRandom', { bytesRequested: 8 }, { sessions: [{ session }] })
    await expect(idle).rejects.toMatchObject({ code: 'input.malformed' })
    const clock = tpm.run('ReadClock', {}, { sessions: [{ session, encryptResponse: true }] })
    await expect(clock).rejects.toMatchObject({ code: 'input.malformed' })
    await tpm.endSession(session)
  })

  test('a command takes three sessions, not four', async () => {
    const tpm = get()
    const sessions = await Promise.all([1, 2, 3, 4].map(() => tpm.startSession({ type: 'hmac' })))
    const run = tpm.run(
      'GetRandom',
      { bytesRequested: 8 },
      { sessions: sessions.map((session) => ({ session, audit: true })) },
    )
    await expect(run).rejects.toMatchObject({ code: 'input.malformed' })
    for (const session of sessions) await tpm.endSession(session)
  })

  test('an audit session counts what it accompanied, and the TPM signs the digest', async () => {
    const tpm = get()
    await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
    const session = await tpm.startSession({ type: 'hmac' })
    await tpm.run(
      'PCR_Read',
      { pcrSelectionIn: [{ hash: 'sha256', pcrs: [0] }] },
      { sessions: [{ session, audit: true }] },
    )
    const { auditInfo } = await tpm.run('GetSessionAuditDigest', {
      privacyAdminHandle: 'endorsement',
      signHandle: ak,
      sessionHandle: session,
      qualifyingData: text('nonce'),
      inScheme: { scheme: 'null' },
    })
    const { parseTpmAttest } = await import('../codec/attest.ts')
    const attest = parseTpmAttest(auditInfo)
    expect(attest).toMatchObject({ kind: 'session-audit', extraData: text('nonce') })
    expect(attest.kind === 'session-audit' && attest.sessionDigest.some((octet) => octet !== 0)).toBe(true)
    await tpm.endSession(session)
  })
})

describe('somebody on the bus', () => {
  /** Passes commands on, and lets a test look at or change what passes. */
  async function withInterposer(
    test: (
      tpm: Tpm,
      wire: { commands: Uint8Array[]; responses: Uint8Array[]; change: (r: Uint8Array) => Uint8Array },
    ) => Promise<void>,
  ) {
    const swtpm = await startSwtpm()
    const inner = await openTransport(swtpm.address)
    const wire = {
      commands: [] as Uint8Array[],
      responses: [] as Uint8Array[],
      change: (response: Uint8Array) => response,
    }
    const outer: Transport = {
      address: inner.address,
      isManaged: false,
      async transact(command, timeoutMs) {
        wire.commands.push(command)
        const response = await inner.transact(command, timeoutMs)
        wire.responses.push(response)
        return wire.change(response)
      },
      close: () => inner.close(),
    }
    const tpm = new Tpm(outer)
    try {
      await test(tpm, wire)
    } finally {
      await tpm.close()
      await swtpm.stop()
    }
  }
  const contains = (messages: readonly Uint8Array[], wanted: Uint8Array) =>
    messages.some((message) => Buffer.from(message).includes(Buffer.from(wanted)))

  test('never sees a secret that is sealed or unsealed in a salted session', async () => {
    await withInterposer(async (tpm, wire) => {
      await using srk = await tpm.createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256 })
      const session = await tpm.startSession({ type: 'hmac', salt: srk })
      const sealed = await tpm.seal({
        parent: srk,
        data: secret,
        parentAuth: { session, encryptCommand: true },
      })
      await tpm.endSession(session)
      expect(await tpm.unseal({ parent: srk, sealed })).toEqual(secret)
      expect(contains(wire.commands, secret)).toBe(false)
      expect(contains(wire.responses, secret)).toBe(false)
      // and this test would see it, if it were there
      expect(await tpm.unseal({ parent: srk, sealed, encrypt: false })).toEqual(secret)
      expect(contains(wire.responses, secret)).toBe(true)
    })
  })

  test('is noticed when it changes any byte of an answer under a session', async () => {
    await withInterposer(async (tpm, wire) => {
      await using srk = await tpm.createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256 })
      const session = await tpm.startSession({ type: 'hmac', salt: srk })
      const ask = () => tpm.run('GetRandom', { bytesRequested: 16 }, { sessions: [{ session, encryptResponse: true }] })
      await ask()
      const length = wire.responses.at(-1)?.length ?? 0
      expect(length).toBeGreaterThan(60)
      for (let at = 10; at < length; at++) {
        const fresh = await tpm.startSession({ type: 'hmac', salt: srk })
        wire.change = (response) => response.with(at, (response[at] ?? 0) ^ 1)
        const answer = tpm.run(
          'GetRandom',
          { bytesRequested: 16 },
          { sessions: [{ session: fresh, encryptResponse: true }] },
        )
        await expect(answer, `byte ${at}`).rejects.toMatchObject({ code: 'tpm.integrity' })
        wire.change = (response) => response
        await tpm.endSession(fresh)
      }
      await tpm.endSession(session)
    })
  })

  test('cannot put another key in the place of the one that was made', async () => {
    await withInterposer(async (tpm, wire) => {
      wire.change = (response) => {
        const at = Buffer.from(response).indexOf(Buffer.from('00030010', 'hex')) + 6
        return response.with(at, (response[at] ?? 0) ^ 1) // a byte of the public point, without the name that belongs to it
      }
      const made = tpm.createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256 })
      await expect(made).rejects.toMatchObject({ code: 'tpm.integrity' })
    })
  })
})

describe('policy sessions', () => {
  const signing: TpmPublic = {
    ...TEMPLATES.akEccP256,
    attributes: objectAttributes('fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth', 'sign'),
  }

  test('a session that has ended is refused here', async () => {
    const tpm = get()
    const session = await tpm.startSession({ type: 'policy' })
    await tpm.endSession(session)
    await tpm.endSession(session)
    await using key = await tpm.createPrimary({ hierarchy: 'owner', template: signing })
    const run = tpm.run('Unseal', { itemHandle: key }, { auth: { itemHandle: session } })
    await expect(run).rejects.toMatchObject({ code: 'input.malformed' })
  })
})
