import { execFileSync } from 'node:child_process'
import { constants, generateKeyPairSync, privateDecrypt } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { toBase64, utf8 } from '@vouchsafe/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ImageError } from '../../errors.ts'
import { pkcs11Keys, pkcs11Recipients, type TokenKey } from './pkcs11-packet.ts'
import { tokenKey, tokenPublicKey } from './pkcs11-token.ts'
import { isPkcs11KeyFile, parsePkcs11KeyFile } from './pkcs11-uri.ts'

const MODULE = '/usr/lib/softhsm/libsofthsm2.so'
const options = utf8(JSON.stringify({ options: 'x'.repeat(180) }))

/** An optional dependency and a Debian package: who has neither has no tokens. */
function missingToken(): boolean {
  try {
    createRequire(import.meta.url).resolve('pkcs11js/build/Release/pkcs11.node')
    return !existsSync(MODULE)
  } catch {
    return true
  }
}

describe.skipIf(missingToken())('a key in a SoftHSM token', () => {
  let directory: string
  const keyFile = (uri: string) =>
    utf8(`pkcs11:\n  uri: "${uri}"\nmodule:\n  env:\n    SOFTHSM2_CONF: ${path.join(directory, 'softhsm2.conf')}\n`)
  const at = (uri = 'pkcs11:token=images;object=layer-key?pin-value=1234') =>
    parsePkcs11KeyFile(keyFile(uri), 'key.yaml')
  const modules = [MODULE]

  beforeAll(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'vouchsafe-softhsm-'))
    mkdirSync(path.join(directory, 'tokens'))
    const conf = path.join(directory, 'softhsm2.conf')
    writeFileSync(conf, `directories.tokendir = ${directory}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n`)
    const env = { ...process.env, SOFTHSM2_CONF: conf }
    const softhsm = (...args: string[]) => execFileSync('softhsm2-util', args, { env, stdio: 'pipe' })
    softhsm('--init-token', '--free', '--label', 'images', '--pin', '1234', '--so-pin', '5678')
    const pem = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' })
    writeFileSync(path.join(directory, 'key.pem'), pem)
    softhsm(
      '--import',
      `${directory}/key.pem`,
      '--token',
      'images',
      '--label',
      'layer-key',
      '--id',
      'a1b2',
      '--pin',
      '1234',
    )
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  test('GU-12 opens what was wrapped for its public half, by label and by id', async () => {
    const publicKey = await tokenPublicKey({ modules, at: at() })
    const [packet] = await pkcs11Recipients([publicKey], 'sha1').wrap(options)
    for (const uri of [
      'pkcs11:token=images;object=layer-key?pin-value=1234',
      'pkcs11:token=images;id=%a1%b2?pin-value=1234',
      `pkcs11:token=images;object=layer-key?pin-value=1234&module-path=${MODULE}`,
      // as p11tool shows it
      'pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;token=images;object=layer-key;type=private?pin-value=1234',
    ])
      expect(await pkcs11Keys([tokenKey({ modules, at: at(uri) })]).unwrap(packet!)).toEqual(options)
    expect(process.env['SOFTHSM2_CONF']).toBeUndefined()
  })

  test('opens nothing that is for another key', async () => {
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey
    const [packet] = await pkcs11Recipients([other], 'sha1').wrap(options)
    expect(await pkcs11Keys([tokenKey({ modules, at: at() })]).unwrap(packet!)).toBeUndefined()
  })

  test.each([
    [
      'a module that nobody allowed',
      () => ({ modules: [], at: at(`pkcs11:object=layer-key?module-path=${MODULE}`) }),
      /not among the modules/,
    ],
    ['a wrong PIN', () => ({ modules, at: at('pkcs11:token=images;object=layer-key?pin-value=9') }), /CKR_PIN/],
    [
      'a key that is not there',
      () => ({ modules, at: at('pkcs11:token=images;object=none?pin-value=1234') }),
      /0 keys fit/,
    ],
    [
      'a token of another serial number',
      () => ({ modules, at: at('pkcs11:token=images;serial=0;object=layer-key?pin-value=1234') }),
      /0 tokens fit/,
    ],
    [
      'a token of another model',
      () => ({ modules, at: at('pkcs11:token=images;model=other;object=layer-key?pin-value=1234') }),
      /0 tokens fit/,
    ],
    [
      'a token of another manufacturer',
      () => ({ modules, at: at('pkcs11:token=images;manufacturer=other;object=layer-key?pin-value=1234') }),
      /0 tokens fit/,
    ],
    [
      'a token in another slot',
      () => ({ modules, at: at('pkcs11:token=images;slot-id=1;object=layer-key?pin-value=1234') }),
      /0 tokens fit/,
    ],
    [
      'a token that is not there',
      () => ({ modules, at: at('pkcs11:token=none;object=layer-key?pin-value=1234') }),
      /0 tokens fit/,
    ],
  ])('%s is told', async (_what, access, message) => {
    await expect(tokenKey(access()).decryptOaep(new Uint8Array(256), 'sha1')).rejects.toMatchObject({
      code: 'encryption.pkcs11',
      message: expect.stringMatching(message),
    })
  })
})

