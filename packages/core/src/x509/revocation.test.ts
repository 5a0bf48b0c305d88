import * as kit from '@vouchsafe/testkit'
import { missingVectors, readVector, readVectorText, type RevocationListSpec } from '@vouchsafe/testkit'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../node/crypto.ts'
import type { ErrorCode } from '../base/errors.ts'
import { parseAnchor, parseCertificate, parsePem, parseRevocationList, verifyChain, type Revocation } from './index.ts'

const root = kit.makeCertificate({ subject: 'root', extensions: kit.AUTHORITY, serial: 1 })
const middle = kit.makeCertificate({ subject: 'middle', issuer: root, extensions: kit.AUTHORITY, serial: 0x8001 })
const leaf = kit.makeCertificate({ subject: 'leaf', issuer: middle, serial: 77 })
const other = kit.makeCertificate({ subject: 'other', extensions: kit.AUTHORITY })
const at = new Date('2026-06-01T00:00:00Z')

const list = (spec: RevocationListSpec) => parseRevocationList(kit.makeRevocationList(spec))
const ofRoot = list({ issuer: root })
const ofMiddle = list({ issuer: middle, revoked: [5, 6] })

const verify = (revocation: Revocation, time = at) =>
  verifyChain({
    leaf: parseCertificate(leaf.der),
    intermediates: [parseCertificate(middle.der)],
    anchors: [parseAnchor(root.der, { class: 'hardware', name: 'root' })],
    at: time,
    crypto: nodeCrypto,
    leafKeyUsage: 'any',
    extendedKeyUsage: 'any',
    revocation,
  })

const refusal = (code: ErrorCode, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) })

test('says as of when nothing was revoked, and until when that holds', async () => {
  const older = list({
    issuer: root,
    thisUpdate: new Date('2024-05-01T00:00:00Z'),
    nextUpdate: new Date('2027-01-01T00:00:00Z'),
  })
  const { revocation, validUntil } = await verify({ lists: [older, ofMiddle], require: 'every' })
  expect(revocation).toEqual({ asOf: older.thisUpdate, validUntil: older.nextUpdate })
  expect(validUntil).toEqual(older.nextUpdate)
})

const forged = { ...middle, key: kit.makeKey('P-256') }
const partial = { oid: '2.5.29.28', critical: true, value: kit.derWriter.sequence() }

