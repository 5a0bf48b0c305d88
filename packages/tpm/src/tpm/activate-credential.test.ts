import { describe, expect, test } from 'vitest'
import { TEMPLATES } from '../codec/templates.ts'
import { makeCredential } from '../software/make-credential.ts'
import { startSwtpm } from '../testing/swtpm.ts'
import { tpmRefuses, useTpm } from '../testing/tpm-fixture.ts'
import { Tpm } from './tpm.ts'

const text = (value: string) => new TextEncoder().encode(value)
const get = useTpm()
const credential = text('credential')

describe('a credential challenge is answered', () => {
  test.each([
    ['ekRsa2048', 'akEccP256'],
    ['ekEccP256', 'akRsa2048'],
    ['ekRsa2048H', 'akEccP256'],
    ['ekEccP256H', 'akEccP256'],
    ['ekEccP384H', 'akEccP256'],
    ['ekEccP384H', 'akEccP384'],
    ['ekEccP521H', 'akEccP256'],
    ['ekRsa3072H', 'akEccP256'],
  ] as const)('with an %s for an %s', async (ekTemplate, akTemplate) => {
    const tpm = get()
    await using ek = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES[ekTemplate] })
    await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES[akTemplate] })
    const challenge = makeCredential({ endorsementKey: ek.public, objectName: ak.name, credential })
    expect(await tpm.activateCredential({ endorsementKey: ek, object: ak, challenge })).toEqual(credential)
    const plain = { endorsementKey: ek, object: ak, challenge, encrypt: false }
    expect(await tpm.activateCredential(plain)).toEqual(credential)
  })

  test('by the TPM’s own TPM2_MakeCredential too', async () => {
    const tpm = get()
    await using ek = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ekEccP256 })
    await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
    const made = await tpm.run('MakeCredential', { handle: ek, credential, objectName: ak.name })
    const challenge = { credentialBlob: made.credentialBlob, encryptedSecret: made.secret }
    expect(await tpm.activateCredential({ endorsementKey: ek, object: ak, challenge })).toEqual(credential)
  })
})

describe('B03 a credential challenge is not answered', () => {
  test('for another key than the one it names', async () => {
    const tpm = get()
    await using ek = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ekEccP256 })
    await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
    await using other = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akRsa2048 })
    const challenge = makeCredential({ endorsementKey: ek.public, objectName: other.name, credential })
    await expect(tpm.activateCredential({ endorsementKey: ek, object: ak, challenge })).rejects.toMatchObject(
      tpmRefuses('TPM_RC_INTEGRITY', { kind: 'parameter', number: 1 }),
    )
  })

  test('by another TPM', async () => {
    const tpm = get()
    await using ek = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ekEccP256 })
    await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
    const challenge = makeCredential({ endorsementKey: ek.public, objectName: ak.name, credential })
    const swtpm = await startSwtpm()
    const second = await Tpm.open(swtpm.address)
    const endorsementKey = await second.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ekEccP256 })
    const object = await second.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
    await expect(second.activateCredential({ endorsementKey, object, challenge })).rejects.toMatchObject(
      tpmRefuses('TPM_RC_INTEGRITY', { kind: 'parameter', number: 1 }),
    )
    await second.close()
    await swtpm.stop()
  })

  test('once any byte of it was changed', async () => {
    const tpm = get()
    await using ek = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ekEccP256 })
    await using ak = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
    const challenge = makeCredential({ endorsementKey: ek.public, objectName: ak.name, credential })
    const flip = (bytes: Uint8Array, at: number) => bytes.with(at, (bytes[at] ?? 0) ^ 1)
    const activate = (changed: typeof challenge) =>
      tpm.activateCredential({ endorsementKey: ek, object: ak, challenge: changed, encrypt: false })
    for (let at = 0; at < challenge.credentialBlob.length; at++)
      await expect(
        activate({ ...challenge, credentialBlob: flip(challenge.credentialBlob, at) }),
        `credentialBlob ${at}`,
      ).rejects.toMatchObject({ code: 'tpm.response' })
    for (let at = 0; at < challenge.encryptedSecret.length; at++)
      await expect(
        activate({ ...challenge, encryptedSecret: flip(challenge.encryptedSecret, at) }),
        `encryptedSecret ${at}`,
      ).rejects.toMatchObject({ code: 'tpm.response' })
  })
})
