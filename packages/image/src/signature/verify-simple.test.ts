import { createPrivateKey, sign } from 'node:crypto'
import * as openpgp from 'openpgp'
import { expect, test } from 'vitest'
import { writePayload } from './payload.ts'
import { parseKeyRing, verifySimpleSignature } from './verify-simple.ts'
import type { Digest } from '../oci/digest.ts'

const created = new Date('2026-02-01T00:00:00Z')
const at = new Date('2026-06-01T00:00:00Z')
const payload = writePayload({
  kind: 'simple',
  manifestDigest: `sha256:${'a'.repeat(64)}` as Digest,
  dockerReference: 'registry.example/app:1',
  optional: {},
})
const { privateKey } = await openpgp.generateKey({
  type: 'rsa',
  rsaBits: 2048,
  userIDs: [{ email: 'owner@clinic.example' }],
  date: created,
  format: 'object',
})

/** As GnuPG before 2.1 signed, when it was told to: no writer of today makes version 3. */
function versionThree(made: Date): Uint8Array {
  const packet = (tag: number, body: Uint8Array) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(body.length)
    return Buffer.concat([Buffer.of(0xc0 | tag, 0xff), length, body])
  }
  const timed = Buffer.of(0, 0, 0, 0, 0)
  timed.writeUInt32BE(made.getTime() / 1000, 1)
  const padded = sign('sha256', Buffer.concat([payload, timed]), rsaKey())
  const raw = padded.subarray(padded.findIndex((byte) => byte !== 0))
  const bits = raw.length * 8 - Math.clz32(raw[0] ?? 0) + 24
  const id = Buffer.from(privateKey.getKeyID().toHex(), 'hex')
  const head = Buffer.concat([Buffer.of(3, 5), timed, id, Buffer.of(1, 8, 0, 0, bits >> 8, bits & 0xff)])
  const literal = packet(11, Buffer.concat([Buffer.from('b\0\0\0\0\0'), payload]))
  return new Uint8Array(Buffer.concat([packet(2, Buffer.concat([head, raw])), literal]))
}

function rsaKey() {
  const { publicParams, privateParams } = privateKey.keyPacket as unknown as {
    publicParams: { n: Uint8Array; e: Uint8Array }
    privateParams: { d: Uint8Array; p: Uint8Array; q: Uint8Array; u: Uint8Array }
  }
  const big = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
  const text = (value: bigint) => {
    const hex = value.toString(16)
    return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url')
  }
  const [n, e, d] = [big(publicParams.n), big(publicParams.e), big(privateParams.d)]
  // OpenPGP keeps the inverse of p modulo q: with the two swapped, it is the one that JWK wants
  const [p, q] = [big(privateParams.q), big(privateParams.p)]
  const parts = { n, e, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: big(privateParams.u) }
  const jwk = Object.fromEntries(Object.entries(parts).map(([name, value]) => [name, text(value)]))
  return createPrivateKey({ key: { kty: 'RSA', ...jwk }, format: 'jwk' })
}

const verify = async (message: Uint8Array) => {
  const rings = [await parseKeyRing(privateKey.toPublic().write(), 'ring')]
  return verifySimpleSignature({ kind: 'simple', place: 'signature-1', message }, { rings, at })
}

test('a version 3 signature by a key of the ring counts', async () => {
  const { signer } = await verify(versionThree(new Date('2026-03-01T00:00:00Z')))
  expect(signer.fingerprint).toBe(privateKey.getFingerprint().toUpperCase())
})

test.each([
  ['before its key was there', '2026-01-01T00:00:00Z'],
  ['in the future', '2026-07-01T00:00:00Z'],
])('a version 3 signature that was made %s is refused, as those of later versions are', async (_when, made) => {
  await expect(verify(versionThree(new Date(made)))).rejects.toMatchObject({ code: 'signature.unverified' })
})
