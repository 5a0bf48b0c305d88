import { describe, expect, test } from 'vitest'
import { TPM_PT } from '../codec/capability.ts'
import { WELL_KNOWN_HANDLES, TEMPLATES } from '../codec/templates.ts'
import { digest } from '../crypto/digest.ts'
import { startSwtpm } from '../testing/swtpm.ts'
import { tpmRefuses, useTpm } from '../testing/tpm-fixture.ts'
import { permanentEntity, TpmObject } from './entity.ts'
import { Tpm } from './tpm.ts'

const text = (value: string) => new TextEncoder().encode(value)
const get = useTpm()

describe('registers', () => {
  test('all 24 of every bank are read, though a TPM gives eight at once', async () => {
    const banks = await get().pcrReadAll()
    expect(banks.map(({ bank }) => bank)).toEqual(['sha1', 'sha256', 'sha384', 'sha512'])
    for (const { values } of banks) expect([...values.keys()]).toEqual(Array.from({ length: 24 }, (_, pcr) => pcr))
  })

  test('are read in ascending order however they are asked for', async () => {
    expect([...(await get().pcrRead('sha256', [23, 3, 3, 0])).values.keys()]).toEqual([0, 3, 23])
  })

  test('are extended bank by bank, as computed here', async () => {
    const tpm = get()
    const before = (await tpm.pcrRead('sha384', [9])).values.get(9) ?? new Uint8Array()
    const measured = digest('sha384', text('event'))
    await tpm.pcrExtend(9, [{ hash: 'sha384', digest: measured }])
    expect((await tpm.pcrRead('sha384', [9])).values.get(9)).toEqual(digest('sha384', before, measured))
    expect((await tpm.pcrRead('sha256', [9])).values.get(9)).toEqual(new Uint8Array(32))
  })

  test('an event is hashed by the TPM for every bank', async () => {
    const digests = await get().pcrEvent(10, text('event'))
    expect(digests).toContainEqual({ hash: 'sha512', digest: digest('sha512', text('event')) })
    expect(digests).toHaveLength(4)
  })

  test('only a resettable register can be reset', async () => {
    await get().pcrEvent(16, text('event'))
    await get().pcrReset(16)
    expect((await get().pcrRead('sha256', [16])).values.get(16)).toEqual(new Uint8Array(32))
    await expect(get().pcrReset(0)).rejects.toMatchObject(tpmRefuses('TPM_RC_LOCALITY'))
  })

  test('a bank that the TPM does not have is not read as nothing', async () => {
    await expect(get().pcrRead('sha3_256', [0])).rejects.toMatchObject({ code: 'tpm.response' })
  })

  test.each([24, -1, 0.5])('there is no PCR %d', async (pcr) => {
    await expect(get().pcrExtend(pcr, [])).rejects.toMatchObject({ code: 'input.malformed' })
    await expect(get().pcrRead('sha256', [pcr])).rejects.toMatchObject({ code: 'input.malformed' })
  })
})

describe('capabilities', () => {
  test('come page after page, fixed and variable properties alike', async () => {
    const known = await get().properties()
    expect(known.get(TPM_PT.pcrCount)).toBe(24)
    expect(known.get(TPM_PT.maxAuthFail)).toBe(3)
    expect(known.size).toBeGreaterThan(60)
  })

  test.each([
    ['algorithms', 0],
    ['pp-commands', 0],
    ['audit-commands', 0],
    ['pcr-properties', 0],
    ['ecc-curves', 0],
    ['auth-policies', 0x40000001],
  ] as const)('of kind %s are understood', async (kind, first) => {
    expect(Array.isArray(await get().getCapability(kind, first))).toBe(true)
  })

  test('stop at the count that was asked for', async () => {
    expect(await get().getCapability('algorithms', 0, 3)).toHaveLength(3)
  })
})