describe('PKCS#11 packets and key files', () => {
  test('options that do not fit the key are refused with what to do', async () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    expect(() => pkcs11Recipients([publicKey]).wrap(options)).toThrow(
      expect.objectContaining({ code: 'encryption.recipient', message: expect.stringContaining('use sha1') }),
    )
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey
    expect(() => pkcs11Recipients([ec])).toThrow(expect.objectContaining({ code: 'encryption.recipient' }))
  })

  test('a packet without hash is of the time of SHA-1', async () => {
    const asked: string[] = []
    const holder = pkcs11Keys([{ decryptOaep: (_, hash) => (asked.push(hash), Promise.resolve(undefined)) }])
    const packet = (recipient: object) => utf8(JSON.stringify({ version: 0, recipients: [recipient] }))
    await holder.unwrap(packet({ version: 0, blob: toBase64(new Uint8Array(4)) }))
    expect(asked).toEqual(['sha1'])
    for (const bad of [{ version: 1, blob: '' }, { version: 0, blob: 'AAAA', hash: 'md5' }, { version: 0 }])
      await expect(holder.unwrap(packet(bad))).rejects.toMatchObject({ code: 'encryption.malformed' })
    await expect(holder.unwrap(utf8('{"version":1,"recipients":[]}'))).rejects.toMatchObject({
      code: 'encryption.malformed',
    })
  })

  test('key files say module, token, object, id and PIN', () => {
    const text = 'pkcs11:\n  uri: "pkcs11:slot-id=7;id=%01%FFa?module-path=/m.so&pin-value=a%26b"\n'
    expect(isPkcs11KeyFile(utf8(text))).toBe(true)
    expect(isPkcs11KeyFile(utf8('-----BEGIN'))).toBe(false)
    expect(parsePkcs11KeyFile(utf8(text), 'key.yaml')).toEqual({
      environment: new Map(),
      modulePath: '/m.so',
      slotId: 7,
      id: Uint8Array.of(1, 255, 97),
      pin: 'a&b',
    })
    for (const bad of [
      'pkcs11: {}',
      'pkcs11: {uri: "pkcs11:token=x"}',
      'pkcs11: {uri: "http:x"}',
      'pkcs11: {uri: "pkcs11:slot-id=x;id=a"}',
      'pkcs11: {uri: "pkcs11:object=a;slot-description=x"}',
      'pkcs11: {uri: "pkcs11:object=a?pin-source=file:/etc/pin"}',
      '{',
      'a: &a [*a]',
    ])
      expect(() => parsePkcs11KeyFile(utf8(bad), 'key.yaml'), bad).toThrow(
        expect.objectContaining({ code: 'encryption.recipient' }),
      )
  })
})

test('GU-12 a token that is not there does not stand in the way of another that is', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const [packet] = await pkcs11Recipients([publicKey], 'sha1').wrap(options)
  const gone: TokenKey = {
    decryptOaep: () => Promise.reject(new ImageError('encryption.pkcs11', '0 tokens fit images')),
  }
  const other: TokenKey = { decryptOaep: () => Promise.resolve(undefined) }
  const padding = constants.RSA_PKCS1_OAEP_PADDING
  const there: TokenKey = {
    decryptOaep: (blob) => Promise.resolve(privateDecrypt({ key: privateKey, padding, oaepHash: 'sha1' }, blob)),
  }
  expect(new Uint8Array((await pkcs11Keys([gone, there]).unwrap(packet!))!)).toEqual(new Uint8Array(options))
  await expect(pkcs11Keys([gone, other]).unwrap(packet!)).rejects.toMatchObject({ code: 'encryption.pkcs11' })
})
