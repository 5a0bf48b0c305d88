import { describe, expect, test } from 'vitest'
import { parseTpmAttest, parseTpmCertify, parseTpmCreation, parseTpmQuote } from '../codec/attest.ts'
import { handleName, tpmQualifiedName } from '../codec/name.ts'
import { nvAttributes } from '../codec/nv-public.ts'
import { objectAttributes, parseTpmPublic } from '../codec/public-area.ts'
import { TPM_RH } from '../codec/handles.ts'
import { sealedDataTemplate, TEMPLATES } from '../codec/templates.ts'
import { digest } from '../crypto/digest.ts'
import { nodeVerifyCrypto } from '../crypto/verify-crypto.ts'
import { tpmRefuses, useTpm } from '../testing/tpm-fixture.ts'
import { ALL_PCRS, verifyTpmQuote } from '../verify/verify-tpm-quote.ts'
import { verifyTpmCertify } from '../verify/verify-tpm-certify.ts'

const text = (value: string) => new TextEncoder().encode(value)
const get = useTpm()
const extraData = digest('sha256', text('nonce'))
const expected = { expectedExtraData: extraData }

describe('a quote', () => {
  test.each([
    ['akEccP256', 'sha256'],
    ['akEccP256', 'sha384'],
    ['akEccP384', 'sha256'],
    ['akEccP384', 'sha512'],
    ['akRsa2048', 'sha256'],
  ] as const)('by an %s over bank %s verifies', async (template, bank) => {
    await using key = await get().createPrimary({ hierarchy: 'endorsement', template: TEMPLATES[template] })
    const quote = await get().quote({ key, bank, extraData })
    const accepted = { allowedBanks: [bank], requiredPcrs: ALL_PCRS }
    const verified = await verifyTpmQuote({ ...quote, ...expected, ...accepted }, nodeVerifyCrypto)
    expect(verified.registers.values.size).toBe(24)
    expect(verified.akName).toEqual(key.name)
  })

  test('by a key with RSAPSS verifies', async () => {
    const template = { ...TEMPLATES.akRsa2048, scheme: { scheme: 'rsapss', hash: 'sha256' } } as const
    await using key = await get().createPrimary({ hierarchy: 'endorsement', template })
    const quote = await get().quote({ key, bank: 'sha256', extraData })
    const accepted = { allowedBanks: ['sha256'], requiredPcrs: ALL_PCRS } as const
    await expect(verifyTpmQuote({ ...quote, ...expected, ...accepted }, nodeVerifyCrypto)).resolves.toBeDefined()
  })

  test('B02 by a key that would sign anything does not verify', async () => {
    const attributes = objectAttributes('fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth', 'sign')
    const template = { ...TEMPLATES.akEccP256, attributes }
    await using key = await get().createPrimary({ hierarchy: 'endorsement', template })
    const quote = await get().quote({ key, bank: 'sha256', extraData })
    const accepted = { allowedBanks: ['sha256'], requiredPcrs: ALL_PCRS } as const
    await expect(verifyTpmQuote({ ...quote, ...expected, ...accepted }, nodeVerifyCrypto)).rejects.toMatchObject({
      code: 'evidence.key',
    })
  })

  test('is over the registers asked for, and reads them', async () => {
    await using key = await get().createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
    await get().pcrEvent(13, text('launch'))
    const quote = await get().quote({ key, bank: 'sha256', pcrs: [13, 0, 7], extraData })
    expect([...quote.pcrs.values.keys()]).toEqual([0, 7, 13])
    expect(parseTpmQuote(quote.attest).selections).toEqual([{ hash: 'sha256', pcrs: [0, 7, 13] }])
    expect(parseTpmPublic(quote.akPublic)).toEqual(key.public)
  })

  test('and its values agree even while registers change', async () => {
    await using key = await get().createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
    const quoting = get().quote({ key, bank: 'sha256', pcrs: [14], extraData })
    const changing = get().pcrEvent(14, text('meanwhile'))
    const [quote] = await Promise.all([quoting, changing])
    const { pcrDigest } = parseTpmQuote(quote.attest)
    expect(digest('sha256', quote.pcrs.values.get(14) ?? new Uint8Array())).toEqual(pcrDigest)
  })

  test('over several banks at once carries both selections', async () => {
    await using key = await get().createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
    const selections = [
      { hash: 'sha256', pcrs: [0] },
      { hash: 'sha384', pcrs: [1, 2] },
    ] as const
    const { attest } = await get().quoteSelections({ key, extraData, selections })
    expect(parseTpmQuote(attest).selections).toEqual(selections)
  })

  test('B10 in the endorsement hierarchy shows the plain reset count', async () => {
    await using key = await get().createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
    const { attest } = await get().quote({ key, bank: 'sha256', extraData })
    expect(parseTpmQuote(attest).resetCount).toBe((await get().readClock()).clockInfo.resetCount)
  })

  test('by a key that only a policy opens is given that policy', async () => {
    const policy = [{ kind: 'auth-value' }] as const
    const authPolicy = new Uint8Array(
      Buffer.from('8fcd2169ab92694e0c633f1ab772842b8241bbc20288981fc7ac1eddc1fddb0e', 'hex'),
    )
    const attributes = objectAttributes('fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'restricted', 'sign')
    const template = { ...TEMPLATES.akEccP256, attributes, authPolicy }
    const authValue = text('password')
    await using key = await get().createPrimary({ hierarchy: 'endorsement', template, authValue })
    const options = { key, bank: 'sha256', pcrs: [0], extraData } as const
    await expect(get().quote(options)).rejects.toMatchObject(tpmRefuses('TPM_RC_AUTH_UNAVAILABLE'))
    await expect(get().quote({ ...options, auth: { policy } })).resolves.toBeDefined()
  })
})

describe('other statements', () => {
  test('a certified key has the names computed here, and verifies', async () => {
    await using ak = await get().createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
    await using srk = await get().createPrimary({ hierarchy: 'owner', template: TEMPLATES.srkEccP256 })
    const attributes = objectAttributes('fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth', 'sign')
    const made = await get().create({ parent: srk, template: { ...TEMPLATES.akEccP256, attributes } })
    await using key = await get().load({ parent: srk, ...made })
    const signed = await get().certify({ key: ak, object: key, extraData })
    const { name, qualifiedName } = parseTpmCertify(signed.attest)
    expect(name).toEqual(key.name)
    expect(qualifiedName).toEqual(key.qualifiedName)
    expect(srk.qualifiedName).toEqual(tpmQualifiedName(handleName(TPM_RH.owner), srk.public, digest))
    expect(typeof verifyTpmCertify).toBe('function')
  })

  test('a certified creation proves the registers of that time', async () => {
    await using ak = await get().createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
    const creationPcrs = [{ hash: 'sha256', pcrs: [0, 13] }] as const
    await using object = await get().createPrimary({
      hierarchy: 'owner',
      template: TEMPLATES.srkEccP256,
      creationPcrs,
      outsideInfo: text('mine'),
    })
    const { creation } = object
    if (creation === undefined) throw new Error('a primary key has a creation record')
    expect(creation.data).toMatchObject({ pcrSelect: creationPcrs, outsideInfo: text('mine') })
    const signed = await get().certifyCreation({ key: ak, object, creation, extraData })
    expect(parseTpmCreation(signed.attest)).toMatchObject({ objectName: object.name, creationHash: creation.hash })
    const forged = { ...creation, hash: creation.hash.with(0, (creation.hash[0] ?? 0) ^ 1) }
    await expect(get().certifyCreation({ key: ak, object, creation: forged, extraData })).rejects.toMatchObject(
      tpmRefuses('TPM_RC_TICKET'),
    )
  })

  test('time and counts are attested as read', async () => {
    await using key = await get().createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
    const attest = parseTpmAttest((await get().attestTime({ key, extraData })).attest)
    const { clockInfo } = await get().readClock()
    expect(attest).toMatchObject({ kind: 'time', timeInfo: { clockInfo: { resetCount: clockInfo.resetCount } } })
  })

  test('NV contents are attested with the name of their index', async () => {
    await using key = await get().createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
    const attributes = nvAttributes(['authRead', 'authWrite', 'ownerRead', 'ownerWrite'])
    const area = {
      nvIndex: 0x01800200,
      nameAlg: 'sha256',
      attributes,
      authPolicy: new Uint8Array(),
      dataSize: 8,
    } as const
    await get().nvDefine({ public: area })
    await get().nvWrite(area.nvIndex, text('contents'))
    const index = await get().openNv(area.nvIndex)
    const { attest } = await get().certifyNv({ key, index, size: 4, offset: 2, extraData })
    expect(parseTpmAttest(attest)).toMatchObject({
      kind: 'nv',
      indexName: index.name,
      offset: 2,
      contents: text('nten'),
    })
  })

  test('an attestation key is no storage key', async () => {
    await using parent = await get().createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
    const template = sealedDataTemplate({ attributes: ['fixedTPM', 'fixedParent', 'userWithAuth'] })
    await expect(get().create({ parent, template, data: text('x') })).rejects.toMatchObject(
      tpmRefuses('TPM_RC_TYPE', { kind: 'handle', number: 1 }),
    )
  })
})
