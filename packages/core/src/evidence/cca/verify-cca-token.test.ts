import { createPublicKey } from 'node:crypto'
import fc from 'fast-check'
import * as kit from '@vouchsafe/testkit'
import { type CcaSpec, missingVectors, readVector, readVectorText } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../node/crypto.ts'
import { toHex } from '../../base/encoding.ts'
import { type ErrorCode, VouchsafeError } from '../../base/errors.ts'
import { type CcaAnchor, type CcaExpectation, verifyCcaToken } from './index.ts'

const cpak = kit.makeKey('P-384')
const other = kit.makeKey('P-384')
const anchor: CcaAnchor = {
  name: 'fake Arm board',
  class: 'simulated',
  implementationId: toHex(kit.TEST_IMPLEMENTATION_ID),
  instanceId: toHex(kit.TEST_INSTANCE_ID),
  spki: cpak.spki,
}
const challenge = new Uint8Array(64).fill(0xc4)
const make = (spec: Partial<CcaSpec> = {}) => kit.makeCcaToken({ cpak, ...spec })
const verify = (raw: Uint8Array, changes: Partial<CcaExpectation> = {}) =>
  verifyCcaToken(raw, { challenge, anchors: [anchor], ...changes }, nodeCrypto)
const refusal = (code: ErrorCode, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) })

test('accepts a token, and says what is known', async () => {
  const evidence = await verify(make())
  expect(evidence).toMatchObject({
    format: 'cca',
    challenge: 'as-expected',
    anchor: { class: 'simulated' },
    platform: { lifecycle: 'secured' },
  })
  expect(evidence.realm.extensibleMeasurements).toHaveLength(4)
})

test('accepts a realm key written as a COSE key', async () => {
  const rak = kit.makeKey('P-384')
  const [x, y] = [rak.spki.slice(-96, -48), rak.spki.slice(-48)]
  const key = kit.encodeCbor(
    new Map<number, kit.Cbor>([
      [1, 2],
      [-1, 2],
      [-2, x],
      [-3, y],
    ]),
  )
  const token = make({ rak, realm: { 44237: key }, platform: { 10: nodeCrypto.digest('sha256', key) } })
  expect((await verify(token)).realm.publicKey).toEqual(key)
})

describe('the chain from the platform’s key to the challenge', () => {
  test.each<[string, Uint8Array, Partial<CcaExpectation>, ErrorCode, string]>([
    ['another challenge', make(), { challenge: challenge.with(63, 0) }, 'evidence.binding', 'challenge'],
    ['a short expectation', make(), { challenge: challenge.subarray(32) }, 'internal', '32 bytes'],
    ['hardware that no anchor names', make(), { anchors: [] }, 'endorsement.untrusted', 'no anchor names'],
    [
      'another instance',
      make({ platform: { 256: new Uint8Array(33) } }),
      {},
      'endorsement.untrusted',
      'no anchor names',
    ],
    ['another make', make({ platform: { 2396: new Uint8Array(32) } }), {}, 'endorsement.untrusted', 'no anchor names'],
    ['a platform token by another key', make({ platformSigner: other }), {}, 'evidence.signature', 'platform token'],
    ['a realm token by another key', make({ realmSigner: other }), {}, 'evidence.signature', 'realm token'],
    [
      'A18 the realm token of another machine',
      make({ platform: { 10: new Uint8Array(32) } }),
      {},
      'evidence.mismatch',
      'another realm key',
    ],
    ['another algorithm', make({ algorithm: -257 }), {}, 'evidence.algorithm', '-257'],
    ['an algorithm that does not fit the key', make({ algorithm: -7 }), {}, 'evidence.algorithm', 'P-256'],
    [
      'an anchor on another curve',
      make(),
      { anchors: [{ ...anchor, spki: kit.makeKey('P-256').spki }] },
      'evidence.algorithm',
      'P-384',
    ],
  ])('refuses %s', async (_what, raw, changes, code, message) => {
    await expect(verify(raw, changes)).rejects.toThrow(refusal(code, message))
  })
})

