import * as kit from '@vouchsafe/testkit'
import type { CertificateSpec, RevocationListSpec } from '@vouchsafe/testkit'
import { expect, test } from 'vitest'
import { nodeCrypto } from '../../node/crypto.ts'
import {
  type ChainRequest,
  EndorsementMemo,
  OID,
  parseAnchor,
  parseCertificate,
  parseRevocationList,
  verifyChain,
} from './index.ts'

const at = new Date('2026-06-01T00:00:00Z')
const earlier = new Date('2026-05-01T00:00:00Z')
const later = new Date('2026-07-01T00:00:00Z')
const tpm = '2.23.133.8.1'

interface Specs {
  readonly root?: Partial<CertificateSpec>
  readonly middle?: Partial<CertificateSpec>
  readonly leaf?: Partial<CertificateSpec>
  readonly rootList?: Partial<RevocationListSpec>
  readonly middleList?: Partial<RevocationListSpec>
}

/** A chain of three with a list of each authority. */
function world(specs: Specs = {}) {
  const root = kit.makeCertificate({ subject: 'root', extensions: kit.AUTHORITY, ...specs.root })
  const middle = kit.makeCertificate({ subject: 'middle', issuer: root, extensions: kit.AUTHORITY, ...specs.middle })
  const leaf = kit.makeCertificate({
    subject: 'leaf',
    issuer: middle,
    serial: 77,
    extensions: [kit.keyUsage('digitalSignature'), kit.extendedKeyUsage(tpm)],
    ...specs.leaf,
  })
  const lists = [
    parseRevocationList(kit.makeRevocationList({ issuer: root, ...specs.rootList })),
    parseRevocationList(kit.makeRevocationList({ issuer: middle, ...specs.middleList })),
  ]
  const request: ChainRequest = {
    leaf: parseCertificate(leaf.der),
    intermediates: [parseCertificate(middle.der)],
    anchors: [parseAnchor(root.der, { class: 'simulated', name: 'root' })],
    at,
    crypto: nodeCrypto,
    leafKeyUsage: 'digitalSignature',
    extendedKeyUsage: tpm,
    revocation: { lists, require: 'every' },
  }
  return { root, middle, lists, request }
}

/** What comes of a request when the memo knows the chain from another, after seeing that it comes of it without a memo too. */
async function afterwards(known: ChainRequest, asked: ChainRequest) {
  const memo = new EndorsementMemo()
  await verifyChain({ ...known, memo })
  const outcome = async (request: ChainRequest) =>
    verifyChain(request).catch((error: unknown) => error as Error & { code?: string })
  const fresh = await outcome(asked)
  const again = await outcome({ ...asked, memo })
  expect(again).toEqual(fresh)
  return again
}

test('a chain that held is the same chain again, also by other arrays of the same', async () => {
  const { request } = world()
  const memo = new EndorsementMemo()
  const chain = await verifyChain({ ...request, memo })
  const { anchors, intermediates, revocation } = request
  const same = { ...request, memo, anchors: [...anchors], intermediates: [...intermediates], at: later }
  expect(await verifyChain({ ...same, revocation: { ...(revocation as object) } as typeof revocation })).toBe(chain)
})

test.each<[string, Specs, Date]>([
  ['the leaf ended', { leaf: { notAfter: at } }, later],
  ['the intermediate ended', { middle: { notAfter: at } }, later],
  ['the anchor ended', { root: { notAfter: at } }, later],
  ['the root’s list was due', { rootList: { nextUpdate: new Date('2026-06-15T00:00:00Z') } }, later],
  ['the intermediate’s list was due', { middleList: { nextUpdate: later } }, later],
  ['the leaf had not begun', { leaf: { notBefore: at } }, earlier],
  ['the intermediate had not begun', { middle: { notBefore: at } }, earlier],
  ['the anchor had not begun', { root: { notBefore: at } }, earlier],
  ['the root’s list was not made', { rootList: { thisUpdate: at } }, earlier],
  ['the intermediate’s list was not made', { middleList: { thisUpdate: at } }, earlier],
])('D09 B04 a chain that held is refused at a time when %s', async (_what, specs, when) => {
  const { request } = world(specs)
  expect(await afterwards(request, { ...request, at: when })).toMatchObject({ code: 'endorsement.expired' })
})

