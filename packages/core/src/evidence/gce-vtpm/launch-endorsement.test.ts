import fc from 'fast-check'
import * as kit from '@vouchsafe/testkit'
import type { LaunchEndorsementSpec } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../../node/crypto.ts'
import { type ErrorCode, VouchsafeError } from '../../base/errors.ts'
import { parseAnchor } from '../../x509/index.ts'
import { verifyGceLaunchEndorsement } from './index.ts'
import { readProtobuf } from './protobuf.ts'

const at = new Date('2026-06-01T00:00:00Z')
const root = kit.makeCertificate({ subject: 'GCE-cc-tcb-root', extensions: kit.AUTHORITY })
const signer = kit.makeCertificate({
  subject: 'signer',
  issuer: root,
  keyKind: 'RSA-2048',
  extensions: [kit.keyUsage('digitalSignature')],
})
const anchors = [parseAnchor(root.der, { class: 'platform-vtpm', name: 'fake GCE-cc-tcb-root' })]
const filled = (byte: number, length = 48) => new Uint8Array(length).fill(byte)
const refusal = (code: ErrorCode, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) })

const make = (spec: Partial<LaunchEndorsementSpec> = {}) =>
  kit.makeLaunchEndorsement({
    signer,
    snp: [
      [2n, filled(1)],
      [4n, filled(2)],
    ],
    svsmMeasurement: filled(3),
    tdx: [[16n, 1n, filled(4)]],
    ...spec,
  })
const verify = (raw: Uint8Array) =>
  verifyGceLaunchEndorsement(raw, { anchors, revocation: 'not-checked', at }, nodeCrypto)

test('reads what Google signs for: measurements by number of vCPUs and by memory', async () => {
  const endorsement = await verify(make())
  expect(endorsement).toMatchObject({
    uefiDigest: 'd1'.repeat(48),
    changeList: 628_000_000n,
    snp: { svn: 3n, svsmMeasurement: '03'.repeat(48) },
  })
  expect(endorsement.snp?.measurements).toEqual(
    new Map([
      [2n, '01'.repeat(48)],
      [4n, '02'.repeat(48)],
    ]),
  )
  expect(endorsement.tdx).toEqual({
    svn: 4n,
    measurements: [{ ramGib: 16n, earlyAccept: true, mrTd: '04'.repeat(48) }],
  })
})

const good = make()
const stranger = kit.makeCertificate({
  subject: 'signer',
  keyKind: 'RSA-2048',
  extensions: [kit.keyUsage('digitalSignature')],
})
const forEncryption = kit.makeCertificate({
  subject: 'signer',
  issuer: root,
  keyKind: 'RSA-2048',
  extensions: [kit.keyUsage('keyEncipherment')],
})

describe('is refused', () => {
  test.each<[string, Uint8Array, ErrorCode, string]>([
    [
      'with a flipped signature bit',
      good.with(good.length - 1, good[good.length - 1]! ^ 1),
      'endorsement.untrusted',
      'signature does not verify',
    ],
    ['signed by a stranger', make({ signer: stranger }), 'endorsement.untrusted', 'issuer'],
    ['signed by a key for another use', make({ signer: forEncryption }), 'endorsement.mismatch', 'keyUsage'],
    ['without a source', make({ changeList: 0n }), 'endorsement.malformed', 'neither change list nor commit'],
    ['with a measurement of 47 bytes', make({ snp: [[1n, filled(1, 47)]] }), 'endorsement.malformed', '47 bytes'],
    ['with an MRTD of 49 bytes', make({ tdx: [[1n, 0n, filled(1, 49)]] }), 'endorsement.malformed', '49 bytes'],
    [
      'with one number of vCPUs twice',
      make({
        snp: [
          [1n, filled(1)],
          [1n, filled(2)],
        ],
      }),
      'endorsement.malformed',
      'twice',
    ],
    [
      'with a field twice',
      make({ extra: kit.protobufBytes(5, filled(9)) }),
      'endorsement.malformed',
      'field 5 stands there twice',
    ],
    [
      'with a number where bytes belong',
      make({ extra: kit.protobufNumber(3, 1n) }),
      'endorsement.malformed',
      'field 3 is a number',
    ],
    ['without signature', good.subarray(0, good.length - 259), 'endorsement.malformed', 'signature is missing'],
    ['cut short', good.subarray(0, -1), 'endorsement.malformed', 'are left'],
    ['empty', new Uint8Array(0), 'endorsement.malformed', 'serialized_uefi_golden is missing'],
  ])('%s', async (_what, raw, code, message) => {
    await expect(verify(raw)).rejects.toThrow(refusal(code, message))
  })
})

test('a commit alone names the source', async () => {
  expect(await verify(make({ changeList: 0n, commit: filled(0xc0, 20) }))).toMatchObject({
    changeList: 0n,
    commit: 'c0'.repeat(20),
  })
})

test('protobuf: fails only with a coded error, whatever the bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        readProtobuf('x', bytes)
      } catch (e) {
        expect(e).toBeInstanceOf(VouchsafeError)
        expect((e as VouchsafeError).code).toBe('endorsement.malformed')
      }
    }),
    { seed: 1, numRuns: 3000 },
  )
})
