import { describe, expect, test } from 'vitest'
import { parseTpmPublic } from '../codec/public-area.ts'
import { TEMPLATES } from '../codec/templates.ts'
import { tpmRefuses, useTpm } from '../testing/tpm-fixture.ts'
import { HashAlgo } from './gen/tpm_pb.js'
import { openGotpmImport, sealForGotpmImport } from './import-blob.ts'
import { gotpmFormatOf, readGotpm, writeGotpm } from './messages.ts'
import { sealForGotpm, unsealFromGotpm } from './sealed-bytes.ts'

const get = useTpm()
const data = new TextEncoder().encode('secret')

describe('sealed bytes of go-tpm-tools', () => {
  test.each(['rsa', 'ecc'] as const)(
    'under the %s storage key are opened again, through both file formats',
    async (srk) => {
      for (const format of ['binarypb', 'textproto'] as const) {
        const file = writeGotpm('sealed-bytes', await sealForGotpm(get(), { data, srk }), format)
        expect(await unsealFromGotpm(get(), readGotpm('sealed-bytes', file, format))).toEqual(data)
      }
    },
  )

  test('are opened under the registers that they name, and no others', async () => {
    const pcrs = await get().pcrRead('sha256', [8, 13])
    const message = await sealForGotpm(get(), { data, pcrs })
    expect(message).toMatchObject({ pcrs: [8, 13], hash: HashAlgo.SHA256 })
    expect(await unsealFromGotpm(get(), message)).toEqual(data)
    await get().pcrEvent(13, data)
    await expect(unsealFromGotpm(get(), message)).rejects.toMatchObject(tpmRefuses('TPM_RC_POLICY_FAIL'))
    // a blob that says less than its policy does not open for that
    await expect(unsealFromGotpm(get(), { ...message, pcrs: [] })).rejects.toMatchObject({ code: 'tpm.response' })
  })

  test('with a password open with it, and only while the registers hold as well', async () => {
    const authValue = new TextEncoder().encode('correct horse')
    const message = await sealForGotpm(get(), { data, authValue, pcrs: await get().pcrRead('sha256', [14]) })
    expect(await unsealFromGotpm(get(), message, { authValue })).toEqual(data)
    await expect(unsealFromGotpm(get(), message)).rejects.toMatchObject(tpmRefuses('TPM_RC_POLICY_FAIL'))
    await expect(unsealFromGotpm(get(), message, { authValue: Uint8Array.of(1) })).rejects.toMatchObject(
      tpmRefuses('TPM_RC_AUTH_FAIL'),
    )
    await get().pcrEvent(14, data)
    await expect(unsealFromGotpm(get(), message, { authValue })).rejects.toMatchObject(tpmRefuses('TPM_RC_POLICY_FAIL'))
    const plain = await sealForGotpm(get(), { data, authValue })
    expect(await unsealFromGotpm(get(), plain, { authValue })).toEqual(data)
    await expect(unsealFromGotpm(get(), plain)).rejects.toMatchObject(tpmRefuses('TPM_RC_AUTH_FAIL'))
    await get().run('DictionaryAttackLockReset', { lockHandle: 'lockout' })
  })

  test('carry the state in which they were sealed, with the TPM as witness', async () => {
    const message = await sealForGotpm(get(), { data })
    const certify = await get().pcrRead('sha256', [0, 13])
    expect(await unsealFromGotpm(get(), message, { certify })).toEqual(data)
    const other = { bank: 'sha256', values: new Map([[0, new Uint8Array(32).fill(1)]]) } as const
    await expect(unsealFromGotpm(get(), message, { certify: other })).rejects.toMatchObject({
      code: 'evidence.mismatch',
    })
    const forgedPcrs = { ...message.certifiedPcrs?.pcrs, 0: new Uint8Array(32).fill(1) }
    const forged = { ...message, certifiedPcrs: { ...message.certifiedPcrs!, pcrs: forgedPcrs } }
    await expect(unsealFromGotpm(get(), forged, { certify: other })).rejects.toMatchObject({
      code: 'evidence.mismatch',
      message: expect.stringContaining('creation record'),
    })
    const ticket = message.ticket.with(-1, (message.ticket.at(-1) ?? 0) ^ 1)
    await expect(unsealFromGotpm(get(), { ...message, ticket }, { certify })).rejects.toMatchObject(
      tpmRefuses('TPM_RC_TICKET'),
    )
  })

  test('in a bank that is none are refused', async () => {
    const message = await sealForGotpm(get(), { data, pcrs: await get().pcrRead('sha256', [1]) })
    await expect(unsealFromGotpm(get(), { ...message, hash: HashAlgo.HASH_INVALID })).rejects.toMatchObject({
      code: 'input.malformed',
    })
    await expect(unsealFromGotpm(get(), { ...message, srk: 0 })).rejects.toMatchObject({ code: 'input.malformed' })
  })
})

describe('the format of a file', () => {
  test('is told by what it holds', async () => {
    const message = await sealForGotpm(get(), { data })
    for (const format of ['binarypb', 'textproto'] as const)
      expect(gotpmFormatOf(writeGotpm('sealed-bytes', message, format))).toBe(format)
    expect(gotpmFormatOf(Uint8Array.of(0xff, 0xfe, 0xfd))).toBe('binarypb')
  })
})

describe('import blobs of go-tpm-tools', () => {
  test.each(['ekRsa2048', 'ekEccP256'] as const)('for an %s are opened where that key is', async (template) => {
    await using endorsementKey = await get().createPrimary({ hierarchy: 'endorsement', template: TEMPLATES[template] })
    const pcrs = await get().pcrRead('sha256', [4])
    const message = sealForGotpmImport({ endorsementKey: endorsementKey.public, data, pcrs })
    const file = writeGotpm('import-blob', message, 'textproto')
    const read = readGotpm('import-blob', file, 'textproto')
    expect(await openGotpmImport(get(), read, { endorsementKey })).toEqual(data)
    await get().pcrEvent(4, data)
    await expect(openGotpmImport(get(), read, { endorsementKey })).rejects.toMatchObject(
      tpmRefuses('TPM_RC_POLICY_FAIL'),
    )
    const free = sealForGotpmImport({ endorsementKey: endorsementKey.public, data })
    expect(free.pcrs).toBeUndefined()
    expect(parseTpmPublic(free.publicArea).authPolicy).toHaveLength(0)
    expect(await openGotpmImport(get(), free, { endorsementKey })).toEqual(data)
  })
})