describe('D19 K13 the form', () => {
  const good = make()
  test.each<[string, Uint8Array, ErrorCode, string]>([
    ['another tag', make({ tag: 400 }), 'input.malformed', 'CCA token'],
    ['no tag', good.subarray(3), 'input.malformed', 'not a tagged collection'],
    ['bytes left over', kit.derWriter.join(good, Uint8Array.of(0)), 'input.malformed', 'CCA token'],
    ['its end cut off', good.subarray(0, -1), 'input.malformed', 'CCA token'],
    ['unprotected headers', make({ unprotected: new Map([[1, -35]]) }), 'input.malformed', 'unprotected'],
    ['another profile', make({ platform: { 265: 'x' } }), 'evidence.unsupported', 'profile'],
    ['no realm key', make({ realm: { 44237: undefined } }), 'input.malformed', 'public key: not a byte string'],
    ['a challenge of 32 bytes', make({ realm: { 10: new Uint8Array(32) } }), 'input.malformed', 'challenge: 32 bytes'],
    [
      'three extensible measurements',
      make({ realm: { 44239: [1, 2, 3].map((n) => new Uint8Array(32).fill(n)) } }),
      'input.malformed',
      'not four',
    ],
    [
      'an initial measurement of 31 bytes',
      make({ realm: { 44238: new Uint8Array(31) } }),
      'input.malformed',
      'initial measurement',
    ],
    ['a hash that does not count', make({ realm: { 44240: 'sha-1' } }), 'input.malformed', 'not a hash that counts'],
    ['a lifecycle of no meaning', make({ platform: { 2395: 0x7000 } }), 'input.malformed', 'lifecycle'],
    ['no software components', make({ platform: { 2399: [] } }), 'input.malformed', 'software components'],
    ['a software component that is no map', make({ platform: { 2399: [1] } }), 'input.malformed', 'not a map'],
    [
      'a realm key that is not on P-384',
      make({
        realm: { 44237: kit.encodeCbor(new Map([[1, 2]])) },
        platform: { 10: nodeCrypto.digest('sha256', kit.encodeCbor(new Map([[1, 2]]))) },
      }),
      'evidence.algorithm',
      'not on P-384',
    ],
    ['an indefinite length', kit.cborTag(399, Uint8Array.of(0xbf, 0xff)), 'input.malformed', 'indefinite'],
    ['a key twice', kit.cborTag(399, Uint8Array.of(0xa2, 1, 1, 1, 1)), 'input.malformed', 'repeat'],
    [
      'a number not in its shortest form',
      kit.cborTag(399, Uint8Array.of(0xa1, 0x18, 1, 1)),
      'input.malformed',
      'CCA token',
    ],
  ])('refuses a token with %s', async (_what, raw, code, message) => {
    await expect(verify(raw)).rejects.toThrow(refusal(code, message))
  })

  test('a lifecycle other than secured is told', async () => {
    expect((await verify(make({ platform: { 2395: 0x4000 } }))).platform.lifecycle).toBe('non-cca-platform-rot-debug')
  })

  test('fails only with a coded error, whatever the bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.nat(255), async (i, byte) => {
        fc.pre(good[i] !== byte)
        await expect(async () => verify(good.with(i, byte))).rejects.toBeInstanceOf(VouchsafeError)
      }),
      { seed: 1, numRuns: 400 },
    )
    for (const deep of [new Uint8Array(60_000).fill(0x81), new Uint8Array(60_000).fill(0xc0)])
      await expect(async () => verify(deep)).rejects.toThrow(refusal('input.malformed', ''))
  })
})

describe.skipIf(missingVectors())('Arm’s example', () => {
  test('verifies under the key of its trust anchor store', async () => {
    const [entry] = JSON.parse(readVectorText('coco/cca/tastore.json')) as any[]
    const spki = new Uint8Array(
      createPublicKey({ key: entry.pkey, format: 'jwk' }).export({ type: 'spki', format: 'der' }),
    )
    const anchors = [
      { ...anchor, implementationId: entry['implementation-id'], instanceId: entry['instance-id'], spki },
    ]
    const evidence = await verify(readVector('coco/cca/cca-example-token.cbor'), { challenge: 'not-checked', anchors })
    expect(evidence.platform).toMatchObject({ profile: 'http://arm.com/CCA-SSD/1.0.0', lifecycle: 'secured' })
    expect(evidence.platform.softwareComponents).toHaveLength(13)
    expect(evidence.challenge).toBe('not-checked')
  })
})
