import { Secret, toBase64, utf8 } from '@vouchsafe/core'
import { describe, expect, test } from 'vitest'
import {
  cocoPacketBytes,
  guestKeys,
  parseCocoPacket,
  resourceOfKid,
  unwrapUnderKek,
  wrapUnderKek,
} from './coco-packet.ts'

const kek = new Secret(new Uint8Array(32).fill(3))
const good = {
  kid: 'kbs:///images/app/key',
  wrapped_data: toBase64(new Uint8Array(40)),
  iv: toBase64(new Uint8Array(12)),
  wrap_type: 'A256GCM',
}
const read = (packet: object) => parseCocoPacket(utf8(JSON.stringify(packet)))

describe('annotation packets', () => {
  test('GU-06 are written as version 1, members in upstream’s order, and read again', () => {
    const bytes = cocoPacketBytes(read(good))
    expect(new TextDecoder().decode(bytes)).toBe(JSON.stringify(good))
    expect(parseCocoPacket(bytes)).toEqual(read({ ...good, version: '0.1.0', provider: 'kbs', annotations: {} }))
  })

  test.each(['A256GCM', 'A256CTR'] as const)('GU-06 wrapped by %s open with the same key only', (wrapType) => {
    const options = utf8('{"options":1}')
    const packet = parseCocoPacket(wrapUnderKek(options, kek, { resource: 'a/b/c', wrapType }))
    expect(unwrapUnderKek(packet, kek)).toEqual(options)
    expect(unwrapUnderKek(packet, new Secret(new Uint8Array(32).fill(4)))).not.toEqual(options)
    expect(() => unwrapUnderKek(packet, new Secret(new Uint8Array(16)))).toThrow(
      expect.objectContaining({ code: 'encryption.recipient' }),
    )
  })

  test.each([
    ['another version', { version: '0.2.0' }],
    ['another wrapping', { wrap_type: 'NONE' }],
    ['no wrapping', { wrap_type: undefined }],
    ['a nonce of another length', { iv: toBase64(new Uint8Array(16)) }],
    ['no nonce', { iv: undefined }],
    ['less than a tag', { wrapped_data: toBase64(new Uint8Array(15)) }],
    ['a kid that is no text', { kid: 7 }],
  ])('with %s are refused', (_what, change) => {
    expect(() => read({ ...good, ...change })).toThrow(expect.objectContaining({ code: 'encryption.malformed' }))
  })

  test('a member that stands twice is refused', () => {
    const twice = JSON.stringify(good).replace('{', '{"kid":"kbs:///other",')
    expect(() => parseCocoPacket(utf8(twice))).toThrow(expect.objectContaining({ code: 'encryption.malformed' }))
  })

  test.each([
    ['kbs:///default/key/1', 'default/key/1'],
    ['kbs://broker.example:8080/r/t/tag', 'r/t/tag'],
    ['kbs:///kbs:///default/key/1', 'default/key/1'],
  ])('kid %s names %s', (kid, resource) => expect(resourceOfKid(kid)).toBe(resource))

  test.each(['default/key/1', 'kbs://', 'kbs:///', 'kbs:///a//b', 'kbs:///a/../b', 'kbs:///a b', 'http://x/y'])(
    'kid %s names nothing',
    (kid) => {
      expect(() => resourceOfKid(kid)).toThrow(expect.objectContaining({ code: 'encryption.malformed' }))
    },
  )

  test('of another key service are told so', async () => {
    const packet = utf8(JSON.stringify({ ...good, provider: 'aliyun' }))
    await expect(guestKeys(() => Promise.resolve(kek)).unwrap(packet)).rejects.toMatchObject({
      code: 'encryption.no-key',
      message: expect.stringContaining('aliyun'),
    })
  })
})
