import * as openpgp from 'openpgp'
import { utf8 } from '@vouchsafe/core'
import { describe, expect, test } from 'vitest'
import { pgpKeys, pgpRecipients, readPgpPrivateKeys } from './pgp.ts'

const passphrase = 'word'
const locked = await openpgp.generateKey({ userIDs: [{ email: 'a@b.example' }], format: 'object', passphrase })
const opened = await openpgp.decryptKey({ privateKey: locked.privateKey, passphrase })
const options = utf8('{"symkey":""}')

describe('GU-12 private rings of OpenPGP', () => {
  test('one that is locked asks for its passphrase, and is not taken for a key of somebody else', async () => {
    const ring = new Uint8Array(locked.privateKey.write())
    await expect(readPgpPrivateKeys(ring, 'ring')).rejects.toMatchObject({
      code: 'encryption.recipient',
      message: expect.stringContaining('no passphrase was given'),
    })
    await expect(readPgpPrivateKeys(ring, 'ring', 'no')).rejects.toMatchObject({ code: 'encryption.recipient' })
    const [packet = new Uint8Array()] = await pgpRecipients([locked.publicKey]).wrap(options)
    expect(await pgpKeys(await readPgpPrivateKeys(ring, 'ring', passphrase)).unwrap(packet)).toEqual(options)
  })
})

test.each([
  ['no passphrase', undefined],
  ['the passphrase of another key', 'other'],
])('GU-12 with %s a locked key does not stand in the way of the others in its ring', async (_with, word) => {
  const free = await openpgp.generateKey({ userIDs: [{ email: 'c@d.example' }], format: 'object' })
  const ring = new Uint8Array(Buffer.concat([locked.privateKey.write(), free.privateKey.write()]))
  const [packet = new Uint8Array()] = await pgpRecipients([locked.publicKey, free.publicKey]).wrap(options)
  expect(await pgpKeys(await readPgpPrivateKeys(ring, 'ring', word)).unwrap(packet)).toEqual(options)
})

describe('H11 packets of OpenPGP', () => {
  const sessionKey = new Uint8Array(32).fill(7)
  const algorithm = openpgp.enums.symmetric.aes256

  interface Encrypts {
    encrypt(algorithm: number, key: Uint8Array, config: object): Promise<void>
  }

  /** By session key and one packet of encrypted data, with or without what proves it. */
  async function packetOf(bytes: Uint8Array, proved: boolean) {
    const { packets } = await openpgp.encryptSessionKey({
      data: sessionKey,
      algorithm: 'aes256',
      encryptionKeys: locked.publicKey,
      format: 'object',
    })
    const data = proved
      ? new openpgp.SymEncryptedIntegrityProtectedDataPacket()
      : new openpgp.SymmetricallyEncryptedDataPacket()
    const inner = await openpgp.createMessage({ binary: bytes })
    Object.assign(data, { version: 1, packets: inner.packets })
    // of the library, and not in its declarations
    await (data as unknown as Encrypts).encrypt(algorithm, sessionKey, openpgp.config)
    return new Uint8Array(openpgp.PacketList.prototype.write.call([...packets, data]))
  }
  const holder = pgpKeys([opened])

  test('open where their integrity is proved, and not where nothing proves it', async () => {
    expect(await holder.unwrap(await packetOf(options, true))).toEqual(options)
    expect(await holder.unwrap(await packetOf(options, false))).toBeUndefined()
  })
})

test('a key that only signs is named, before anything is encrypted to others', async () => {
  const able = await openpgp.generateKey({ userIDs: [{ email: 'able@b.example' }], format: 'object' })
  const signs = await openpgp.generateKey({ userIDs: [{ email: 'signs@b.example' }], format: 'object', subkeys: [] })
  const { wrap } = pgpRecipients([able.publicKey, signs.publicKey])
  await expect(wrap(utf8('options'))).rejects.toMatchObject({
    code: 'encryption.recipient',
    message: expect.stringMatching(`signs@b.example.*${signs.publicKey.getFingerprint()}.*encrypts nothing`),
  })
})