test('a chain that held is refused by a list that came since, and for want of one', async () => {
  const { request, lists, middle, root } = world()
  const [ofRoot, ofMiddle] = lists
  const newer = parseRevocationList(kit.makeRevocationList({ issuer: middle, revoked: [77], number: 2 }))
  const revoking = parseRevocationList(kit.makeRevocationList({ issuer: root, revoked: [77], number: 2 }))
  const by = (...found: (typeof ofRoot)[]) =>
    afterwards(request, { ...request, revocation: { lists: found.map((list) => list!), require: 'every' } })
  expect(await by(ofRoot, newer)).toMatchObject({ code: 'endorsement.revoked' })
  expect(await by(ofRoot, ofMiddle, newer)).toMatchObject({ code: 'endorsement.revoked' })
  expect(await by(ofRoot)).toMatchObject({ code: 'endorsement.unavailable' })
  expect(await by(revoking, ofMiddle)).toMatchObject({ anchor: { name: 'root' } }) // of the root, who issued another 77
})

test('a chain that held for authorities alone is refused where every list is wanted, and says what was not looked at', async () => {
  const { request, lists } = world()
  const some = { ...request, revocation: { lists: lists.slice(0, 1), require: 'authorities' } } as const
  expect(await afterwards(some, { ...some, revocation: { ...some.revocation, require: 'every' } })).toMatchObject({
    code: 'endorsement.unavailable',
  })
  const unchecked = { ...request, revocation: 'not-checked' } as const
  expect(await afterwards(request, unchecked)).toMatchObject({ revocation: 'not-checked' })
  expect(await afterwards(unchecked, { ...request, revocation: { lists: [], require: 'every' } })).toMatchObject({
    code: 'endorsement.unavailable',
  })
})

test('B04 a chain that held for one purpose is refused for another', async () => {
  const { request } = world()
  for (const other of [{ leafKeyUsage: 'keyEncipherment' }, { extendedKeyUsage: '1.2.3' }] as const)
    expect(await afterwards(request, { ...request, ...other })).toMatchObject({ code: 'endorsement.mismatch' })
})

test('a chain that held because its reader handles an extension is refused to who does not', async () => {
  const critical = { oid: '1.2.3.4', critical: true, value: kit.derWriter.nullValue() }
  const { request } = world({ leaf: { extensions: [kit.extendedKeyUsage(tpm), critical] } })
  const handled = { ...request, handledCritical: ['1.2.3.4'] }
  expect(await afterwards(handled, request)).toMatchObject({ code: 'endorsement.malformed' })
  expect(await afterwards(handled, { ...request, handledCritical: [OID.subjectAltName] })).toMatchObject({
    code: 'endorsement.malformed',
  })
})

test('E06 a chain that held is refused under other anchors, and without its intermediate', async () => {
  const { request, root } = world()
  const stranger = parseAnchor(world().root.der, { class: 'hardware', name: 'stranger' })
  expect(await afterwards(request, { ...request, anchors: [stranger] })).toMatchObject({
    code: 'endorsement.untrusted',
  })
  expect(await afterwards(request, { ...request, anchors: [] })).toMatchObject({ code: 'endorsement.untrusted' })
  expect(await afterwards(request, { ...request, intermediates: [] })).toMatchObject({ code: 'endorsement.untrusted' })
  const renamed = parseAnchor(root.der, { class: 'tpm', name: 'the same, trusted as another' })
  expect(await afterwards(request, { ...request, anchors: [renamed] })).toMatchObject({ anchor: { class: 'tpm' } })
})

test('a chain that was found past somebody who had ended leads past him only as long as he has', async () => {
  const key = kit.makeKey('P-256')
  const { request } = world({ root: { key } })
  const brief = kit.makeCertificate({ subject: 'root', extensions: kit.AUTHORITY, key, notAfter: earlier })
  const first = parseAnchor(brief.der, { class: 'tpm', name: 'brief' })
  const both = { ...request, anchors: [first, ...request.anchors] }
  expect(await afterwards(both, { ...both, at: earlier })).toMatchObject({ anchor: { name: 'brief' } })
})