describe('D09 a revocation list counts only when it is genuine, current and of the right issuer', () => {
  test.each<[string, () => Revocation, ErrorCode, string]>([
    [
      'leaf revoked',
      () => ({ lists: [ofRoot, list({ issuer: middle, revoked: [76, 77] })], require: 'every' }),
      'endorsement.revoked',
      'CN=leaf: serial 4d',
    ],
    [
      'intermediate revoked, its serial needing a leading zero',
      () => ({ lists: [list({ issuer: root, revoked: [0x8001] }), ofMiddle], require: 'every' }),
      'endorsement.revoked',
      'CN=middle: serial 008001',
    ],
    [
      'no list for the leaf',
      () => ({ lists: [ofRoot], require: 'every' }),
      'endorsement.unavailable',
      'revocation list of CN=middle: none given, needed for CN=leaf',
    ],
    [
      'no list for the intermediate',
      () => ({ lists: [ofMiddle], require: 'every' }),
      'endorsement.unavailable',
      'revocation list of CN=root',
    ],
    [
      'no list for the intermediate where only authorities are asked for',
      () => ({ lists: [ofMiddle], require: 'authorities' }),
      'endorsement.unavailable',
      'revocation list of CN=root',
    ],
    ['no list at all', () => ({ lists: [], require: 'every' }), 'endorsement.unavailable', 'CN=middle'],
    [
      'the list of somebody else instead',
      () => ({ lists: [ofRoot, list({ issuer: other })], require: 'every' }),
      'endorsement.unavailable',
      'CN=middle',
    ],
    [
      'a list under the right name by another key',
      () => ({ lists: [ofRoot, list({ issuer: forged })], require: 'every' }),
      'endorsement.untrusted',
      'revocation list of CN=middle: signature',
    ],
    [
      'a forged list beside the genuine one',
      () => ({ lists: [ofRoot, ofMiddle, list({ issuer: forged })], require: 'every' }),
      'endorsement.untrusted',
      'signature',
    ],
    [
      'a list past its nextUpdate',
      () => ({ lists: [ofRoot, list({ issuer: middle, nextUpdate: at })], require: 'every' }),
      'endorsement.expired',
      'revocation list of CN=middle: nextUpdate',
    ],
    [
      'a list of tomorrow',
      () => ({
        lists: [ofRoot, list({ issuer: middle, thisUpdate: new Date('2026-06-02T00:00:00Z') })],
        require: 'every',
      }),
      'endorsement.expired',
      'thisUpdate',
    ],
  ])('%s', async (_what, revocation, code, message) => {
    await expect(verify(revocation())).rejects.toThrow(refusal(code, message))
  })

  test('a list whose issuer may not sign lists', async () => {
    const m = kit.makeCertificate({
      subject: 'm',
      issuer: root,
      extensions: [kit.basicConstraints(true), kit.keyUsage('keyCertSign')],
    })
    const l = kit.makeCertificate({ subject: 'l', issuer: m })
    const attempt = verifyChain({
      leaf: parseCertificate(l.der),
      intermediates: [parseCertificate(m.der)],
      anchors: [parseAnchor(root.der, { class: 'hardware', name: 'root' })],
      at,
      crypto: nodeCrypto,
      leafKeyUsage: 'any',
      extendedKeyUsage: 'any',
      revocation: { lists: [ofRoot, list({ issuer: m })], require: 'every' },
    })
    await expect(attempt).rejects.toThrow(refusal('endorsement.untrusted', 'may not sign revocation lists'))
  })

  const raw = kit.makeRevocationList({ issuer: middle })
  test.each<[string, Uint8Array, string]>([
    ['is one byte of nothing', Uint8Array.of(0), 'CertificateList'],
    ['has a byte left over', kit.derWriter.join(raw, Uint8Array.of(0)), 'end at offset'],
    ['is cut short', raw.subarray(0, -1), 'CertificateList'],
    ['never says when it is stale', kit.makeRevocationList({ issuer: middle, nextUpdate: null }), 'nextUpdate'],
    [
      'is partial or indirect',
      kit.makeRevocationList({ issuer: middle, extensions: [partial] }),
      'critical extension 2.5.29.28',
    ],
  ])('a list that %s', (_what, der, message) => {
    expect(() => parseRevocationList(der)).toThrow(refusal('endorsement.malformed', message))
  })
})

describe.skipIf(missingVectors())('Intel’s lists of 2023', () => {
  const pem = (name: string) =>
    parsePem(readVectorText(`gce/tdx/collateral/${name}`), 'CERTIFICATE').map((c) => parseCertificate(c))
  const lists = () =>
    ['pckcrl_platform.der', 'rootcrl.der'].map((f) => parseRevocationList(readVector(`gce/tdx/collateral/${f}`)))
  const verifyPck = (time: Date, given = lists()) => {
    const [pck, platform, intelRoot] = pem('pck_chain_v4_spr_e4.pem')
    return verifyChain({
      leaf: pck!,
      intermediates: [platform!],
      anchors: [{ certificate: intelRoot!, class: 'hardware', name: 'Intel SGX Root CA' }],
      at: time,
      crypto: nodeCrypto,
      leafKeyUsage: 'digitalSignature',
      extendedKeyUsage: 'any',
      revocation: { lists: given, require: 'every' },
    })
  }

  test('clear a genuine PCK chain within their window, and not a second after', async () => {
    const { revocation } = await verifyPck(new Date('2023-07-01T01:00:00Z'))
    expect(revocation).toMatchObject({ validUntil: new Date('2023-07-08T07:27:52Z') })
    await expect(verifyPck(new Date('2023-07-08T07:27:52Z'))).rejects.toThrow(
      refusal('endorsement.expired', 'PCK Platform CA'),
    )
  })

  test('a flipped bit in the signature is noticed', async () => {
    const der = readVector('gce/tdx/collateral/pckcrl_platform.der')
    const flipped = parseRevocationList(der.with(der.length - 1, der[der.length - 1]! ^ 1))
    const [, rootList] = lists()
    await expect(verifyPck(new Date('2023-07-01T01:00:00Z'), [flipped, rootList!])).rejects.toThrow(
      refusal('endorsement.untrusted', 'signature'),
    )
  })
})
