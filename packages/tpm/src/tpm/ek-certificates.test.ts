import { X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TEMPLATES } from '../codec/templates.ts'
import { nvAttributes } from '../codec/nv-public.ts'
import { publicAreaFor, toKeyObject } from '../crypto/keys.ts'
import { sealToKey } from '../software/import-blob.ts'
import { startSwtpm } from '../testing/swtpm.ts'
import type { RunningSwtpm } from '../testing/swtpm.ts'
import { firstDer } from './ek-certificates.ts'
import { Tpm } from './tpm.ts'

describe('EK certificates of a manufactured TPM', () => {
  let swtpm: RunningSwtpm
  let tpm: Tpm
  beforeAll(async () => {
    swtpm = await startSwtpm({ manufactured: true })
    tpm = await Tpm.open(swtpm.address)
  })
  afterAll(async () => {
    await tpm.close()
    await swtpm.stop()
  })

  test('are read, and are for the keys that the templates make', async () => {
    const certificates = await tpm.readEkCertificates()
    expect(certificates.map(({ template }) => template)).toEqual(['ekRsa2048', 'ekEccP384H'])
    for (const { template, certificate } of certificates) {
      await using key = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES[template] })
      expect(new X509Certificate(certificate).publicKey.equals(toKeyObject(key.public))).toBe(true)
    }
    expect(await tpm.readEkCertificateChain()).toEqual([])
  })

  test('are enough to seal to their TPM', async () => {
    const [rsa] = await tpm.readEkCertificates()
    if (rsa === undefined) throw new Error('no certificate')
    const parentPublic = publicAreaFor(new X509Certificate(rsa.certificate).publicKey, TEMPLATES.ekRsa2048)
    const blob = sealToKey({ parent: parentPublic, data: Uint8Array.of(1, 2, 3) })
    await using parent = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.ekRsa2048 })
    expect(parent.public).toEqual(parentPublic)
    expect(await tpm.unsealImported({ parent, blob })).toEqual(Uint8Array.of(1, 2, 3))
  })

  test('of issuing authorities are read from their own range', async () => {
    const certificates = await tpm.readEkCertificates()
    const both = Buffer.concat(certificates.map(({ certificate }) => certificate))
    const padded = new Uint8Array(both.length + 20)
    padded.set(both)
    const attributes = nvAttributes(['ownerRead', 'ownerWrite'])
    const halves = [padded.subarray(0, 1000), padded.subarray(1000)]
    for (const [at, half] of halves.entries()) {
      const nvIndex = 0x01c00100 + at
      const area = {
        nvIndex,
        nameAlg: 'sha256',
        attributes,
        authPolicy: new Uint8Array(),
        dataSize: half.length,
      } as const
      await tpm.nvDefine({ public: area })
      await tpm.nvWrite(nvIndex, half)
    }
    expect(await tpm.readEkCertificateChain()).toEqual(certificates.map(({ certificate }) => certificate))
  })
})

describe('a certificate with padding', () => {
  test.each([
    ['short form', '3003020101', 5],
    ['one length octet', `308180${'00'.repeat(128)}`, 131],
    ['two length octets', `30820100${'00'.repeat(256)}`, 260],
  ])('ends where its %s length says', (_form, hex, length) => {
    const certificate = new Uint8Array(Buffer.from(hex, 'hex'))
    for (const padding of [[], [0, 0, 0], [0xff, 0xff]])
      expect(firstDer(Uint8Array.of(...certificate, ...padding))).toEqual(certificate)
    expect(certificate).toHaveLength(length)
  })

  test.each([
    ['is empty', ''],
    ['is no SEQUENCE', '0403020101'],
    ['has an indefinite length', '3080020101'],
    ['has a length of four octets', '308400000001ff'],
    ['is cut short', '30030201'],
    ['is cut inside its length', '3082'],
  ])('that %s is refused', (_what, hex) => {
    expect(() => firstDer(new Uint8Array(Buffer.from(hex, 'hex')))).toThrow(
      expect.objectContaining({ code: 'input.malformed' }),
    )
  })
})
