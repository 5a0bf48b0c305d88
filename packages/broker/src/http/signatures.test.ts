import { OwnerClient, PrincipalKey } from '@vouchsafe/client'
import {
  type Digest,
  digestOf,
  type Entry,
  fromBase64,
  parseEntry,
  parseExportedEntry,
  parseLogKey,
  parseReceipt,
  utf8,
  verifyReceipt,
  wire,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { type Digest as ImageDigest, digestOf as imageDigestOf } from '@vouchsafe/image'
import { verifySignatureRecord, writeSignatureRecord } from '@vouchsafe/image/signature-record'
import {
  cosignPayload,
  parseSigningKey,
  signBundle,
  signCosign,
  type SigningKey,
  signStatement,
} from '@vouchsafe/image/signing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { releaseRequest } from 'vouchsafe/attack/raw-guest'
import { newKey } from '../../../image/src/testing/signing.ts'
import { IMAGE, type TestClinic, type TwoClinics, startTwoClinics } from '../testing/two-clinics.ts'

let world: TwoClinics
beforeAll(async () => {
  world = await startTwoClinics()
})
afterAll(() => world?.stop())

const refusal = (code: string) => expect.objectContaining({ code })
const dockerReference = 'registry.example/app'
/** An image of no agreement, fresh for every test. */
const newImage = () => imageDigestOf(crypto.getRandomValues(new Uint8Array(16)))

/** A signature of an image as it is presented. */
function recordOf(image: ImageDigest, key: SigningKey = newKey(), words?: string): Uint8Array {
  const annotations = words === undefined ? {} : { annotations: { words } }
  return writeSignatureRecord(
    image,
    key.public,
    signCosign(cosignPayload({ digest: image, dockerReference, ...annotations }), key),
  )
}

async function entriesAbout({ owner }: TestClinic, subject: string): Promise<readonly Entry[]> {
  const lines = (await owner.exportLedger()).split('\n').filter((line) => line !== '')
  return lines.map((line) => parseEntry(parseExportedEntry(line).entry)).filter((entry) => entry.subject === subject)
}

describe('CS-85 signatures of images in the ledger', () => {
  test('CS-85 one that is shown is verified and entered, and its receipt proves alone who signed which image by when', async () => {
    const { a } = world
    const [image, ann] = [newImage(), newKey()]
    const bundle = {
      kind: 'bundle',
      place: 'here',
      bundle: signBundle(signStatement({ digest: image, dockerReference }), ann),
    } as const
    for (const [form, record] of [
      ['cosign', recordOf(image, ann)],
      ['bundle', writeSignatureRecord(image, ann.public, bundle)],
    ] as const) {
      const before = new Date().toISOString()
      const answer = await a.owner.recordSignature(record)
      expect(answer).toMatchObject({ repeated: false, record: Buffer.from(record).toString('base64') })
      const expected = {
        kind: 'signature.recorded',
        subject: image,
        digest: digestOf(fromBase64(answer.record), nodeCrypto),
      } as const
      const logKey = parseLogKey(a.pin.log, nodeCrypto)
      const { entry } = await verifyReceipt(parseReceipt(answer.receipt), expected, logKey, nodeCrypto)
      expect(entry.facts).toEqual({ key: ann.public.id, form, by: 'clinic-a' })
      expect(entry.time >= before && entry.time <= new Date().toISOString()).toBe(true)
    }
    const { signatures } = await a.owner.listSignatures(image as Digest)
    expect(signatures).toHaveLength(2)
    for (const { record } of signatures)
      expect(await verifySignatureRecord(fromBase64(record))).toMatchObject({ image, key: { id: ann.public.id } })
    expect(await world.b.owner.listSignatures(image as Digest)).toEqual({ signatures: [] })
  })

  test('CS-85 shown again, by whomever and in whatever bytes, it is there once, and the first entry is told', async () => {
    const { a } = world
    const [image, ann] = [newImage(), newKey()]
    const first = await a.owner.recordSignature(recordOf(image, ann))
    // ECDSA: another signature over the same bytes
    const again = await a.owner.recordSignature(recordOf(image, ann))
    expect(again).toMatchObject({ repeated: true, record: first.record })
    expect(parseReceipt(again.receipt).entry).toEqual(parseReceipt(first.receipt).entry)
    expect(await entriesAbout(a, image)).toHaveLength(1)
  })

  test('CS-85 shown many times at once it is there once, and everybody is told the same', async () => {
    const { a } = world
    const image = newImage()
    const record = recordOf(image)
    const answers = await Promise.all(Array.from({ length: 8 }, () => a.owner.recordSignature(record)))
    expect(answers.filter(({ repeated }) => !repeated)).toHaveLength(1)
    expect(new Set(answers.map(({ receipt }) => Buffer.from(parseReceipt(receipt).entry).toString())).size).toBe(1)
    expect(await entriesAbout(a, image)).toHaveLength(1)
  })

  test.each<[string, string, (image: ImageDigest) => Uint8Array]>([
    [
      'by another key than it is shown with',
      'image.signature',
      (image) =>
        writeSignatureRecord(
          image,
          newKey().public,
          signCosign(cosignPayload({ digest: image, dockerReference }), newKey()),
        ),
    ],
    [
      'of another image',
      'image.signature',
      (image) => {
        const key = newKey()
        return writeSignatureRecord(
          image,
          key.public,
          signCosign(cosignPayload({ digest: newImage(), dockerReference }), key),
        )
      },
    ],
    ['of no known form', 'image.signature', (image) => utf8(JSON.stringify({ record: 'image-signature/v1', image }))],
    [
      'over its limit',
      'input.malformed',
      (image) => recordOf(image, newKey(), 'a'.repeat(wire.MAX_SIGNATURE_RECORD_BYTES)),
    ],
  ])('CS-85 one %s is refused as %s, and nothing is entered', async (_what, code, make) => {
    const { a } = world
    const image = newImage()
    const { size } = await sizeOf(a)
    await expect(a.owner.recordSignature(make(image))).rejects.toThrow(refusal(code))
    expect(await sizeOf(a)).toEqual({ size })
    expect(await a.owner.listSignatures(image as Digest)).toEqual({ signatures: [] })
  })

  test('CS-85 an image has so many and no more; one that is there is told all the same', async () => {
    const { a } = world
    const [image, key] = [newImage(), newKey('ed25519')]
    const shown = Array.from({ length: wire.MAX_RECORDED_SIGNATURES }, (_, i) => recordOf(image, key, `${i}`))
    for (const record of shown) await a.owner.recordSignature(record)
    await expect(a.owner.recordSignature(recordOf(image))).rejects.toThrow(refusal('input.too-large'))
    expect(await a.owner.recordSignature(shown[0] ?? utf8(''))).toMatchObject({ repeated: true })
    expect((await a.owner.listSignatures(image as Digest)).signatures).toHaveLength(wire.MAX_RECORDED_SIGNATURES)
  })

  test('CS-85 J06 owners enter them; auditors read them; operators and other owners do neither', async () => {
    const { a, b } = world
    const image = newImage()
    const as = async (role: 'auditor' | 'operator') => {
      const key = PrincipalKey.generate()
      await a.owner.addPrincipal({ role, id: role, key: key.key })
      return new OwnerClient(a.pin, key, { timeoutMs: 10_000 })
    }
    const [auditor, operator] = [await as('auditor'), await as('operator')]
    const stranger = new OwnerClient(a.pin, b.key, { timeoutMs: 10_000 })
    const record = recordOf(image)
    await expect(auditor.recordSignature(record)).rejects.toThrow(refusal('request.forbidden'))
    await expect(operator.recordSignature(record)).rejects.toThrow(refusal('request.forbidden'))
    await expect(stranger.recordSignature(record)).rejects.toThrow(refusal('request.signature'))
    await a.owner.recordSignature(record)
    expect((await auditor.listSignatures(image as Digest)).signatures).toHaveLength(1)
    await expect(operator.listSignatures(image as Digest)).rejects.toThrow(refusal('request.forbidden'))
    await expect(stranger.listSignatures(image as Digest)).rejects.toThrow(refusal('request.signature'))
    for (const client of [auditor, operator, stranger]) client.close()
  })

  test('CS-85 G04 owners’ own keys sign the image, and nothing is approved by it: the guest waits, and agreements stand as before', async () => {
    const { a, b, guest, machine, agreement } = world
    const before = (await a.owner.listAgreements()).agreements
    for (const { key } of [a, b])
      await a.owner.recordSignature(recordOf(IMAGE as ImageDigest, parseSigningKey(key.toPem(), { what: 'owner' })))
    expect((await a.owner.listAgreements()).agreements).toEqual(before)
    expect(before[0]?.missing).toEqual(['clinic-a', 'clinic-b'])
    const attested = await guest.attest(a.guest, machine, agreement)
    await expect((await releaseRequest(a.guest, attested, ['patients/key'])).send()).rejects.toThrow(
      refusal('agreement.waiting'),
    )
  })
})

async function sizeOf({ owner }: TestClinic): Promise<{ readonly size: number }> {
  return { size: (await owner.exportLedger()).split('\n').length - 1 }
}