describe('objects', () => {
  test('more are held than the TPM has slots, and each goes on working', async () => {
    const tpm = get()
    const templates = [TEMPLATES.ekEccP256, TEMPLATES.akEccP256, TEMPLATES.srkEccP256, TEMPLATES.ekEccP256H]
    const keys: TpmObject[] = []
    for (const template of [...templates, ...templates])
      keys.push(await tpm.createPrimary({ hierarchy: 'endorsement', template }))
    for (const key of [...keys, ...keys.toReversed()]) {
      const { name } = await tpm.run('ReadPublic', { objectHandle: key })
      expect(name).toEqual(key.name)
    }
    await Promise.all(keys.map((key) => key.flush()))
    expect(await tpm.getCapability('handles', 0x80000000)).toEqual([])
  })

  test('called for all at once, they take turns', async () => {
    const tpm = get()
    const keys = await Promise.all(
      Array.from({ length: 5 }, () => tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })),
    )
    const quotes = await Promise.all(keys.map((key) => tpm.quote({ key, bank: 'sha256', extraData: text('n') })))
    expect(quotes).toHaveLength(5)
    await Promise.all(keys.map((key) => key.flush()))
  })

  test('that were flushed are refused here, before the TPM is asked', async () => {
    const tpm = get()
    const key = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
    await key.flush()
    await key.flush()
    await expect(tpm.quote({ key, bank: 'sha256', extraData: text('n') })).rejects.toMatchObject({
      code: 'input.malformed',
    })
  })

  test('the same template gives the same key', async () => {
    const tpm = get()
    await using a = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ekRsa2048 })
    await using b = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ekRsa2048 })
    expect(a.name).toEqual(b.name)
  })

  test.each(Object.keys(TEMPLATES) as (keyof typeof TEMPLATES)[])(
    'the template %s makes a key with exactly that public area',
    async (name) => {
      const template = TEMPLATES[name]
      await using key = await get().createPrimary({ hierarchy: 'endorsement', template })
      const unique =
        template.type === 'rsa'
          ? { modulus: expect.any(Uint8Array) }
          : { x: expect.any(Uint8Array), y: expect.any(Uint8Array) }
      expect(key.public).toEqual({ ...template, ...unique })
    },
  )

  test('are kept, opened and removed under a persistent handle', async () => {
    const tpm = get()
    const handle = WELL_KNOWN_HANDLES.srkEccP256
    await using key = await tpm.createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256 })
    const kept = await tpm.persist({ object: key, handle })
    expect(kept.name).toEqual(key.name)
    expect(await tpm.getCapability('handles', 0x81000000)).toEqual([handle])
    await key.flush()
    const opened = await tpm.openKey(handle)
    const sealed = await tpm.seal({ parent: opened, data: text('secret') })
    expect(await tpm.unseal({ parent: opened, sealed })).toEqual(text('secret'))
    await tpm.evict({ handle })
    expect(await tpm.getCapability('handles', 0x81000000)).toEqual([])
  })

  test('do not show their password', async () => {
    const authValue = text('correct horse')
    await using key = await get().createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256, authValue })
    const { inspect } = await import('node:util')
    expect(inspect(key, { depth: 9, showHidden: true })).not.toMatch(/99, 111, 114/)
    const json = JSON.stringify(key, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
    expect(json).not.toContain('"0":99,"1":111,"2":114')
  })
})

describe('passwords', () => {
  test('of a hierarchy are given with it', async () => {
    const tpm = get()
    const newAuth = text('owner')
    await tpm.run('HierarchyChangeAuth', { authHandle: 'owner', newAuth })
    await expect(tpm.createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256 })).rejects.toMatchObject(
      tpmRefuses('TPM_RC_BAD_AUTH', { kind: 'session', number: 1 }),
    )
    const owner = permanentEntity('owner', newAuth)
    await using key = await tpm.createPrimary({ hierarchy: owner, template: TEMPLATES.srkEccP256 })
    expect(key).toBeInstanceOf(TpmObject)
    await tpm.run('HierarchyChangeAuth', { authHandle: owner, newAuth: new Uint8Array() })
  })
})

test('random bytes come in as many commands as it takes', async () => {
  const random = await get().getRandom(100)
  expect(random).toHaveLength(100)
  expect(new Set(random).size).toBeGreaterThan(30)
})

test('a refused command names itself, the code, the place and a way out', async () => {
  const refused = get().run('ReadPublic', { objectHandle: 0x81000009 })
  await expect(refused).rejects.toThrow(/^ReadPublic: TPM_RC_HANDLE \(0x18b\) at handle 1: .+/)
})

test('a missing handle is refused before anything is sent', async () => {
  await expect(get().run('ReadPublic', {} as never)).rejects.toMatchObject({ code: 'input.malformed' })
})

describe('slots that somebody else has left full', () => {
  test('are freed: objects and sessions of a process that ended without flushing', async () => {
    const swtpm = await startSwtpm()
    const before = await Tpm.open(swtpm.address)
    for (let count = 0; count < 3; count++) {
      await before.createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256 })
      await before.startSession({ type: 'hmac' })
    }
    await before.close()
    const tpm = await Tpm.open(swtpm.address)
    const key = await tpm.createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256 })
    const session = await tpm.startSession({ type: 'hmac', salt: key })
    expect(await tpm.getCapability('handles', 0x80000000)).toHaveLength(1)
    expect(await tpm.getCapability('handles', 0x02000000)).toEqual([session.handle])
    await tpm.close()
    await swtpm.stop()
  })

  test('are freed: all 64 session handles', async () => {
    const swtpm = await startSwtpm()
    const before = await Tpm.open(swtpm.address)
    for (let count = 0; count < 64; count++) await before.startSession({ type: 'hmac' })
    await before.close()
    const tpm = await Tpm.open(swtpm.address)
    const sessions = []
    for (let count = 0; count < 5; count++) sessions.push(await tpm.startSession({ type: 'hmac' }))
    for (const session of sessions) await tpm.endSession(session)
    await tpm.close()
    await swtpm.stop()
  })

  test('are not taken from callers of raw commands: those keep what they made', async () => {
    const tpm = get()
    const none = new Uint8Array()
    const raw = {
      primaryHandle: 'owner',
      inSensitive: { userAuth: none, data: none },
      inPublic: TEMPLATES.srkEccP256,
      outsideInfo: none,
      creationPCR: [],
    } as const
    const { objectHandle } = await tpm.run('CreatePrimary', raw)
    const keys = []
    for (let count = 0; count < 4; count++)
      keys.push(await tpm.createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256 }))
    await expect(tpm.run('ReadPublic', { objectHandle })).resolves.toBeDefined()
    await tpm.run('FlushContext', { flushHandle: objectHandle })
    for (const key of keys) await key.flush()
  })
})
